"""CVRL: Qian et al. 2020, https://arxiv.org/abs/2008.03800.

Recipes, and what each was seen to reach:

  (nothing)     photo_clips, pans and zooms over photographs, a small 3D ResNet.
                Not yet run here.
  :smoke        a few steps of a tiny network, for tests
  :davis        DAVIS 2016 validation (data.name=davis16_val), windows of the
                same 20 videos, the later ones for testing. Not yet run here.
  :kinetics     Kinetics-600, R3D-50, batch 1,024, 200 epochs. By the official
                README 800 epochs of it give 70.4 % linear top-1, with an R3D-50
                whose early stages do not convolve in time. Not yet run here.
"""

from sslax import config as config_lib
from sslax import recipes

_KINETICS_STEPS = 71_488  # cvrl_pretrain_k600_200ep.yaml: train_steps


def get_config(argument=''):
  """Returns the recipe of an argument."""
  return config_lib.recipe(
    argument,
    {'': clips, 'smoke': smoke, 'davis': davis, 'kinetics': kinetics},
  )


def clips():
  """Small network, clips of 8 frames at 32 pixels: minutes on a CPU."""
  config = recipes.photos(
    'cvrl',
    hidden_size=128,
    projection_size=64,
    num_hidden=1,
    temperature=0.2,
  )
  config.num_steps = 300
  config.batch_size = 64
  config.net = config_lib.group(
    name='resnet3d', width=16, stem='small_stride2', stage_sizes=(1, 1, 1)
  )
  config.data.name = 'photo_clips'
  config.eval.every_steps = 150
  return recipes.small_views(config, 'cvrl', num_frames=8, frame_stride=1)


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(clips())
  config.batch_size = 8
  config.views.update(size=16, num_frames=4)
  config.net.update(width=8, stage_sizes=(1, 1))
  config.method.update(hidden_size=16, projection_size=8)
  return config


def davis():
  """Windows of real videos; the class is the video."""
  config = clips()
  config.data.name = 'davis16_val'
  return config


def kinetics():
  """The official cvrl_pretrain_k600_200ep.yaml."""
  config = config_lib.default()
  config.num_steps = _KINETICS_STEPS
  config.batch_size = 1024  # global_batch_size
  config.dtype = 'bfloat16'
  config.net = config_lib.group(name='resnet3d', depth=50, stem='kinetics')
  config.method.update(
    name='cvrl',
    hidden_size=2048,  # configs/video_ssl.py: VideoSSLModel
    projection_size=128,
    num_hidden=3,
    temperature=0.1,
  )
  config.views.update(name='cvrl', size=224, num_frames=16, frame_stride=2)
  config.optim = config_lib.group(
    name='sgd',
    learning_rate=0.32,  # initial_learning_rate, at this batch
    reference_batch_size=None,
    weight_decay=1e-6,  # l2_weight_decay, on kernels
    mask='weights',
    warmup_steps=1787,
  )
  config.data.update(name='kinetics600', clip_frames=64)
  config.eval.every_steps = 5000
  config.log.every_steps = 50
  return config
