"""data2vec, vision: Baevski et al. 2022, https://arxiv.org/abs/2202.03555.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ViT. Not yet run here.
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ViT-B/16, batch 2,048, 800 epochs, a constant momentum: the
                command of the paper's ViT-B. Not yet run here.
  :fairseq      ViT-B/16, batch 1,024, 375,300 steps, a momentum that rises on
                a line. Not yet run here.

Deviations of the last two from the official code: no dropout of attention
weights (there 0.05), absolute positions (there relative), and the class token
decays.
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
      'fairseq': fairseq,
    },
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  config = recipes.photos(
    'data2vec',
    num_blocks=2,
    min_block=4,
    momentum=0.98,
    final_momentum=0.999,
    momentum_steps=500,
  )
  recipes.small_vit(config, masking='token', pool='mean')
  config.optim.update(clip_norm=3.0)
  config.views = config_lib.group(name='crop_flip', size=32)
  return config


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.net.image_size = 16
  config.method.update(num_blocks=1, momentum_steps=4)
  return config


def imagenet():
  """The ViT-B command of facebookresearch/data2vec_vision, beit/README.md."""
  batch_size = 2048  # 16 devices of 128
  config = recipes.imagenet(
    'data2vec',
    num_epochs=800,  # --epochs
    batch_size=batch_size,
    num_blocks=6,  # --target_layers [6,7,8,9,10,11]
    blocks='blocks',  # --layer_results 'end'
    mask_ratio=120 / 196,  # --num_mask_patches
    min_block=16,  # --min_mask_patches_per_block
    beta=2.0,  # --l1_beta
    momentum=0.999,  # --ema_decay_init
    final_momentum=0.9998,  # --ema_decay
    momentum_steps=0,  # --ema_start_at
  )
  config.net = config_lib.group(
    name='vit',
    size='base',  # --model beit_base_patch16_224
    positions='learned',
    pool='mean',
    masking='token',
    drop_path=0.25,  # --drop_path
    layer_scale=1e-4,  # --layer_scale_init_value
    initializer='data2vec',
  )
  config.views = config_lib.group(
    name='crop_flip',  # beit/datasets.py, without --aug_level
    crop_scale=(0.08, 1.0),
    jitter_prob=1.0,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.0,
  )
  config.optim = config_lib.group(
    name='adamw',
    learning_rate=2e-3,  # --lr
    reference_batch_size=None,
    final_ratio=0.005,  # --min_lr 1e-5
    warmup_steps=recipes.steps(10, batch_size),  # --warmup_epochs
    weight_decay=0.05,  # --weight_decay
    clip_norm=3.0,  # --clip_grad
  )
  return config


def fairseq():
  """The vision/pretraining/base_imagenet_d2v1.yaml of fairseq's data2vec."""
  config = imagenet()
  config.batch_size = 1024  # its 1,251 steps an epoch; 16 x 128 would be 2,048
  config.num_steps = 375_300  # max_update
  config.eval.every_steps = config.num_steps // 20
  config.method.update(momentum_steps=config.num_steps)  # ema_decay to its end
  config.optim.update(
    learning_rate=5e-4,  # lr
    final_ratio=0.0,
    warmup_steps=12_510,  # warmup_updates
  )
  return config
