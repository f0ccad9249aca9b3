"""BYOL: Grill et al. 2020, https://arxiv.org/abs/2006.07733.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet: kNN 0.787, 0.737 and 0.734 in seeds 0 to
                2, 0.05 to 0.08 above random initialization; 4 minutes
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, a small ResNet: kNN 0.445, 9 minutes on two cores
  :imagenet     ResNet-50, batch 4,096, 1,000 epochs: 74.3 % linear top-1 in the
                paper (table 1). Not yet run here.
  :imagenet300  the same, 300 epochs: 72.5 % in the paper (section 5, ablations
                baseline). Not yet run here.
  :folder       your own images: --config.data.path=FOLDER
"""

from sslax import config as config_lib

_IMAGENET_TRAIN = 1_281_167  # images


def get_config(argument=''):
  """Returns the recipe of an argument."""
  return config_lib.recipe(
    argument,
    {
      '': photos,
      'smoke': smoke,
      'cifar10': cifar10,
      'imagenet': lambda: imagenet(1000, 0.2, 1.5e-6, 0.996),
      'imagenet300': lambda: imagenet(300, 0.3, 1e-6, 0.99),
      'folder': folder,
    },
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  config = config_lib.default()
  config.num_steps = 500
  config.batch_size = 128
  config.net.update(
    name='resnet', width=16, stem='small_stride2', stage_sizes=(1, 1, 1)
  )
  config.method.update(
    name='byol', hidden_size=256, projection_size=64, momentum=0.98
  )
  config.views.update(
    name='byol',
    size=32,
    crop_scale=(0.2, 1.0),
    blur_prob=(0.0, 0.0),
    solarize_prob=(0.0, 0.0),
  )
  config.optim.update(
    name='adamw', learning_rate=6e-3, weight_decay=1e-4, warmup_ratio=0.1
  )
  config.data.name = 'photos'
  config.eval.every_steps = 250
  config.checkpoint.every_steps = 250
  return config


def smoke():
  """A few steps of a tiny network."""
  config = photos()
  config.num_steps = 4
  config.batch_size = 16
  config.views.size = 16
  config.net.update(width=8, stage_sizes=(1, 1))
  config.method.update(hidden_size=16, projection_size=8)
  config.log.every_steps = 1
  config.eval.every_steps = 2
  config.checkpoint.every_steps = 2
  return config


def cifar10():
  """CIFAR-10 on two CPU cores."""
  config = photos()
  config.num_steps = 2300
  config.data.name = 'cifar10'
  config.eval.every_steps = 1150
  config.checkpoint.every_steps = 575
  return config


def imagenet(num_epochs, learning_rate, weight_decay, momentum):
  """The paper's recipe: appendix C, and the official presets by epochs."""
  config = config_lib.default()
  config.batch_size = 4096
  config.num_steps = num_epochs * _IMAGENET_TRAIN // config.batch_size
  config.dtype = 'bfloat16'
  config.net.update(name='resnet', depth=50, stem='imagenet')
  config.method.update(
    name='byol', hidden_size=4096, projection_size=256, momentum=momentum
  )
  config.views.update(name='byol', size=224)
  config.optim.update(
    name='lars',
    learning_rate=learning_rate,
    weight_decay=weight_decay,
    warmup_steps=10 * _IMAGENET_TRAIN // config.batch_size,
  )
  config.data.update(name='imagenet2012')
  config.eval.every_steps = config.num_steps // 20
  config.checkpoint.every_steps = 1000
  config.log.every_steps = 50
  return config


def folder():
  """A user's own images, of any size."""
  config = photos()
  config.num_steps = 2000
  config.batch_size = 128
  config.net.update(width=32, stage_sizes=(2, 2, 2, 2), stem='small_stride2')
  config.views.update(size=64)
  config.data.update(name='folder')
  return config
