"""Losses on the neighborhood of each labelled sample."""

import math

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import distance
from sslax.ops.masked import masked_logsumexp, masked_mean
from sslax.ops.precision import at_least_float32
from sslax.ops.selectors import label_masks

__all__ = [
  'lmnn',
  'mahalanobis',
  'nca',
  'nca_regression',
  'soft_nearest_neighbor',
]


def mahalanobis(x, y, transform):
  """Distance under a learned positive semi-definite metric A = LᵀL.

  d_A(x, y) = √((x − y)ᵀ A (x − y)) = ‖L(x − y)‖. To use it inside any pair or
  triplet loss, give that loss x @ L.T.

  Args:
    x: [B, D], any scale.
    y: [K, D], any scale.
    transform: L, [E, D].

  Returns:
    [B, K].

  Raises:
    ValueError: the shapes do not fit.

  >>> x, y = jnp.array([[1.0, 7.0]]), jnp.array([[4.0, 0.0]])
  >>> float(mahalanobis(x, y, jnp.array([[2.0, 0.0]]))[0, 0])
  6.0
  """
  shapes.check(x=(x, 'B D'), y=(y, 'K D'), transform=(transform, 'E D'))
  x, y, transform = at_least_float32(x, y, transform)
  return distance.distances(x @ transform.T, y @ transform.T)


def lmnn(embeddings, labels, neighbors, *, push_weight=1.0, margin=1.0):
  """Large-margin nearest neighbors: pull targets, push impostors.

  mean_i Σ_{j∈T_i} [d²_ij + c·Σ_{l: y_l≠y_i} max(0, m + d²_ij − d²_il)].

  Args:
    embeddings: [B, D] already mapped: x @ L.T.
    labels: [B] int.
    neighbors: [B, k] int, the target neighbors T_i, found in the input space
      by `sslax.ops.selectors.target_neighbors`.
    push_weight: c, at least 0.
    margin: m.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Weinberger et al., Distance metric learning for large margin nearest
    neighbor classification, NIPS 2005.

  Deviations:
    A mean over the batch, where the paper sums.

  >>> x, y = jnp.array([[0.0], [1.0], [1.0]]), jnp.array([0, 0, 1])
  >>> round(float(lmnn(x, y, jnp.array([[1], [0], [2]]))), 4)  # (2 + 3 + 1) / 3
  2.0
  """
  shapes.check(
    embeddings=(embeddings, 'B D'),
    labels=(labels, 'B'),
    neighbors=(neighbors, 'B k'),
  )
  squared = distance.squared_distances(embeddings, embeddings)
  near = jnp.take_along_axis(squared, neighbors, axis=1)
  _, impostors = label_masks(labels)
  violation = jax.nn.relu(margin + near[:, :, None] - squared[:, None, :])
  push = jnp.where(impostors[:, None, :], violation, jnp.zeros_like(violation))
  return jnp.mean(jnp.sum(near, 1) + push_weight * jnp.sum(push, (1, 2)))


def nca(embeddings, labels, *, scale=1.0, log=True):
  """Neighborhood components analysis.

  mean_i −log p_i, p_i = Σ_{j: y_j=y_i} e^{−c·d²_ij} / Σ_{k≠i} e^{−c·d²_ik};
  or mean_i −p_i; over the samples with a neighbor of their class.

  Args:
    embeddings: [B, D] mapped samples, any scale; d is the Euclidean distance.
    labels: [B] int.
    scale: c, above 0.
    log: False maximizes the expected share p_i instead of its logarithm.

  Returns:
    Scalar: at least 0, or in [−1, 0] without the logarithm.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Goldberger et al., Neighbourhood components analysis, NIPS 2004.

  >>> x, y = jnp.array([[0.0], [0.0], [0.0]]), jnp.array([0, 0, 1])
  >>> float(nca(x, y, log=False))
  -0.5
  """
  shapes.check(embeddings=(embeddings, 'B D'), labels=(labels, 'B'))
  positives, negatives = label_masks(labels)
  logits = -scale * distance.squared_distances(embeddings, embeddings)
  losses = _neighbor_entropy(logits, positives, negatives)
  losses = losses if log else -jnp.exp(-losses)
  return masked_mean(losses, jnp.any(positives, 1))


def _neighbor_entropy(logits, positives, negatives):
  """−log of the positives' share, exact to rounding even near zero."""
  same = masked_logsumexp(logits, positives, empty=0)
  return jax.nn.softplus(masked_logsumexp(logits, negatives) - same)


def nca_regression(embeddings, targets):
  """Neighborhood components analysis with graded similarity of targets.

  mean_i Σ_{j≠i} p_ij·‖t_i − t_j‖², p_ij = e^{−d²_ij} / Σ_{k≠i} e^{−d²_ik}.

  Args:
    embeddings: [B, D] mapped samples, any scale.
    targets: [B, E], such as body poses.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Taylor et al., Learning invariance through imitation, CVPR 2011.

  >>> x, t = jnp.zeros((3, 1)), jnp.array([[0.0], [0.0], [1.0]])
  >>> round(float(nca_regression(x, t)), 4)  # (1/2 + 1/2 + 1) / 3
  0.6667
  """
  num = shapes.check(embeddings=(embeddings, 'B D'), targets=(targets, 'B E'))[
    'B'
  ]
  logits = -distance.squared_distances(embeddings, embeddings)
  # Self must leave before the exponential, which would overflow at distance 0.
  share = jax.nn.softmax(logits, 1, where=~jnp.eye(num, dtype=bool))
  gaps = distance.squared_distances(targets, targets)
  share, gaps = at_least_float32(share, gaps)
  return jnp.mean(jnp.sum(share * gaps, 1))


def soft_nearest_neighbor(
  embeddings, labels, *, temperature=1.0, metric='squared', eps=0.0
):
  """Soft nearest neighbors: entanglement of the classes.

  (1/B) Σ_i −log (ε + Σ_{j≠i: y_j=y_i} e^{−d_ij/τ} / Σ_{k≠i} e^{−d_ik/τ}); a
  sample without a neighbor of its class adds zero.

  Args:
    embeddings: [B, D], any scale.
    labels: [B] int.
    temperature: τ, above 0, fixed or learned (an array scalar).
    metric: 'squared', d = ‖x − y‖²; 'cosine', d = 1 − cos; or 'dot', d =
      max(0, 1 − x·y), the cosine distance of rows that are unit already.
    eps: ε, at least 0, bounds the loss of a lost neighborhood.

  Returns:
    Scalar, at least 0 up to ε.

  Raises:
    ValueError: the shapes do not fit, or an unknown metric.

  References:
    Frosst et al., Analyzing and improving representations with the soft
    nearest neighbor loss, https://arxiv.org/abs/1902.01889, 2019.

  >>> x, y = jnp.zeros((3, 1)), jnp.array([0, 0, 1])  # (2 log 2) / 3
  >>> round(float(soft_nearest_neighbor(x, y)), 4)
  0.4621
  """
  shapes.check(embeddings=(embeddings, 'B D'), labels=(labels, 'B'))
  if metric not in _METRICS:
    raise ValueError(f'metric is {metric!r}; expected one of {[*_METRICS]}')
  gaps = _METRICS[metric](at_least_float32(embeddings))
  positives, negatives = label_masks(labels)
  losses = _neighbor_entropy(-gaps / temperature, positives, negatives)
  if eps:
    losses = -jnp.logaddexp(-losses, math.log(eps))
  lonely = ~jnp.any(positives, 1)
  return jnp.mean(jnp.where(lonely, jnp.zeros_like(losses), losses))


_METRICS = {
  'squared': lambda x: distance.squared_distances(x, x),
  'cosine': lambda x: 1 - distance.cosine(x, x),
  'dot': lambda x: jax.nn.relu(1 - x @ x.T),
}
