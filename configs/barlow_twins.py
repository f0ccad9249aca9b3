"""Barlow Twins: Zbontar et al. 2021, https://arxiv.org/abs/2103.03230.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet: kNN 0.865, 0.162 above random
                initialization, and linear probe 0.840, 0.103 above, in seed 0
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ResNet-50, batch 2,048, 1,000 epochs: 73.3 % linear top-1 in the
                official README. Not yet run here.

Where the numbers of :imagenet stand, all in main.py: --epochs 1000 --batch-size
2048, --projector 8192-8192-8192, --lambd 0.0051, --weight-decay 1e-6, LARS that
leaves biases and norms alone, --learning-rate-weights 0.2,
--learning-rate-biases 0.0048, 10 epochs of warm-up, a cosine to a thousandth.
"""

from sslax import config as config_lib
from sslax import recipes


def get_config(argument=''):
  """Returns the recipe of an argument."""
  return config_lib.recipe(
    argument,
    {
      '': photos,
      'smoke': smoke,
      'cifar10': lambda: recipes.cifar10(photos()),
      'imagenet': imagenet,
    },
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  config = recipes.photos('barlow_twins', hidden_size=256, projection_size=256)
  return recipes.small_views(config, 'byol', crop_scale=(0.2, 1.0))


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(hidden_size=16, projection_size=8)
  return config


def imagenet():
  """The official command; biases and norms move at a rate of their own."""
  config = recipes.imagenet(
    'barlow_twins',
    num_epochs=1000,
    batch_size=2048,
    hidden_size=8192,
    projection_size=8192,
    off_diagonal_weight=0.0051,
  )
  config.views.update(name='byol', size=224)
  config.optim.update(
    name='lars',
    learning_rate=0.2,
    weight_decay=1e-6,
    warmup_steps=recipes.steps(10, 2048),
    final_ratio=0.001,
    multipliers={'/(bias|scale)$': 0.0048 / 0.2},
  )
  return config
