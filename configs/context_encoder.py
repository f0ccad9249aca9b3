"""Context encoder: Pathak et al. 2016, https://arxiv.org/abs/1604.07379.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet: kNN 0.795, 0.058 above random
                initialization, but linear probe 0.751, 0.051 below, in seed 0
  :random       the same, the block anywhere in the view
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     the official recipe, with ResNet-50 as the encoder. Not yet run
                here, and the paper has no linear probe of ImageNet.
"""

from sslax import config as config_lib
from sslax import recipes

_UNIT = {'mean': (0.5, 0.5, 0.5), 'std': (0.5, 0.5, 0.5)}  # pixels in [-1, 1]


def get_config(argument=''):
  """Returns the recipe of an argument."""
  return config_lib.recipe(
    argument,
    {
      '': photos,
      'random': random,
      'smoke': smoke,
      'cifar10': lambda: recipes.cifar10(photos()),
      'imagenet': imagenet,
    },
  )


def photos():
  """Small networks, small images: the whole path in minutes."""
  config = recipes.photos(
    'context_encoder',
    block_size=16,
    overlap=1,
    tap='stage3',
    bottleneck=128,
    width=16,
  )
  config.optim.update(
    learning_rate=2e-3,
    reference_batch_size=None,
    beta1=0.5,
    weight_decay=0.0,
    multipliers={'discriminator': 0.1},
  )
  return recipes.small_views(config, 'crop_flip', **_UNIT)


def random():
  """A block anywhere."""
  config = photos()
  config.method.place = 'random'
  return config


def smoke():
  """A few steps of tiny networks."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(block_size=8, tap='stage2', bottleneck=8, width=4)
  return config


def imagenet():
  """The official README's command for train.lua.

  There: overlapPred=4 wtl2=0.999 nBottleneck=4000 niter=500 loadSize=350
  fineSize=128, and train.lua's batchSize 64, lr 0.0002 for the discriminator
  and ten times that for the generator, beta1 0.5, ngf and ndf 64; the rates
  stay as they are.
  """
  config = recipes.imagenet(
    'context_encoder',
    num_epochs=500,
    batch_size=64,
    block_size=64,
    overlap=4,
    tap='stage4',
    bottleneck=4000,
    width=64,
    reconstruction_weight=0.999,
  )
  config.views.update(
    name='crop_flip',
    size=128,
    crop_scale=(0.1, 0.2),
    crop_ratio=(1.0, 1.0),
    interpolation='bilinear',
    **_UNIT,
  )
  config.optim.update(
    name='adamw',
    learning_rate=2e-3,
    reference_batch_size=None,
    final_ratio=1.0,
    beta1=0.5,
    weight_decay=0.0,
    multipliers={'discriminator': 0.1},
  )
  return config
