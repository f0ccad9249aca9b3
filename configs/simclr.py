"""SimCLR: Chen et al. 2020, https://arxiv.org/abs/2002.05709.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet: kNN 0.818, linear probe 0.871; random
                initialization 0.703 and 0.738
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network: kNN 0.489, linear probe 0.482;
                random initialization 0.289 and 0.332
  :imagenet     ResNet-50, batch 4,096, 1,000 epochs: 69.3 % linear top-1 in
                the paper (table 6). Not yet run here.

Of https://github.com/google-research/simclr, tf2/run.py has the values of
:imagenet (--learning_rate 0.3, --weight_decay 1e-6, --warmup_epochs 10,
--temperature 0.1, --proj_out_dim 128); the README's command for 100 epochs
decays by 1e-4.
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
  config = recipes.photos(
    'simclr', hidden_size=256, projection_size=64, temperature=0.2
  )
  return recipes.small_views(config, 'simclr', crop_scale=(0.2, 1.0))


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(hidden_size=16, projection_size=8)
  return config


def imagenet():
  """The paper's recipe for its longest training."""
  config = recipes.imagenet(
    'simclr',
    num_epochs=1000,
    batch_size=4096,
    hidden_size=2048,
    projection_size=128,
    temperature=0.1,
  )
  config.views.update(name='simclr', size=224)
  config.optim.update(
    name='lars',
    learning_rate=0.3,
    weight_decay=1e-6,
    warmup_steps=recipes.steps(10, 4096),
  )
  return config
