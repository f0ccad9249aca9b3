"""iBOT: Zhou et al. 2021, https://arxiv.org/abs/2111.07832.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ViT, 2 x 32 + 4 x 16 pixels. Not yet run here.
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ViT-S/16, 2 x 224 + 10 x 96, batch 1,024, 800 epochs: 75.2 %
                kNN, 77.9 % linear top-1 (official README). Not yet run here.

Deviations of :imagenet from the official code: the learning rate meets its peak
one step later; the teacher's temperatures move at each step of their warm-up,
not at each epoch; the mask token starts at normal 0.02, not at 0.
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
    'ibot',
    num_prototypes=1024,
    hidden_size=256,
    bottleneck_size=64,
    momentum=0.98,
    teacher_temperature=0.04,
    patch_temperature=0.04,
    frozen_steps=30,
  )
  recipes.small_vit(config, positions='learned', masking='token', drop_path=0.1)
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
    num_prototypes=24, hidden_size=16, bottleneck_size=8, frozen_steps=1
  )
  return config


def imagenet():
  """The official README's command on 16 devices; main_ibot.py's defaults."""
  batch_size = 1024  # --batch_size_per_gpu 64
  config = recipes.imagenet(
    'ibot',
    num_epochs=800,  # --epochs
    batch_size=batch_size,
    num_prototypes=8192,  # --out_dim, with --shared_head true
    hidden_size=2048,  # DINOHead
    bottleneck_size=256,  # DINOHead
    learned_gain=True,  # --norm_last_layer false
    mask_ratios=(0.0, 0.3),  # --pred_ratio
    mask_spreads=(0.0, 0.2),  # --pred_ratio_var
    momentum=0.996,  # --momentum_teacher
    teacher_temperature=0.07,  # --teacher_temp
    patch_temperature=0.07,  # --teacher_patch_temp
    warmup_steps=recipes.steps(30, batch_size),  # --warmup_teacher_temp_epochs
    frozen_steps=recipes.steps(1, batch_size),  # --freeze_last_layer
  )
  config.net = config_lib.group(
    name='vit',
    size='small',  # vit_small
    patch_size=16,  # --patch_size
    positions='learned',
    masking='token',
    drop_path=0.1,  # --drop_path
  )
  config.views = config_lib.group(
    name='dino',
    num_crops=(1, 1, 10),  # --local_crops_number
    crop_scale=((0.25, 1.0), (0.25, 1.0), (0.05, 0.25)),
  )  # --global_crops_scale, --local_crops_scale
  config.optim = config_lib.group(
    name='adamw',  # --optimizer
    learning_rate=0.0005,  # --lr, at a batch of 256
    final_ratio=0.0005,  # --min_lr 1e-6 of 0.002
    warmup_steps=recipes.steps(10, batch_size),  # --warmup_epochs
    weight_decay=0.04,  # --weight_decay
    final_weight_decay=0.4,  # --weight_decay_end
    clip_each_norm=3.0,  # --clip_grad
  )
  return config
