"""Views of sounds: random segments, cut on the device."""

import functools

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.data.view_policy import require
from sslax.data.views import Views
from sslax.ops.log_mel import log_mel
from sslax.ops.precision import at_least_float32

_LARGEST = 32767  # of int16
_WINDOW_MS, _HOP_MS = 25, 10  # of a spectrogram, as COLA has them
_NUM_MELS = 64
_LOW = 60.0  # Hz


def make(
  *,
  sample_rate: int = 8000,
  segment_ms: int = 960,
  num_views: int = 2,
  unit_norm: bool = False,
  dtype='float32',
) -> Views:
  """Random segments of each sound, as waveforms in [-1, 1].

  `apply` takes sounds [B, S] int16 and gives num_views arrays [B, s], where s
  is segment_ms in samples; where a sound is shorter it is padded with silence
  on both sides. `evaluate` gives [B, N, s]: the sound in N segments one after
  the other, the last padded with silence; a method's features are to be
  averaged over N. A picture is a log-mel spectrogram, low sounds below.

  Args:
    sample_rate: of the source, in samples a second.
    segment_ms: length of a segment, in milliseconds.
    num_views: how many segments of each sound.
    unit_norm: whether each sound is scaled to length one before it is cut, and
      each segment of evaluation too, so that loudness is lost.
    dtype: 'float64', or else samples are float32 (bfloat16 is too coarse).

  Raises:
    BadInputError: a value out of range, naming the key.

  References:
    Saeed et al., Contrastive learning of general-purpose audio representations,
    https://arxiv.org/abs/2010.10915, 2020; data.py, contrastive.py and
    supervised.py of
    https://github.com/google-research/google-research/tree/master/cola.

  Deviations:
    The official code always has unit_norm; it adds Gaussian noise to the second
    segment; and its segments have 1 s (980 ms in evaluation), where the paper
    says 960 ms. In evaluation it averages the classifier's outputs; averaged
    features give the same where the classifier is linear.
  """
  for key, value in (('sample_rate', sample_rate), ('segment_ms', segment_ms),
                     ('num_views', num_views)):  # fmt: skip
    whole = isinstance(value, int) and value >= 1
    require(whole, key, value, 'a whole number of at least 1')
  length = sample_rate * segment_ms // 1000
  window = sample_rate * _WINDOW_MS // 1000
  right = f'at least the {_WINDOW_MS} ms of a window'
  require(length >= window, 'segment_ms', segment_ms, right)
  how = {'length': length, 'unit_norm': unit_norm, 'dtype': dtype}
  return Views(
    policies=(),
    apply=functools.partial(_apply, num_views=num_views, **how),
    evaluate=functools.partial(_evaluate, **how),
    unnormalize=functools.partial(picture, sample_rate=sample_rate),
    restore=_restore,
  )


def picture(waveforms, sample_rate: int):
  """Log-mel spectrograms as pictures.

  Args:
    waveforms: [B, s] or, one after the other, [B, N, s], in [-1, 1].
    sample_rate: samples a second.

  Returns:
    [B, 64, T, 3] uint8, time to the right, low sounds below; each picture from
    its own lowest value (black) to its highest (white).
  """
  x = at_least_float32(waveforms)
  x = x.reshape(len(x), -1)
  mel = log_mel(
    x,
    sample_rate=sample_rate,
    num_mels=_NUM_MELS,
    window=sample_rate * _WINDOW_MS // 1000,
    hop=sample_rate * _HOP_MS // 1000,
    low=_LOW,
    high=sample_rate / 2,
  )
  low, high = (f(mel, (1, 2), keepdims=True) for f in (jnp.min, jnp.max))
  gray = (mel - low) / jnp.maximum(high - low, 1e-6)
  gray = jnp.round(255 * gray).astype(jnp.uint8)
  gray = jnp.swapaxes(gray, 1, 2)[:, ::-1, :, None]
  return jnp.broadcast_to(gray, (*gray.shape[:3], 3))


def _samples(sounds, unit_norm, dtype):
  shapes.check(sounds=(sounds, 'B S'))
  if sounds.dtype != jnp.int16:
    raise ValueError(f'sounds have dtype {sounds.dtype}; expected int16')
  x = sounds.astype('float64' if dtype == 'float64' else 'float32') / _LARGEST
  return _unit(x) if unit_norm else x


def _unit(x):
  return x / jnp.sqrt(jnp.sum(x * x, axis=-1, keepdims=True) + 1e-9)


def _apply(rng, sounds, *, num_views, length, unit_norm, dtype):
  x = _samples(sounds, unit_norm, dtype)
  missing = max(0, length - x.shape[1])
  x = jnp.pad(x, ((0, 0), (missing // 2, missing - missing // 2)))
  cut = functools.partial(jax.lax.dynamic_slice_in_dim, slice_size=length)

  def segments(key):
    # A key of split(rng, B) does not depend on B (partitionable threefry).
    keys = jax.random.split(key, len(x))
    start = functools.partial(
      jax.random.randint, shape=(), minval=0, maxval=x.shape[1] - length + 1
    )
    return jax.vmap(cut)(x, jax.vmap(start)(keys))

  return tuple(segments(key) for key in jax.random.split(rng, num_views))


def _evaluate(sounds, *, length, unit_norm, dtype):
  x = _samples(sounds, False, dtype)
  x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % length)))
  x = x.reshape(len(x), -1, length)
  return _unit(x) if unit_norm else x


def _restore(waveforms):
  x = at_least_float32(waveforms)
  x = x.reshape(len(x), -1)
  return jnp.round(jnp.clip(x, -1, 1) * _LARGEST).astype(jnp.int16)
