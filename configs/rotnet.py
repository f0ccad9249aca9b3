"""RotNet: Gidaris et al. 2018, https://arxiv.org/abs/1803.07728.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet: kNN 0.732, 0.029 above random
                initialization, but linear probe 0.722, 0.016 below, in seed 0:
                most of these photographs have no upright
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     the official recipe, with ResNet-50 in the place of AlexNet.
                Not yet run here; in VISSL's model zoo the official AlexNet has
                39.51 % linear top-1, a ResNet-50 of 105 epochs 48.2 %.
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
  config = recipes.photos('rotnet')
  return recipes.small_views(config, 'crop_flip')


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  return config


def imagenet():
  """The official config/ImageNet_RotNet_AlexNet.py, for another network.

  There: batch_size = 192 (images, each in four turns), max_num_epochs = 50,
  random_sized_crop, lr 0.1, momentum 0.9, nesterov, weight_decay 5e-4, and
  LUT_lr with tenfold drops at epochs 15, 30 and 45.
  """
  config = recipes.imagenet('rotnet', num_epochs=50, batch_size=192)
  config.views.update(
    name='crop_flip', size=224, crop_scale=(0.08, 1.0), interpolation='bilinear'
  )
  config.optim.update(
    name='sgd',
    learning_rate=0.1,
    reference_batch_size=None,
    weight_decay=5e-4,
    nesterov=True,
    drops=(0.3, 0.6, 0.9),
  )
  return config
