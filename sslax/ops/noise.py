"""Noise for noise-contrastive estimation: words drawn by their frequency."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.precision import at_least_float32


def log_unigram(counts, *, power=1.0):
  """Log-probabilities of words by their counts.

  q_k ∝ c_k^a; a = 1 for NCE language models, 3/4 for word2vec's negatives.

  Args:
    counts: [K] how often each word occurs, at least 0, not all 0.
    power: a, at least 0; 0 is uniform over all words.

  Returns:
    [K] log q; −∞ for a word that never occurs (at a > 0).

  Raises:
    ValueError: counts is not [K].

  References:
    Mnih & Teh, A fast and simple algorithm for training neural probabilistic
    language models, https://arxiv.org/abs/1206.6426, 2012.
    Mikolov et al., Distributed representations of words and phrases and their
    compositionality, https://arxiv.org/abs/1310.4546, 2013.

  >>> [round(x, 4) for x in jnp.exp(log_unigram(jnp.array([1, 3]))).tolist()]
  [0.25, 0.75]
  """
  shapes.check(counts=(counts, 'K'))
  if power == 0:
    return jax.nn.log_softmax(jnp.zeros_like(at_least_float32(counts)))
  return jax.nn.log_softmax(power * jnp.log(at_least_float32(counts)))


def draw(rng, log_noise, shape):
  """Draws words, and gives the log-probability that `losses.nce` asks for.

  Args:
    rng: a JAX key.
    log_noise: [K] of `log_unigram`.
    shape: of the words, (B, number of noise words for each datum).

  Returns:
    (words, log q of them), both of the shape.

  Raises:
    ValueError: log_noise is not [K].

  >>> never_first = jnp.log(jnp.array([0.0, 1.0]))
  >>> words, log_q = draw(jax.random.key(0), never_first, (2,))
  >>> words.tolist(), log_q.tolist()
  ([1, 1], [0.0, 0.0])
  """
  shapes.check(log_noise=(log_noise, 'K'))
  log_noise = jnp.asarray(log_noise)
  words = jax.random.categorical(rng, log_noise, shape=shape)
  return words, log_noise[words]
