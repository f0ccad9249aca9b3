"""Bags of visual words, the targets of OBoW."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.distance import squared_distances
from sslax.ops.precision import at_least_float32


def bag_of_words(features, words, mean_distance, *, sharpness=15.0):
  """Soft-assigns local features to words and keeps each word's maximum.

  y_k ∝ max_n softmax_k(−κ ‖f_n − w_k‖² / d̄), rows of sum 1.

  Args:
    features: [B, N, D] the teacher's feature map, borders cut.
    words: [K, D] the vocabulary: the rows of a queue of local features.
    mean_distance: d̄, the running mean of `nearest_word_distance`.
    sharpness: κ, above 0.

  Returns:
    [B, K] non-negative, rows of sum 1; no gradient flows.

  Raises:
    ValueError: a shape is wrong.

  References:
    Gidaris et al., OBoW: online bag-of-visual-words generation for
    self-supervised learning, https://arxiv.org/abs/2012.11552, 2020. The
    official code: valeoai/obow, bow_extractor.py.

  >>> import numpy as np
  >>> x = np.array([[[0.0], [0.0]]])
  >>> bag = bag_of_words(x, np.array([[0.0], [9.0]]), 1.0)
  >>> bag.round(4).tolist()
  [[1.0, 0.0]]
  """
  distances = _word_distances(features, words)
  codes = jax.nn.softmax(-sharpness / mean_distance * distances, -1)
  bag = jnp.max(codes, 1)
  return jax.lax.stop_gradient(bag / jnp.sum(bag, -1, keepdims=True))


def nearest_word_distance(features, words):
  """Mean squared distance of the local features to their nearest word.

  Args:
    features: [B, N, D].
    words: [K, D].

  Returns:
    Scalar, at least 0, whose moving average is `mean_distance`.

  Raises:
    ValueError: a shape is wrong.
  """
  return jnp.mean(jnp.min(_word_distances(features, words), -1))


def _word_distances(features, words):
  sizes = shapes.check(features=(features, 'B N D'), words=(words, 'K D'))
  features, words = at_least_float32(features, words)
  rows = jnp.reshape(features, (-1, sizes['D']))
  distances = squared_distances(rows, words)
  return jnp.reshape(distances, (sizes['B'], sizes['N'], sizes['K']))
