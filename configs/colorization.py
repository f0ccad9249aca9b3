"""Colorization: Zhang et al. 2016, https://arxiv.org/abs/1603.08511.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet that sees no color: kNN 0.728, 0.333
                above random initialization, and linear probe 0.713, 0.153
                above, in seed 0
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     the official recipe, with ResNet-50 in the place of VGG. Not
                yet run here; in VISSL's model zoo a ResNet-50 trained to
                colorize has 40.11 % linear top-1.
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
    'colorization', tap='stage3', num_doublings=1, width=64
  )
  return recipes.small_views(config, 'crop_flip')


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(tap='stage2', num_doublings=0, width=8)
  return config


def imagenet():
  """The official train/solver.prototxt and train_val.prototxt.

  There: base_lr 3e-5, type "Adam", momentum 0.9, momentum2 0.99, weight_decay
  1e-3, max_iter 500,000 with a tenfold drop each 225,000, batch_size 40,
  crop_size 176, mirror. The decay there is added to the gradient.
  """
  config = recipes.imagenet(
    'colorization',
    num_epochs=1,
    batch_size=40,
    tap='stage4',
    num_doublings=3,
    width=256,
  )
  config.num_steps = 500_000
  config.eval.every_steps = 25_000
  config.views.update(
    name='crop_flip', size=160, crop_scale=(0.2, 1.0), interpolation='bilinear'
  )
  config.optim.update(
    name='adamw',
    learning_rate=3e-5,
    reference_batch_size=None,
    weight_decay=1e-3,
    beta2=0.99,
    drops=(0.45, 0.9),
  )
  return config
