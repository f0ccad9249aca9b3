"""COLA: Saeed et al. 2020, https://arxiv.org/abs/2010.10915.

Recipes, and what each was seen to reach:

  (nothing)     sounds, which are synthetic, a small network on spectrograms:
                kNN 0.746, linear probe 0.821; random initialization 0.537 and
                0.738, statistics of the spectrogram 0.721 and 0.829
  :smoke        a few steps of a tiny network, for tests
  :esc10        ESC-10 (data.name=esc10), 8 kHz. Not yet run here.
  :audioset     AudioSet, batch 64, 100 epochs of 1,000 steps, with the small
                network and not the paper's EfficientNet-B0. Not yet run here.
"""

from sslax import config as config_lib
from sslax import recipes


def get_config(argument=''):
  """Returns the recipe of an argument."""
  return config_lib.recipe(
    argument,
    {'': sounds, 'smoke': smoke, 'esc10': esc10, 'audioset': audioset},
  )


def sounds():
  """Small network, short segments: minutes on a CPU."""
  config = recipes.photos('cola', sample_rate=8000, projection_size=128)
  config.num_steps = 400
  config.batch_size = 64
  config.net = config_lib.group(
    name='audio_convnet', width=16, stage_sizes=(1, 1, 1)
  )
  config.views = config_lib.group(
    name='waveform', sample_rate=8000, segment_ms=960
  )
  config.optim.learning_rate = 4e-3
  config.data.name = 'sounds'
  config.eval.every_steps = 200
  return config


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(sounds())
  config.batch_size = 8
  config.net.update(width=8, stage_sizes=(1, 1))
  config.method.update(projection_size=8, num_mels=16)
  config.views.segment_ms = 240
  return config


def esc10():
  """Environmental sounds of five seconds."""
  config = sounds()
  config.num_steps = 1500
  config.data.name = 'esc10'
  config.eval.every_steps = 500
  return config


def audioset():
  """The official main.py: its flags' defaults, with run.sh's data."""
  config = sounds()
  config.num_steps = 100 * 1000  # --epochs, steps_per_epoch
  config.batch_size = 64
  config.net.update(width=64, stage_sizes=(2, 2, 2, 2))
  config.method.update(sample_rate=16000, projection_size=512)
  config.views.update(sample_rate=16000, unit_norm=True)
  config.optim.update(
    learning_rate=0.001,
    reference_batch_size=None,
    weight_decay=0.0,
    warmup_ratio=0.0,
    final_ratio=1.0,
  )
  config.data.name = 'audioset'
  return config
