"""Instance discrimination: Wu et al. 2018, https://arxiv.org/abs/1805.01978.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet, compared with all rows: kNN 0.807 and
                linear probe 0.747 in seed 0; random initialization 0.758 and
                0.743. With 1,024 rows of noise and Z fixed by the first batch
                the loss climbs (0.794 and 0.789 at rate 1.5e-3)
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ResNet-50, batch 256, 200 epochs: 46.8 % nearest neighbor top-1
                in the official README. Not yet run here.
  :imagenet18   ResNet-18, the same: 41.0 %. Not yet run here.

https://github.com/zhirongw/lemniscate.pytorch: README.md has the command
(--nce-k 4096 --nce-t 0.07 --lr 0.03 --nce-m 0.5 --low-dim 128 -b 256), main.py
what it leaves out (--epochs 200, --wd 1e-4, rate tenfold lower at epochs 120
and 160, crops of 0.2 to 1).
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
      'imagenet': lambda: imagenet(50),
      'imagenet18': lambda: imagenet(18),
    },
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  config = recipes.photos(
    'instdisc', projection_size=64, num_noise=0, temperature=0.1
  )
  config.optim.learning_rate = 3e-3
  return recipes.small_views(config, 'moco_v1', num_crops=1)


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(projection_size=8)
  return config


def imagenet(depth):
  """The official README's command."""
  config = recipes.imagenet(
    'instdisc',
    num_epochs=200,
    batch_size=256,
    projection_size=128,
    num_noise=4096,
    temperature=0.07,
    momentum=0.5,
  )
  config.net.update(depth=depth, zero_init_last=False)
  config.views.update(name='moco_v1', size=224, num_crops=1)
  config.optim = config_lib.group(
    name='sgd', learning_rate=0.03, weight_decay=1e-4, drops=(0.6, 0.8)
  )
  return config
