"""Clustering losses whose positives are neighbors in a graph."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.clustering import imbalance
from sslax.losses.contrastive import info_nce
from sslax.ops.distance import normalize
from sslax.ops.masked import masked_logsumexp
from sslax.ops.precision import at_least_float32

__all__ = ['gcc_assignment', 'gcc_representation']


def gcc_representation(anchors, views, neighbors, weights, *, temperature=0.1):
  """Neighbors in the graph are positives, weighed by its Laplacian.

  −mean_i log (e^{s(i,i')/τ} + Σ_k w_ik e^{s(i,n_ik)/τ}) / Σ_{j≠i} (e^{s(i,j)/τ}
  + e^{s(i,j')/τ} + Σ_k e^{s(i,n_jk)/τ}), j' the other view of j, n_jk its graph
  neighbors and w = −L the entries of the normalized Laplacian.

  Args:
    anchors: [B, D] first views, any scale; normalized here; B ≥ 2.
    views: [B, D] second views, any scale; normalized here.
    neighbors: [B, K, D] neighbors of every example, any scale; normalized here.
    weights: [B, K] w ≥ 0, as `sslax.ops.graphs.laplacian_weights` gives them;
      0 for a neighbor that does not count; no gradient.
    temperature: τ, above 0.

  Returns:
    Scalar, of either sign: the positives are not in the denominator.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Zhong et al., Graph contrastive clustering,
    https://arxiv.org/abs/2104.01429, 2021. The official code:
    mynameischaos/GCC, losses.py.

  Deviations:
    The official code also scales the neighbors' features by w, and leaves the
    anchor's similarity to itself in the denominator.

  >>> z, w = jnp.eye(2), jnp.zeros((2, 1))  # −log e / (e⁰ + e⁰ + e⁰)
  >>> loss = gcc_representation(z, z, z[:, None], w, temperature=1.0)
  >>> round(float(loss), 4)
  0.0986
  """
  sizes = shapes.check(
    anchors=(anchors, 'B D'),
    views=(views, 'B D'),
    neighbors=(neighbors, 'B K D'),
    weights=(weights, 'B K'),
  )
  anchors, views, neighbors, weights = at_least_float32(
    anchors, views, neighbors, jax.lax.stop_gradient(weights)
  )
  groups = jnp.concatenate(
    [anchors[:, None], views[:, None], neighbors], axis=1
  )
  # [B, B, 2 + K]: anchor i against the first view, the second view and the
  # neighbors of example j.
  logits = jnp.einsum('id,jkd->ijk', normalize(anchors), normalize(groups))
  logits = logits / temperature
  own = jnp.einsum('iik->ik', logits)[:, 1:]
  shares = jnp.concatenate([jnp.ones_like(own[:, :1]), weights], axis=1)
  counts = shares > 0
  safe = jnp.where(counts, shares, jnp.ones_like(shares))
  inside = masked_logsumexp(own + jnp.log(safe), counts)
  others = ~jnp.eye(sizes['B'], dtype=bool)[:, :, None]
  others = jnp.broadcast_to(others, logits.shape)
  return jnp.mean(masked_logsumexp(logits, others, axis=(1, 2)) - inside)


def gcc_assignment(probs, neighbor_probs, *, temperature=1.0, weight=2.0):
  """Columns agree with the columns of the neighbors' assignments.

  −mean_k log softmax_l(cos(q_k, q^nn_l) / τ)_k + λ·(log K − H(mean p)), where
  q^nn are the columns of the assignments of a random graph neighbor.

  Args:
    probs: [B, K] class probabilities.
    neighbor_probs: [B, K] those of a neighbor of every example.
    temperature: τ, above 0.
    weight: λ.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Zhong et al., Graph contrastive clustering,
    https://arxiv.org/abs/2104.01429, 2021. The official code:
    mynameischaos/GCC, losses.py.

  >>> import numpy as np
  >>> round(float(gcc_assignment(np.eye(2), np.eye(2))), 4)
  0.3133
  """
  shapes.check(probs=(probs, 'B K'), neighbor_probs=(neighbor_probs, 'B K'))
  probs, neighbor_probs = at_least_float32(probs, neighbor_probs)
  contrast = info_nce(probs.T, neighbor_probs.T, temperature=temperature)
  return contrast + weight * imbalance(probs)
