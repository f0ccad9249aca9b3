"""What the recipes of configs/ share: scales of runs, before a method's own."""

from sslax import config as config_lib

IMAGENET_TRAIN = 1_281_167  # images
_SMALL = {'name': 'resnet', 'width': 16, 'stem': 'small_stride2'}
_SMALL_VIT = {
  'name': 'vit',
  'width': 64,
  'depth': 3,
  'num_heads': 2,
  'patch_size': 4,
  'image_size': 32,
}


def photos(method: str, **arguments):
  """The embedded photographs and a small ResNet: minutes on a CPU.

  Args:
    method: its name.
    **arguments: of its factory.
  """
  config = config_lib.default()
  config.num_steps = 500
  config.batch_size = 128
  config.net.update(**_SMALL, stage_sizes=(1, 1, 1))
  config.method.update(name=method, **arguments)
  config.optim.update(
    name='adamw', learning_rate=6e-3, weight_decay=1e-4, warmup_ratio=0.1
  )
  config.data.name = 'photos'
  config.eval.every_steps = 250
  config.checkpoint.every_steps = 250
  return config


def small_vit(config, **arguments):
  """Puts a small transformer on 8 x 8 patches in the place of the ResNet.

  Args:
    config: to change.
    **arguments: of the network.
  """
  config.net = config_lib.group(**{**_SMALL_VIT, **arguments})
  config.optim.update(learning_rate=2e-3, weight_decay=0.05)
  return config


def small_views(config, name: str, **arguments):
  """Views for images of 32 pixels, which a blur or solarization would ruin.

  Args:
    config: to change.
    name: of the recipe of views.
    **arguments: of the recipe of views.
  """
  config.views.update(
    name=name,
    **{'size': 32, 'blur_prob': 0.0, 'solarize_prob': 0.0, **arguments},
  )
  return config


def smoke(config):
  """A few steps of a tiny network, for tests."""
  config.num_steps = 4
  config.batch_size = 16
  if config.net.name == 'resnet':
    config.net.update(width=8, stage_sizes=(1, 1))
  elif config.net.name == 'vit':
    config.net.update(width=16, depth=2, num_heads=2)
  config.log.every_steps = 1
  config.eval.every_steps = 2
  config.checkpoint.every_steps = 2
  return config


def cifar10(config):
  """CIFAR-10 on two CPU cores, 2,300 steps of 128 images: some ten minutes."""
  config.num_steps = 2300
  config.data.name = 'cifar10'
  config.eval.every_steps = 1150
  config.checkpoint.every_steps = 575
  return config


def imagenet(method: str, *, num_epochs: int, batch_size: int, **arguments):
  """ImageNet at a paper's scale, before its optimizer, views and network.

  Args:
    method: its name.
    num_epochs: of 1,281,167 images.
    batch_size: global batch.
    **arguments: of the method's factory.
  """
  config = config_lib.default()
  config.batch_size = batch_size
  config.num_steps = steps(num_epochs, batch_size)
  config.dtype = 'bfloat16'
  config.net.update(name='resnet', depth=50, stem='imagenet')
  config.method.update(name=method, **arguments)
  config.data.update(name='imagenet2012')
  config.eval.every_steps = config.num_steps // 20
  config.checkpoint.every_steps = 1000
  config.log.every_steps = 50
  return config


def steps(num_epochs: float, batch_size: int) -> int:
  """Returns how many steps of ImageNet so many epochs are."""
  return int(num_epochs * IMAGENET_TRAIN) // batch_size
