"""Supervised training of the same encoders, with labels, as a yardstick.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet: linear probe 0.916, kNN 0.908 (random
                initialization 0.738 and 0.703)
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ResNet-50, batch 256, 90 epochs. Not yet run here; torchvision's
                weights of this recipe have 76.13 % top-1.
"""

from sslax import config as config_lib
from sslax import recipes


def get_config(argument=''):
  """Returns the recipe of an argument."""
  return config_lib.recipe(
    argument,
    {'': photos, 'smoke': smoke, 'cifar10': cifar10, 'imagenet': imagenet},
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  config = recipes.photos('supervised', num_classes=7)
  return recipes.small_views(config, 'crop_flip')


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  return config


def cifar10():
  """As many steps as the self-supervised methods have."""
  config = recipes.cifar10(photos())
  config.method.num_classes = 10
  return config


def imagenet():
  """Torchvision's references/classification, its defaults for ResNet-50.

  train.py there: --lr 0.1 at a batch of 8 x 32, --momentum 0.9,
  --weight-decay 1e-4, --epochs 90, --lr-step-size 30, --lr-gamma 0.1.
  """
  config = recipes.imagenet(
    'supervised', num_epochs=90, batch_size=256, num_classes=1000
  )
  config.views.update(
    name='crop_flip', size=224, crop_scale=(0.08, 1.0), interpolation='bilinear'
  )
  config.optim.update(
    name='sgd', learning_rate=0.1, weight_decay=1e-4, drops=(1 / 3, 2 / 3)
  )
  return config
