"""Waveforms to log-mel spectrograms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from sslax import shapes
from sslax.errors import BadInputError
from sslax.ops.precision import at_least_float32

_INT16_MAX = 32767
_SMALLEST, _LARGEST = 1e-5, 1e8


@partial(
  jax.jit,
  static_argnames=(
    'sample_rate',
    'num_mels',
    'window',
    'hop',
    'fft_size',
    'low',
    'high',
  ),
)
def log_mel(
  waveform,
  *,
  sample_rate: int = 16_000,
  num_mels: int = 64,
  window: int = 400,
  hop: int = 160,
  fft_size: int = 1024,
  low: float = 60.0,
  high: float = 7800.0,
):
  """Log of the magnitude spectrogram in triangular mel bands.

    log(clip(Σ_k W_kf |FFT(hann · frame_t)_k|, 1e-5, 1e8))

  The defaults are COLA's: at 16 kHz, windows of 25 ms every 10 ms.

  Args:
    waveform: [B, S] samples; floating-point, or int16, which is divided by
      32,767.
    sample_rate: samples a second.
    num_mels: number F of bands.
    window: samples in a frame, at most fft_size.
    hop: samples from one frame to the next.
    fft_size: points of the Fourier transform; frames are padded with zeros.
    low: lower edge of the first band in Hz.
    high: upper edge of the last band in Hz, at most sample_rate / 2.

  Returns:
    [B, T, F] with T = 1 + (S - window) // hop, in at least float32.

  Raises:
    BadInputError: for bands or windows that do not fit.
    ValueError: the waveform's shape is wrong or shorter than one window.

  References:
    Saeed et al., Contrastive learning of general-purpose audio representations,
    https://arxiv.org/abs/2010.10915, 2020; extract_log_mel_spectrogram in
    https://github.com/google-research/google-research/blob/master/cola/data.py.
    https://www.tensorflow.org/api_docs/python/tf/signal/linear_to_mel_weight_matrix
    (HTK's mel scale).
  """
  sizes = shapes.check(waveform=(waveform, 'B S'))
  if sizes['S'] < window:
    raise ValueError(
      f'waveform has {sizes["S"]} samples; expected at least one window of'
      f' {window}'
    )
  scale = _INT16_MAX if waveform.dtype == jnp.int16 else 1
  samples = at_least_float32(waveform) / scale
  starts = np.arange(0, sizes['S'] - window + 1, hop)
  frames = samples[:, starts[:, None] + np.arange(window)[None]]
  hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
  frames = frames * jnp.asarray(hann, samples.dtype)[None, None]
  magnitude = jnp.abs(jnp.fft.rfft(frames, fft_size))
  bands = mel_bands(sample_rate, num_mels, fft_size, low, high)
  mels = magnitude @ jnp.asarray(bands, magnitude.dtype)
  return jnp.log(jnp.clip(mels, _SMALLEST, _LARGEST))


def mel_bands(
  sample_rate: int, num_mels: int, fft_size: int, low: float, high: float
) -> np.ndarray:
  """Weights of triangular bands, equally wide in mel = 1127 ln(1 + f / 700).

  Args:
    sample_rate: samples a second.
    num_mels: number F of bands.
    fft_size: points of the Fourier transform.
    low: lower edge of the first band in Hz.
    high: upper edge of the last band in Hz.

  Returns:
    [fft_size // 2 + 1, F] float64; the constant (0 Hz) has weight 0.

  Raises:
    BadInputError: unless 0 <= low < high <= sample_rate / 2.
  """
  if not 0 <= low < high <= sample_rate / 2:
    raise BadInputError(
      f'low={low} and high={high} are no bands of a sound of'
      f' sample_rate={sample_rate}; expected 0 <= low < high <='
      f' {sample_rate / 2}'
    )
  bins = _mel(np.arange(fft_size // 2 + 1) * sample_rate / fft_size)[:, None]
  edges = np.linspace(_mel(low), _mel(high), num_mels + 2)
  left, center, right = edges[:-2], edges[1:-1], edges[2:]
  rising = (bins - left) / (center - left)
  falling = (right - bins) / (right - center)
  weights = np.maximum(0, np.minimum(rising, falling))
  weights[0] = 0
  return weights


def _mel(hertz):
  return 1127 * np.log1p(np.asarray(hertz) / 700)
