"""What every score stands beside: features of the input without any learning.

A row of the table is a modality; each of its baselines is a function of what
the source gives, and what is done with the training split's mean.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sslax import shapes
from sslax.data import tokenizer
from sslax.data.source import Source
from sslax.evals import features
from sslax.ops.log_mel import log_mel

_RAW_SIZE = 32  # pixels; raw pixels of larger images are compared at this size
_NUM_WORD_DIMENSIONS = 256
_NOMINAL_RATE = 8000  # samples a second, where the source does not know


class Baseline(NamedTuple):
  """Features that nobody learned.

  Attributes:
    make: train source -> function of examples [B, ...] -> [B, D].
    center: whether the training mean is subtracted.
    scale: whether each feature is divided by its standard deviation in train.
  """

  make: Callable[[Source], Callable[[Any], jax.Array]]
  center: bool = True
  scale: bool = False

  def fitted(self, train: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Returns what is done with features, given those of train [N, D]."""
    mean = train.mean(0, keepdims=True) * self.center
    std = train.std(0, keepdims=True) if self.scale else 1.0
    return lambda rows: (rows - mean) / np.maximum(std, 1e-6)


def raw_pixels(images):
  """Flattens pixels at 32 x 32 or less; of a video those of the mean frame.

  Args:
    images: [B, H, W, C] or [B, T, H, W, C] uint8.

  Returns:
    [B, D] float32 in [0, 1].
  """
  pixels = images.astype(jnp.float32) / 255
  pixels = pixels.mean(1) if pixels.ndim == 5 else pixels
  b, h, w, c = pixels.shape
  size = (b, min(h, _RAW_SIZE), min(w, _RAW_SIZE), c)
  return jax.image.resize(pixels, size, 'linear').reshape(b, -1)


def log_mel_statistics(sounds, sample_rate: int):
  """Mean, standard deviation and maximum over time of each log-mel band.

  Args:
    sounds: [B, S] int16.
    sample_rate: samples a second; a window is 25 ms, every 10 ms.

  Returns:
    [B, 192] float32.
  """
  bands = log_mel(
    sounds,
    sample_rate=sample_rate,
    window=sample_rate // 40,
    hop=sample_rate // 100,
    high=sample_rate / 2,
  )
  return jnp.concatenate([bands.mean(1), bands.std(1), bands.max(1)], axis=1)


def mean_word_vector(tokens, vectors):
  """Mean of the vectors of a text's tokens, special ones left out.

  Args:
    tokens: [B, L] int32; one of the first four is special.
    vectors: [V, D].

  Returns:
    [B, D]; 0 for a text without tokens.
  """
  shapes.check(tokens=(tokens, 'B L'), vectors=(vectors, 'V D'))
  kept = (tokens >= len(tokenizer.SPECIAL)).astype(vectors.dtype)
  total = jnp.einsum('bl,bld->bd', kept, vectors[tokens])
  return total / jnp.maximum(kept.sum(1, keepdims=True), 1)


def inverse_document_frequency(tokens: np.ndarray, vocab_size: int):
  """log((1 + N) / (1 + n_v)) + 1, n_v being the texts that have token v.

  Args:
    tokens: [N, L] of all training texts.
    vocab_size: V.

  Returns:
    [V] float32; 0 for the special tokens.

  References:
    scikit-learn's TfidfTransformer (smooth_idf).
  """
  count = np.zeros(vocab_size)
  for row in tokens:
    count[np.unique(row)] += 1
  idf = np.log((1 + len(tokens)) / (1 + count)) + 1
  idf[: len(tokenizer.SPECIAL)] = 0
  return idf.astype(np.float32)


def tf_idf(tokens, idf):
  """How often a text has each token, times its idf, at length one.

  Args:
    tokens: [B, L] int32.
    idf: [V], from inverse_document_frequency.

  Returns:
    [B, V].
  """
  rows = jnp.arange(len(tokens))[:, None]
  counts = jnp.zeros((len(tokens), len(idf)), idf.dtype).at[rows, tokens].add(1)
  weighted = counts * idf[None]
  norm = jnp.linalg.norm(weighted, axis=1, keepdims=True)
  return weighted / jnp.maximum(norm, 1e-12)


def _pixels(train):
  del train
  return jax.jit(raw_pixels)


def _log_mel_stats(train):
  rate = train.sample_rate or _NOMINAL_RATE
  return jax.jit(lambda sounds: log_mel_statistics(sounds, rate))


def _word_vectors(train):
  shape = (train.tokenizer.vocab_size, _NUM_WORD_DIMENSIONS)
  vectors = jax.random.normal(jax.random.key(0), shape, jnp.float32)
  return jax.jit(lambda tokens: mean_word_vector(tokens, vectors))


def _tf_idf(train):
  tokens = features.column(train, 'text')
  idf = inverse_document_frequency(tokens, train.tokenizer.vocab_size)
  return jax.jit(lambda tokens: tf_idf(tokens, jnp.asarray(idf)))


# key of a batch: name in evaluations.jsonl (log.BASELINES has the words) -> it
BASELINES: dict[str, dict[str, Baseline]] = {
  'image': {'raw_pixels': Baseline(_pixels)},
  'video': {'raw_pixels': Baseline(_pixels)},
  'audio': {'log_mel_stats': Baseline(_log_mel_stats, scale=True)},
  'text': {
    'word_vectors': Baseline(_word_vectors),
    'tf_idf': Baseline(_tf_idf, center=False),
  },
}
