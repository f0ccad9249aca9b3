"""MoCo v2 (Chen et al. 2020, https://arxiv.org/abs/2003.04297) and MoCo v1.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet: kNN 0.846, linear probe 0.874; random
                initialization 0.758 and 0.744
  :v1           the same with version 1's head, views and temperature
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ResNet-50, batch 256, 200 epochs: 67.5 % linear top-1 in the
                paper (table 1). Not yet run here.
  :imagenet_v1  version 1, 200 epochs: 60.6 % linear top-1 (table 1 of v2's
                paper). Not yet run here.

Of https://github.com/facebookresearch/moco, README.md has the commands (--lr
0.03 --batch-size 256, eight devices; version 2: --mlp --moco-t 0.2 --aug-plus
--cos), main_moco.py the rest (--epochs 200 --schedule 120 160 --wd 1e-4
--moco-dim 128 --moco-k 65536 --moco-m 0.999 --moco-t 0.07). With that code its
authors measured 67.5 +- 0.1 % and 60.8 +- 0.2 %.
"""

from sslax import config as config_lib
from sslax import recipes


def get_config(argument=''):
  """Returns the recipe of an argument."""
  return config_lib.recipe(
    argument,
    {
      '': photos,
      'v1': v1,
      'smoke': smoke,
      'cifar10': lambda: recipes.cifar10(photos()),
      'imagenet': imagenet,
      'imagenet_v1': imagenet_v1,
    },
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  config = recipes.photos(
    'moco_v2',
    hidden_size=128,
    projection_size=64,
    queue_size=2048,
    temperature=0.2,
    momentum=0.98,
  )
  config.net.batch_groups = 4
  return recipes.small_views(config, 'moco_v2')


def v1():
  """Version 1: a linear head, no blur, temperature 0.07."""
  config = photos()
  config.method.update(hidden_size=0, temperature=0.07)
  return recipes.small_views(config, 'moco_v1')


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(hidden_size=16, projection_size=8, queue_size=24)
  return config


def imagenet():
  """The official README's command for version 2, at eight devices' groups.

  Its cosine moves once an epoch, here at each step.
  """
  config = recipes.imagenet(
    'moco_v2',
    num_epochs=200,
    batch_size=256,
    hidden_size=2048,
    projection_size=128,
    queue_size=65536,
    temperature=0.2,
    momentum=0.999,
  )
  config.net.update(batch_groups=8, zero_init_last=False)
  config.views.update(name='moco_v2', size=224)
  config.optim = config_lib.group(
    name='sgd', learning_rate=0.03, weight_decay=1e-4
  )
  return config


def imagenet_v1():
  """Version 1, the official code's defaults: --schedule 120 160."""
  config = imagenet()
  config.optim.drops = (0.6, 0.8)
  config.method.update(hidden_size=0, temperature=0.07)
  config.views.update(name='moco_v1')
  return config
