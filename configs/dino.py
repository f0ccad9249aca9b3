"""DINO: Caron et al. 2021, https://arxiv.org/abs/2104.14294.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ViT, 2 x 32 + 4 x 16 pixels: kNN 0.773, linear
                probe 0.884; random initialization 0.777 and 0.727
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ViT-S/16, 2 x 224 + 8 x 96, batch 512, 100 epochs: 69.3 % kNN,
                74.0 % linear top-1 (official README). Not yet run here.
  :imagenet300  batch 1,024, 300 epochs, a warmer teacher, learned gains: 73.3 %
                kNN, 76.0 % linear (official README). Not yet run here.

Deviations of both from the official code: the learning rate meets its peak one
step later; the teacher's temperature moves at each step of its warm-up, not at
each epoch.
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
      'imagenet': lambda: imagenet(100, 512),
      'imagenet300': imagenet300,
    },
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  config = recipes.photos(
    'dino',
    num_prototypes=1024,
    hidden_size=256,
    bottleneck_size=64,
    momentum=0.98,
    frozen_steps=30,
  )
  recipes.small_vit(config, positions='learned', drop_path=0.1)
  config.batch_size = 64
  config.optim.update(learning_rate=4e-3, clip_each_norm=3.0)
  return recipes.small_views(
    config,
    'dino',
    size=(32, 32, 16),
    num_crops=(1, 1, 4),
    crop_scale=((0.3, 1.0), (0.3, 1.0), (0.1, 0.3)),
  )


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.net.image_size = 16
  config.views.update(size=(16, 16, 8), num_crops=(1, 1, 2))
  config.method.update(
    num_prototypes=24,
    hidden_size=16,
    bottleneck_size=8,
    frozen_steps=1,
  )
  # Inside so narrow a head numbers are small, and unit vectors turn quickly.
  config.optim.learning_rate = 2e-4
  return config


def imagenet(num_epochs, batch_size):
  """The official README's command of one node, and main_dino.py's defaults."""
  config = recipes.imagenet(
    'dino',
    num_epochs=num_epochs,
    batch_size=batch_size,  # --batch_size_per_gpu 64
    num_prototypes=65536,  # --out_dim
    hidden_size=2048,  # DINOHead
    bottleneck_size=256,  # DINOHead
    momentum=0.996,  # --momentum_teacher
    student_temperature=0.1,  # DINOLoss
    teacher_temperature=0.04,  # --teacher_temp
    first_teacher_temperature=0.04,  # --warmup_teacher_temp
    center_momentum=0.9,  # DINOLoss
    frozen_steps=recipes.steps(1, batch_size),  # --freeze_last_layer
  )
  config.net = config_lib.group(
    name='vit',
    size='small',  # --arch
    patch_size=16,  # --patch_size
    positions='learned',
    drop_path=0.1,  # --drop_path_rate
  )
  config.views = config_lib.group(
    name='dino'
  )  # --global_crops_scale and others
  config.optim = config_lib.group(
    name='adamw',  # --optimizer
    learning_rate=0.0005,  # --lr, at a batch of 256
    final_ratio=1e-6 / (0.0005 * batch_size / 256),  # --min_lr
    warmup_steps=recipes.steps(10, batch_size),  # --warmup_epochs
    weight_decay=0.04,  # --weight_decay
    final_weight_decay=0.4,  # --weight_decay_end
    clip_each_norm=3.0,  # --clip_grad
  )
  return config


def imagenet300():
  """The official README's full command, on 16 devices."""
  config = imagenet(300, 1024)
  config.method.update(
    teacher_temperature=0.07,  # --teacher_temp
    temperature_warmup_steps=recipes.steps(30, 1024),
    learned_gain=True,  # --norm_last_layer false
  )
  return config
