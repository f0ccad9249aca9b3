"""NNCLR: Dwibedi et al. 2021, https://arxiv.org/abs/2104.14548.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet: kNN 0.782, linear probe 0.792; random
                initialization 0.758 and 0.743
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ResNet-50, batch 4,096, 1,000 epochs: 75.6 % linear top-1 in the
                paper (abstract). Not yet run here.
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
    'nnclr',
    hidden_size=256,
    projection_size=64,
    prediction_hidden_size=256,
    queue_size=1024,
    temperature=0.2,
  )
  return recipes.small_views(config, 'simclr', crop_scale=(0.2, 1.0))


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(
    hidden_size=16,
    projection_size=8,
    prediction_hidden_size=16,
    queue_size=24,
  )
  return config


def imagenet():
  """The paper's recipe. There is no official code.

  The networks are as lightly quotes the paper in models/modules/heads.py.
  Views, learning rate, decay and queue size are yet to be checked against the
  paper's text.
  """
  config = recipes.imagenet(
    'nnclr',
    num_epochs=1000,
    batch_size=4096,
    hidden_size=2048,
    projection_size=256,
    prediction_hidden_size=4096,
    queue_size=98304,
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
