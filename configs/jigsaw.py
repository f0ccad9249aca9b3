"""Jigsaw: Noroozi & Favaro 2016, https://arxiv.org/abs/1603.09246.

Recipes, and what each was seen to reach:

  (nothing)     photos at 60 pixels, a small ResNet: does not learn yet (loss
                4.19, chance is 4.16; kNN 0.777, 0.012 below random
                initialization; linear probe 0.752, 0.031 below)
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ResNet-50, VISSL's recipe with 100 permutations. Not yet run
                here; 48.57 % linear top-1 in VISSL's model zoo.
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
  """Small network; images enlarged, so that a tile has 16 pixels."""
  config = recipes.photos(
    'jigsaw', num_permutations=64, gap=4, projection_size=64, hidden_size=256
  )
  return recipes.small_views(
    config, 'crop_flip', size=60, crop_scale=(0.5, 1.0), grayscale_prob=0.3
  )


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 24
  config.method.update(
    num_permutations=8, gap=2, projection_size=8, hidden_size=16
  )
  return config


def imagenet():
  """VISSL's jigsaw_8gpu_resnet.yaml; the official network is an AlexNet.

  There: 105 epochs, batch 32 x 8, lr 0.1 per 256 images, weight_decay 1e-4,
  momentum 0.9, milestones 30, 60, 90, 100, 5 epochs of warm-up, crops of 255
  pixels, RandomGrayscale p 0.66, patch_jitter 21, head 2048-1000; 100
  permutations are its permutations/perm100.yaml. The official
  train_val_cfn_jps.prototxt has the same crop_size, patch_size 64 and
  jitter_size 21, and fc7 of 4096.
  """
  config = recipes.imagenet(
    'jigsaw',
    num_epochs=105,
    batch_size=256,
    num_permutations=100,
    gap=21,
    projection_size=1000,
    hidden_size=4096,
  )
  config.views.update(
    name='crop_flip',
    size=255,
    crop_scale=(0.7, 1.0),
    crop_ratio=(1.0, 1.0),
    interpolation='bilinear',
    grayscale_prob=0.66,
  )
  config.optim.update(
    name='sgd',
    learning_rate=0.1,
    weight_decay=1e-4,
    warmup_steps=recipes.steps(5, 256),
    drops=(30 / 105, 60 / 105, 90 / 105, 100 / 105),
  )
  return config
