"""VICReg: Bardes et al. 2021, https://arxiv.org/abs/2105.04906.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet: kNN 0.815, 0.057 above random
                initialization, and linear probe 0.788, 0.044 above, in seed 0
  :two_encoders the same, with an encoder and a projector for each view. Not yet
                run here.
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ResNet-50, batch 2,048, 1,000 epochs: 73.2 % linear top-1 in the
                official README. Not yet run here.

Where the numbers of :imagenet stand, all in main_vicreg.py: --mlp
8192-8192-8192, --sim-coeff 25 --std-coeff 25 --cov-coeff 1, --wd 1e-6, LARS
that leaves biases and norms alone, 10 epochs of warm-up, a cosine to a
thousandth; and in the README's command: --epochs 1000 --batch-size 2048
--base-lr 0.2.
"""

from sslax import config as config_lib
from sslax import recipes


def get_config(argument=''):
  """Returns the recipe of an argument."""
  return config_lib.recipe(
    argument,
    {
      '': photos,
      'two_encoders': two_encoders,
      'smoke': smoke,
      'cifar10': lambda: recipes.cifar10(photos()),
      'imagenet': imagenet,
    },
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  config = recipes.photos('vicreg', hidden_size=256, projection_size=256)
  return recipes.small_views(config, 'byol', crop_scale=(0.2, 1.0))


def two_encoders():
  """Branches that share nothing."""
  config = photos()
  config.method.shared = False
  return config


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(hidden_size=16, projection_size=8)
  return config


def imagenet():
  """The official README's command for 1,000 epochs."""
  config = recipes.imagenet(
    'vicreg',
    num_epochs=1000,
    batch_size=2048,
    hidden_size=8192,
    projection_size=8192,
  )
  config.views.update(name='byol', size=224)
  config.optim.update(
    name='lars',
    learning_rate=0.2,
    weight_decay=1e-6,
    warmup_steps=recipes.steps(10, 2048),
    final_ratio=0.001,
  )
  return config
