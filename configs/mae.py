"""MAE: He et al. 2021, https://arxiv.org/abs/2111.06377.

Recipes, and what each was seen to reach:

  (nothing)       photos, a small transformer: kNN 0.869, linear probe 0.852;
                  random initialization 0.775 and 0.719
  :smoke          a few steps of a tiny network, for tests
  :cifar10        CIFAR-10, the same network. Not yet run here.
  :imagenet       ViT-L/16, batch 4,096, 800 epochs: 85.5 % after fine-tuning in
                  the official PRETRAIN.md. Not yet run here.
  :imagenet_base  ViT-B/16, 1,600 epochs: 83.6 % after fine-tuning in the
                  official README. Not yet run here.

Where the numbers of :imagenet stand: PRETRAIN.md's command (--model
mae_vit_large_patch16 --norm_pix_loss --mask_ratio 0.75 --epochs 800
--warmup_epochs 40 --blr 1.5e-4 --weight_decay 0.05, batch 64 x 64);
main_pretrain.py (AdamW, betas 0.9 and 0.95, a cosine to 0, no decay of biases
and norms; crops of 0.2 to 1, bicubic, and flips); models_mae.py (decoder of
width 512, 8 blocks, 16 heads).
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
      'imagenet': lambda: imagenet('large', 800),
      'imagenet_base': lambda: imagenet('base', 1600),
    },
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  config = recipes.photos(
    'mae', decoder_width=64, decoder_depth=1, decoder_num_heads=4
  )
  recipes.small_vit(config, masking='drop', pool='mean', initializer='mae')
  config.optim.beta2 = 0.95
  return recipes.small_views(config, 'crop_flip')


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(decoder_width=16, decoder_num_heads=2)
  return config


def imagenet(size, num_epochs):
  """The official command."""
  config = recipes.imagenet(
    'mae',
    num_epochs=num_epochs,
    batch_size=4096,
    mask_ratio=0.75,
    decoder_width=512,
    decoder_depth=8,
    decoder_num_heads=16,
  )
  config.net = config_lib.group(
    name='vit', size=size, masking='drop', initializer='mae'
  )
  config.views.update(name='crop_flip', size=224)
  config.optim.update(
    name='adamw',
    learning_rate=1.5e-4,
    weight_decay=0.05,
    beta2=0.95,
    warmup_steps=recipes.steps(40, 4096),
  )
  return config
