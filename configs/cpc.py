"""CPC on images: van den Oord et al. 2018, https://arxiv.org/abs/1807.03748.

Recipes, and what each was seen to reach:

  (nothing)     photos, patches of 8 pixels, a small ResNet. Not yet run here.
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     the paper's recipe, with ResNet-50. Not yet run here; the paper
                has 48.7 % linear top-1 with the first three stages of
                ResNet-101 v2.
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
  """Small network; a grid of 7 x 7 patches as in the paper, of 8 pixels."""
  config = recipes.photos(
    'cpc',
    patch_size=8,
    stride=4,
    jitter=1,
    rows_ahead=(2, 3, 4),
    target_size=32,
    width=32,
  )
  config.batch_size = 64
  return recipes.small_views(
    config, 'crop_flip', crop_scale=(0.5, 1.0), grayscale_prob=0.25
  )


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(rows_ahead=(1, 2), target_size=8, width=8)
  return config


def imagenet():
  """Section 3.2 of the paper, at the batch of its 32 devices.

  There: crops of 256 out of 300 pixels, flips, gray images, 7 x 7 patches of 64
  pixels, of which 60 are kept, Adam at 2e-4, batch 16 a device.
  """
  config = recipes.imagenet(
    'cpc',
    num_epochs=100,
    batch_size=512,
    patch_size=64,
    stride=32,
    jitter=4,
    target_size=64,
    width=256,
  )
  config.views.update(
    name='crop_flip',
    size=256,
    crop_scale=(0.6, 0.8),
    crop_ratio=(1.0, 1.0),
    interpolation='bilinear',
    grayscale_prob=1.0,
  )
  config.optim.update(
    name='adamw',
    learning_rate=2e-4,
    reference_batch_size=None,
    final_ratio=1.0,
    weight_decay=0.0,
  )
  return config
