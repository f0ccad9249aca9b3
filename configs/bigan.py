"""BiGAN: Donahue et al. 2016, https://arxiv.org/abs/1605.09782.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet, both players at once: kNN 0.797, 0.025
                above random initialization, and linear probe 0.795, 0.058
                above, in seed 0
  :in_turns     the same, the players by turns, one step each
  :smoke        a few steps of tiny networks, for tests
  :cifar10      CIFAR-10, the same networks. Not yet run here.
  :imagenet     the official recipe, with ResNet-50 as the encoder. Not yet run
                here.
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
      'in_turns': lambda: in_turns(photos()),
      'smoke': smoke,
      'cifar10': lambda: recipes.cifar10(photos()),
      'imagenet': imagenet,
    },
  )


def photos():
  """Small networks, small images: the whole path in minutes."""
  config = recipes.photos('bigan', code_size=50, image_size=32, width=16)
  config.optim.update(
    learning_rate=1e-3,
    reference_batch_size=None,
    beta1=0.5,
    weight_decay=2.5e-5,
  )
  return recipes.small_views(config, 'crop_flip', **_UNIT)


def in_turns(config):
  """The discriminator at even steps, encoder and generator at odd ones."""
  config.num_steps *= 2
  config.optim.in_turns = ('^discriminator/', '^(encoder|head|generator)/')
  return config


def smoke():
  """A few steps of tiny networks."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(code_size=8, image_size=16, width=4)
  return config


def imagenet():
  """The official train_imagenet.sh, on all classes as the README says.

  There: --raw_size 72 --crop_size 64 --gen_net_size 64 --feat_net_size 64
  --noise u-200 --epochs 50 --decay_epochs 50, and of train_gan.py --batch_size
  128, --learning_rate 0.0002, --momentum 0.5, --decay 2.5e-5 (added to the
  gradient). The rate there is constant for 50 epochs, then falls to a hundredth
  exponentially; here it is a cosine to a hundredth.
  """
  config = recipes.imagenet(
    'bigan',
    num_epochs=100,
    batch_size=128,
    code_size=200,
    image_size=64,
    width=64,
  )
  config.views.update(
    name='crop_flip',
    size=64,
    crop_scale=(0.5, 0.8),
    crop_ratio=(1.0, 1.0),
    interpolation='bilinear',
    **_UNIT,
  )
  config.optim.update(
    name='adamw',
    learning_rate=2e-4,
    reference_batch_size=None,
    final_ratio=0.01,
    beta1=0.5,
    weight_decay=2.5e-5,
  )
  return config
