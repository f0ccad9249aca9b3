import math

import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.ops.log_mel import log_mel, mel_bands

_SMALL = {
  'sample_rate': 800,
  'num_mels': 5,
  'window': 20,
  'hop': 8,
  'fft_size': 32,
  'low': 30.0,
  'high': 380.0,
}


def _noise(shape=(2, 70)):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _mel(hertz):
  return 2595 * math.log10(1 + hertz / 700)


def _loop(wave, sample_rate, num_mels, window, hop, fft_size, low, high):
  """One waveform, in float64 and plain loops: a slow Fourier transform."""
  step = (_mel(high) - _mel(low)) / (num_mels + 1)
  frames = []
  for start in range(0, len(wave) - window + 1, hop):
    mels = np.zeros(num_mels)
    for k in range(1, fft_size // 2 + 1):
      total = 0
      for n in range(window):
        hann = math.sin(math.pi * n / window) ** 2
        angle = -2j * math.pi * k * n / fft_size
        total += hann * float(wave[start + n]) * np.exp(angle)
      place = (_mel(k * sample_rate / fft_size) - _mel(low)) / step
      for f in range(num_mels):
        mels[f] += max(0, 1 - abs(place - f - 1)) * abs(total)
    frames.append(np.log(np.clip(mels, 1e-5, 1e8)))
  return np.array(frames)


def test_equals_a_slow_loop():
  got = log_mel(_noise(), **_SMALL)
  want = np.stack([_loop(wave, **_SMALL) for wave in _noise()])
  assert got.shape == (2, 7, 5)
  assert got.dtype == jnp.float32
  np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)


def test_equals_tensorflow_with_colas_settings():
  tf = pytest.importorskip('tensorflow')
  wave = _noise((1, 1600)) * np.sin(np.arange(1600, dtype=np.float32) / 9)
  stft = tf.signal.stft(wave, 400, 160, 1024)
  bands = tf.signal.linear_to_mel_weight_matrix(64, 513, 16000, 60.0, 7800.0)
  mels = tf.tensordot(tf.abs(stft), bands, 1)
  want = tf.math.log(tf.clip_by_value(mels, 1e-5, 1e8)).numpy()
  np.testing.assert_allclose(log_mel(wave), want, rtol=0, atol=2e-3)
  got = mel_bands(16000, 64, 1024, 60.0, 7800.0)
  np.testing.assert_allclose(got, bands.numpy(), atol=1e-5)


def test_int16_is_the_same_sound():
  samples = (_noise() * 3000).astype(np.int16)
  got = log_mel(samples, **_SMALL)
  want = log_mel(samples.astype(np.float32) / 32767, **_SMALL)
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_a_tone_lies_in_its_band():
  seconds = np.arange(1600) / 16000
  bands = mel_bands(16000, 64, 1024, 60.0, 7800.0)
  for hertz in (300, 1000, 4000):
    tone = np.sin(2 * np.pi * hertz * seconds)[None].astype(np.float32)
    band = int(np.argmax(log_mel(tone)[0].mean(0)))
    near = np.arange(513)[bands[:, band] > 0] * 16000 / 1024
    assert near.min() - 16 <= hertz <= near.max() + 16


def test_silence_is_the_smallest_value():
  np.testing.assert_allclose(
    log_mel(np.zeros((1, 20), np.float32), **_SMALL), math.log(1e-5), rtol=1e-5
  )


def test_bfloat16_rises_and_float64_stays(x64):
  wave = jnp.asarray(_noise())
  assert log_mel(wave.astype(jnp.bfloat16), **_SMALL).dtype == jnp.float32
  got = log_mel(wave.astype(jnp.float64), **_SMALL)
  want = np.stack([_loop(wave, **_SMALL) for wave in _noise()])
  np.testing.assert_allclose(got, want, rtol=0, atol=1e-10)


def test_bad_input():
  with pytest.raises(BadInputError, match=r'high=7800.0 .*sample_rate=8000'):
    log_mel(_noise((1, 500)), sample_rate=8000)
  with pytest.raises(ValueError, match=r'waveform has shape \[70\]'):
    log_mel(_noise()[0], **_SMALL)
  with pytest.raises(ValueError, match='at least one window of 20'):
    log_mel(_noise((1, 19)), **_SMALL)
