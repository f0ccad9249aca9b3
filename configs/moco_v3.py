"""MoCo v3: Chen et al. 2021, https://arxiv.org/abs/2104.02057.

Recipes, and what each was seen to reach:

  (nothing)       photos, a small transformer. Not yet run here.
  :smoke          a few steps of a tiny transformer, for tests
  :cifar10        CIFAR-10, the same transformer. Not yet run here.
  :imagenet       ViT-B/16, batch 4,096, 300 epochs: 76.7 % linear top-1 in the
                  official README. Not yet run here.
  :imagenet_small ViT-S/16, the same: 73.2 %. Not yet run here.
  :resnet50       ResNet-50, batch 4,096, 100 epochs: 68.9 % linear top-1 in the
                  official README. Not yet run here.
  :resnet50_1000  the same, 1,000 epochs: 74.6 %. Not yet run here.

Of https://github.com/facebookresearch/moco-v3, CONFIG.md has the commands (-a,
--lr, --wd, --epochs, --warmup-epochs, --moco-m, --moco-t, --crop-min), and
main_moco.py the defaults of what they leave out (-b 4096, --moco-dim 256,
--moco-mlp-dim 4096).
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
      'imagenet': lambda: vit('base'),
      'imagenet_small': lambda: vit('small'),
      'resnet50': lambda: resnet50(100, 0.6, 1e-6, 0.99),
      'resnet50_1000': lambda: resnet50(1000, 0.3, 1.5e-6, 0.996),
    },
  )


def photos():
  """Small transformer, small images: the whole path in minutes."""
  config = recipes.photos(
    'moco_v3', hidden_size=256, projection_size=64, momentum=0.98
  )
  recipes.small_vit(config, initializer='moco_v3')
  return recipes.small_views(config, 'byol', crop_scale=(0.2, 1.0))


def smoke():
  """A few steps of a tiny transformer."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(hidden_size=16, projection_size=8)
  return config


def vit(size):
  """The official commands for transformers; all have twelve heads."""
  config = recipes.imagenet(
    'moco_v3', num_epochs=300, batch_size=4096, temperature=0.2, momentum=0.99
  )
  config.net = config_lib.group(
    name='vit', size=size, num_heads=12, initializer='moco_v3'
  )
  config.views.update(name='byol', size=224, interpolation='bilinear')
  config.optim = config_lib.group(
    name='adamw',
    learning_rate=1.5e-4,
    weight_decay=0.1,
    mask='all',
    warmup_steps=recipes.steps(40, 4096),
  )
  return config


def resnet50(num_epochs, learning_rate, weight_decay, momentum):
  """The official commands for ResNet-50, and MoCo_ResNet's heads."""
  config = recipes.imagenet(
    'moco_v3',
    num_epochs=num_epochs,
    batch_size=4096,
    num_hidden=1,
    predictor_norm=False,
    temperature=1.0,
    momentum=momentum,
    frozen_patches=False,
  )
  config.views.update(
    name='byol', size=224, interpolation='bilinear', crop_scale=(0.2, 1.0)
  )
  config.optim.update(
    name='lars',
    learning_rate=learning_rate,
    weight_decay=weight_decay,
    warmup_steps=recipes.steps(10, 4096),
  )
  return config
