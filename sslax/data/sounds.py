"""`sounds`: synthetic sounds of ten kinds, with no download.

No package that sslax needs ships recordings, so these are computed: pure
formulas with random pitch, loudness, onset, length and background noise. The
label is the formula. They are a smoke test of learning, not a benchmark; ESC-10
and the like are the real thing.
"""

import numpy as np

from sslax.data import arrays
from sslax.data import source as sources

RATE = 8000  # samples a second
LENGTH = 2 * RATE  # samples of a sound
COUNTS = {'train': 96, 'test': 24}  # sounds of each kind
_LARGEST = 32767  # of int16
_FADE = RATE // 100  # samples


def _sine(frequency):
  """A sine of a frequency that changes with time, in Hz."""
  return np.sin(2 * np.pi * np.cumsum(frequency) / RATE)


def _pitch(rng, low=150, high=1500):
  return np.exp(rng.uniform(*np.log((low, high))))


def _steady(rng, t):
  return _sine(_pitch(rng) + 0 * t)


def _harmonics(rng, t):
  pitch, strengths = _pitch(rng, 100, 500), rng.uniform(0.2, 1, 7)
  parts = [a * _sine(k * pitch + 0 * t) for k, a in enumerate(strengths, 1)]
  return np.sum(parts, axis=0)


def _rising(rng, t):
  start, share = _pitch(rng, 150, 800), t / t[-1]
  return _sine(start * rng.uniform(2, 4) ** share)


def _falling(rng, t):
  return _rising(rng, t)[::-1].copy()


def _beating(rng, t):
  swell = np.sin(np.pi * rng.uniform(3, 12) * t) ** 2
  return _steady(rng, t) * (1 - rng.uniform(0.6, 1) * swell)


def _wailing(rng, t):
  swing = np.sin(2 * np.pi * rng.uniform(1, 6) * t)
  return _sine(_pitch(rng, 300, 1200) * (1 + rng.uniform(0.1, 0.5) * swing))


def _hiss(rng, t):
  """Noise in a band around a random pitch."""
  center, width = _pitch(rng, 300, 3000), rng.uniform(0.1, 0.6)
  band = lambda f: np.exp(-(((f / center - 1) / width) ** 2))  # noqa: E731
  return _filtered(rng, len(t), band)


def _rumble(rng, t):
  """Noise that falls with frequency."""
  corner = _pitch(rng, 60, 300)
  return _filtered(rng, len(t), lambda f: 1 / (1 + (f / corner) ** 2))


def _clicks(rng, t):
  """Short decaying rings at a steady pace."""
  since = t % (1 / rng.uniform(3, 15))
  ring = np.sin(2 * np.pi * _pitch(rng, 500, 3000) * since)
  return ring * np.exp(-since * rng.uniform(100, 400))


def _bursts(rng, t):
  """White noise, on and off."""
  rate, share = rng.uniform(2, 8), rng.uniform(0.2, 0.5)
  return rng.standard_normal(len(t)) * ((t * rate) % 1 < share)


KINDS = {
  'steady': _steady,
  'harmonics': _harmonics,
  'rising': _rising,
  'falling': _falling,
  'beating': _beating,
  'wailing': _wailing,
  'hiss': _hiss,
  'rumble': _rumble,
  'clicks': _clicks,
  'bursts': _bursts,
}


def load(*, split: str, seed: int = 0) -> sources.Source:
  """Computes the sounds: 96 of each kind for training, 24 for testing.

  Args:
    split: 'train' or 'test'.
    seed: of all that is random.
  """
  sources.check_split(split)
  rng = np.random.default_rng([seed, sources.SPLITS.index(split)])
  made = [make(kind, rng) for kind in KINDS for _ in range(COUNTS[split])]
  return arrays.of_columns(
    {'audio': np.stack(made)},
    np.repeat(np.arange(len(KINDS)), COUNTS[split]),
    class_names=tuple(KINDS),
    name='sounds',
    split=split,
    sample_rate=RATE,
  )


def make(kind: str, rng) -> np.ndarray:
  """One sound of a kind: int16 [16000], 2 seconds.

  It begins within the first half second, lasts 1 to 1.5 seconds, is up to 20 dB
  softer than full scale, and has white noise 15 to 40 dB below it all along.

  Args:
    kind: a key of KINDS.
    rng: numpy Generator.
  """
  begin = rng.integers(0, LENGTH // 4)
  count = rng.integers(LENGTH // 2, LENGTH * 3 // 4)
  x = KINDS[kind](rng, np.arange(count) / RATE)
  x[:_FADE] *= np.linspace(0, 1, _FADE)
  x[-_FADE:] *= np.linspace(1, 0, _FADE)
  x = x / np.abs(x).max()
  sound = rng.standard_normal(LENGTH) * 10 ** (rng.uniform(-40, -15) / 20) / 3
  sound[begin : begin + count] += x
  loudness = 10 ** (rng.uniform(-20, 0) / 20)
  sound *= loudness / np.abs(sound).max()
  return np.round(sound * _LARGEST).astype(np.int16)


def _filtered(rng, count, gain):
  spectrum = np.fft.rfft(rng.standard_normal(count))
  spectrum *= gain(np.fft.rfftfreq(count, 1 / RATE))
  return np.fft.irfft(spectrum, count)
