"""CLIP: Radford et al. 2021, https://arxiv.org/abs/2103.00020.

Recipes, and what each was seen to reach:

  (nothing)       captioned_photos, whose captions are synthetic, a small ResNet
                  and a small transformer. Not yet run here.
  :smoke          a few steps of a tiny network, for tests
  :twemoji        drawings and their names (data.name=twemoji). Not yet run
                  here.
  :tiny_imagenet  photographs and the names of their classes. Not yet run here.
  :vit_b16        ViT-B/16, 32 epochs of 400 million pairs in batches of
                  32,768, the paper's scale; its data is not public: data.name
                  must be a set of your own. Not yet run here.
"""

from sslax import config as config_lib
from sslax import recipes


def get_config(argument=''):
  """Returns the recipe of an argument."""
  return config_lib.recipe(
    argument,
    {
      '': pairs,
      'smoke': smoke,
      'twemoji': twemoji,
      'tiny_imagenet': tiny_imagenet,
      'vit_b16': vit_b16,
    },
  )


def pairs():
  """Small towers: minutes on a CPU."""
  config = recipes.photos(
    'clip', text_width=64, text_depth=2, text_num_heads=4, projection_size=64
  )
  config.views.update(name='clip', size=32, crop_scale=(0.5, 1.0))
  config.optim.learning_rate = 4e-3
  config.data.update(name='captioned_photos', vocabulary=512, text_length=24)
  config.eval.protocols = ('zero_shot',)
  config.eval.final = ('zero_shot', 'text_retrieval', 'knn', 'linear')
  return config


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(pairs())
  config.views.size = 16
  config.method.update(
    text_width=16, text_depth=1, text_num_heads=2, projection_size=8
  )
  return config


def twemoji():
  """Drawings and their names."""
  config = pairs()
  config.num_steps = 1000
  config.data.update(name='twemoji', vocabulary=2048)
  config.eval.protocols = ('text_retrieval',)
  config.eval.final = ('text_retrieval', 'knn', 'linear')
  return config


def tiny_imagenet():
  """Photographs and the names of their classes."""
  config = pairs()
  config.num_steps = 2300
  config.net.update(width=32)
  config.data.update(name='tiny_imagenet', text='labels')
  config.eval.every_steps = 1150
  return config


def vit_b16():
  """The paper's hyper-parameters of ViT-B/16, in its appendix."""
  config = config_lib.default()
  config.batch_size = 32768
  config.num_steps = 32 * 400_000_000 // config.batch_size  # epochs of pairs
  config.dtype = 'bfloat16'
  config.net = config_lib.group(
    name='vit', size='base', patch_size=16, positions='learned',
    initializer='clip',
  )  # fmt: skip
  config.method.update(
    name='clip', text_width=512, text_depth=12, text_num_heads=8,
    projection_size=512,
  )  # fmt: skip
  config.views.update(name='clip', size=224)
  config.optim = config_lib.group(
    name='adamw',
    learning_rate=5e-4,
    reference_batch_size=None,
    weight_decay=0.2,
    beta1=0.9,
    beta2=0.98,
    eps=1e-6,
    warmup_steps=2000,
  )
  config.data.update(vocabulary=49408, text_length=77)
  config.eval.protocols = ('zero_shot',)
  config.eval.final = ('zero_shot', 'text_retrieval')
  config.log.every_steps = 50
  return config
