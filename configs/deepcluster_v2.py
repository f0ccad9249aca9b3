"""DeepCluster v2: Caron et al. 2020, https://arxiv.org/abs/2006.09882.

It is in the appendix of the paper of SwAV.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet, two crops and two smaller ones: kNN
                0.862, linear probe 0.819; random initialization 0.703 and 0.735
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ResNet-50, batch 4,096, 800 epochs, 2 x 224 + 6 x 96: 75.2 %
                linear top-1 in the official README. Not yet run here.
  :imagenet400  400 epochs, 2 x 160 + 4 x 96: 74.3 % in the official README. Not
                yet run here.

Where the numbers stand: scripts/deepclusterv2_800ep_pretrain.sh and
deepclusterv2_400ep_pretrain.sh (64 x 64 images, --base_lr 4.8 --final_lr 0.0048
--wd 0.000001 --warmup_epochs 10 --temperature 0.1 --feat_dim 128
--nmb_prototypes 3000 3000 3000, sizes and scales of the crops);
main_deepclusterv2.py (LARC around SGD, trust coefficient 0.001, on all
parameters; 10 iterations of k-means; hidden width 2,048). The warm-up there
starts at 0.3, here at 0.
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
      'cifar10': cifar10,
      'imagenet': lambda: imagenet(800, (224, 96), (2, 6), 0.14),
      'imagenet400': lambda: imagenet(400, (160, 96), (2, 4), 0.08),
    },
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  # The banks hold one view of an image. Where views differ much, or an epoch of
  # 28 steps is all between two clusterings, their clusters are of noise, which
  # the embedding shrinks from.
  config = recipes.photos(
    'deepcluster_v2',
    num_prototypes=(32, 32, 32),
    every_steps=56,
    hidden_size=256,
    projection_size=64,
  )
  config.optim.learning_rate = 2e-3
  return recipes.small_views(
    config,
    'swav',
    size=(32, 16),
    num_crops=(2, 2),
    crop_scale=((0.4, 1.0), (0.1, 0.4)),
    brightness=0.4,
    contrast=0.4,
    saturation=0.2,
    hue=0.1,
  )


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = (16, 8)
  config.method.update(
    num_prototypes=(4, 6),
    every_steps=2,
    hidden_size=16,
    projection_size=8,
    num_iterations=3,
  )
  return config


def cifar10():
  """An epoch is 390 steps."""
  config = recipes.cifar10(photos())
  config.method.update(num_prototypes=(100, 100, 100), every_steps=390)
  return config


def imagenet(num_epochs, size, num_crops, smallest):
  """The official commands."""
  config = recipes.imagenet(
    'deepcluster_v2',
    num_epochs=num_epochs,
    batch_size=4096,
    num_prototypes=(3000, 3000, 3000),
    every_steps=recipes.steps(1, 4096),
    hidden_size=2048,
    projection_size=128,
    temperature=0.1,
    num_iterations=10,
  )
  config.net.zero_init_last = False
  config.views.update(
    name='swav',
    size=size,
    num_crops=num_crops,
    crop_scale=((smallest, 1.0), (0.05, 0.14)),
  )
  config.optim.update(
    name='lars',
    learning_rate=0.3,
    weight_decay=1e-6,
    mask='all',
    separate_norms=True,
    eps=1e-8,
    warmup_steps=recipes.steps(10, 4096),
    final_ratio=0.001,
  )
  return config
