"""Losses whose positives are mined among neighbors."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import info_nce
from sslax.losses.distillation import byol
from sslax.ops import distance
from sslax.ops.precision import at_least_float32

__all__ = ['msf', 'myow', 'nnclr']


def nnclr(neighbors, predictions, *, temperature=0.1):
  """Nearest-neighbor contrastive loss, one direction.

  mean_i −log e^{n_i·p_i/τ} / Σ_k e^{n_i·p_k/τ}, n_i the neighbor of view 1 and
  p the predictions of view 2. Symmetrize by averaging the two directions.

  Args:
    neighbors: [B, D] rows of the support set nearest to view 1, found by
      `sslax.ops.selectors.nearest`; normalized here; no gradient.
    predictions: [B, D] student's predictions of view 2; normalized here.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Dwibedi et al., With a little help from my friends: nearest-neighbor
    contrastive learning of visual representations,
    https://arxiv.org/abs/2104.14548, 2021.

  >>> z = jnp.eye(2)
  >>> round(float(nnclr(z, z, temperature=1.0)), 4)
  0.3133
  """
  shapes.check(neighbors=(neighbors, 'B D'), predictions=(predictions, 'B D'))
  neighbors = jax.lax.stop_gradient(neighbors)
  return info_nce(neighbors, predictions, temperature=temperature)


def myow(predictions, targets, mined_predictions, mined_targets, *, weight=0.1):
  """Mine your own view: augmented views, and across-sample mined views.

  byol(p, z) + λ·byol(p', z'), p' from the second, cascaded predictor and z'
  the mined samples' targets; one direction.

  Args:
    predictions: [B, D] student's predictions of the augmented view.
    targets: [B, D] teacher's projections of the other view; no gradient.
    mined_predictions: [B, E] student's second predictions.
    mined_targets: [B, E] teacher's second projections of the mined views; no
      gradient.
    weight: λ, at least 0.

  Returns:
    Scalar in [0, 4 + 4λ].

  Raises:
    ValueError: the shapes do not fit.

  References:
    Azabou et al., Mine your own view: self-supervised learning through
    across-sample prediction, https://arxiv.org/abs/2102.10106, 2021.

  >>> x, y = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]])
  >>> round(float(myow(x, x, x, y, weight=0.5)), 4)
  1.0
  """
  augmented = byol(predictions, targets)
  shapes.check(
    mined_predictions=(mined_predictions, 'B E'),
    mined_targets=(mined_targets, 'B E'),
  )
  return augmented + weight * byol(mined_predictions, mined_targets)


def msf(queries, targets, memory, *, num_neighbors=5):
  """Mean shift: pull a query to the nearest neighbors of its target.

  mean_i (1/k) Σ_{n∈kNN(z'_i)} (2 − 2·q̄_i·n), the neighbors sought among the
  batch's targets, z'_i itself included, and the memory.

  Args:
    queries: [B, D] student's predictions, any scale; normalized here.
    targets: [B, D] teacher's projections, any scale; normalized here; no
      gradient.
    memory: [K, D] unit rows of past targets; no gradient.
    num_neighbors: k, from 1 (BYOL) to B + K.

  Returns:
    Scalar in [0, 4].

  Raises:
    ValueError: the shapes do not fit.

  References:
    Koohpayegani et al., Mean shift for self-supervised learning,
    https://arxiv.org/abs/2105.07269, 2021.

  >>> q, memory = jnp.eye(2)[:1], jnp.eye(2)[1:]  # distances 0 and 2
  >>> round(float(msf(q, q, memory, num_neighbors=2)), 4)
  1.0
  """
  shapes.check(
    queries=(queries, 'B D'), targets=(targets, 'B D'), memory=(memory, 'K D')
  )
  queries, targets, memory = at_least_float32(queries, targets, memory)
  targets, memory = jax.lax.stop_gradient((targets, memory))
  targets = distance.normalize(targets)
  candidates = jnp.concatenate([targets, memory])
  _, rows = jax.lax.top_k(targets @ candidates.T, num_neighbors)
  similarity = distance.normalize(queries) @ candidates.T
  chosen = jnp.take_along_axis(similarity, rows, axis=1)
  return jnp.mean(2 - 2 * chosen)
