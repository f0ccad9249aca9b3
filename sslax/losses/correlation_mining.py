"""Deep comprehensive correlation mining: what a confident network implies."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.distance import cosine
from sslax.ops.precision import at_least_float32

__all__ = ['dccm', 'dccm_graph', 'dccm_information', 'dccm_label']


def dccm_graph(probs, graph, *, eps=1e-7):
  """Predictions are alike where the pseudo-graph has an edge, unlike elsewhere.

  −mean_ij [W_ij log s_ij + (1 − W_ij) log(1 − s_ij)], s the cosine of p_i and
  p_j; logarithms are of their argument plus ε.

  Args:
    probs: [B, K] class probabilities of the transformed examples.
    graph: [B, B] bool W, the edges that `sslax.ops.pseudo_labels.graph` finds
      among the examples before their transformation.
    eps: ε, above 0, bounds the loss.

  Returns:
    Scalar, at least 0 up to ε.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Wu et al., Deep comprehensive correlation mining for image clustering,
    https://arxiv.org/abs/1904.06925, 2019. The official code: Cory-M/DCCM,
    main.py.

  Deviations:
    The official code divides s by its largest entry, which is the diagonal's
    one, and cuts the logarithms at −100.

  >>> probs = jnp.array([[1.0, 0.0], [0.5, 0.5]])  # log 2 at two of four pairs
  >>> round(float(dccm_graph(probs, jnp.ones((2, 2), bool))), 4)
  0.1733
  """
  sizes = shapes.check(probs=(probs, 'B K'))
  shapes.check(graph=(graph, f'{sizes["B"]} {sizes["B"]}'))
  similarity = jnp.clip(cosine(probs, probs), 0, 1)
  return jnp.mean(_binary_entropy(similarity, graph, eps))


def _binary_entropy(x, is_one, eps):
  """Cross-entropy of a probability to a yes or no, logarithms of x + ε."""
  right = jnp.where(is_one, x, 1 - x)
  return -jnp.log(right + eps)


def dccm_label(probs, labels, confident, *, eps=1e-7):
  """Transformed examples keep the pseudo-label that they were confident of.

  −mean_i V_i mean_k [1(k = y_i) log p_ik + 1(k ≠ y_i) log(1 − p_ik)];
  logarithms are of their argument plus ε.

  Args:
    probs: [B, K] class probabilities of the transformed examples.
    labels: [B] int y, the most probable class before the transformation.
    confident: [B] bool V, whether its probability was high enough, both as
      `sslax.ops.pseudo_labels.labels` gives them.
    eps: ε, above 0, bounds the loss.

  Returns:
    Scalar, at least 0 up to ε; examples that are not confident count as zero.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Wu et al., Deep comprehensive correlation mining for image clustering,
    https://arxiv.org/abs/1904.06925, 2019. The official code: Cory-M/DCCM,
    utils/util.py.

  >>> probs, sure = jnp.full((2, 2), 0.5), jnp.array([True, False])
  >>> round(float(dccm_label(probs, jnp.array([0, 1]), sure)), 4)
  0.3466
  """
  sizes = shapes.check(
    probs=(probs, 'B K'), labels=(labels, 'B'), confident=(confident, 'B')
  )
  probs = at_least_float32(probs)
  is_label = jax.nn.one_hot(labels, sizes['K'], dtype=jnp.float32) > 0
  losses = jnp.mean(_binary_entropy(probs, is_label, eps), 1)
  return jnp.mean(jnp.where(confident, losses, jnp.zeros_like(losses)))


def dccm_information(positive_scores, negative_scores):
  """Triplet mutual information of deep features and shallow maps.

  mean log(1 + e^{−T⁺}) + mean log(1 + e^{T⁻}), T the discriminator's scores of
  a deep feature with the places of a shallow map: its own or a graph
  neighbor's (T⁺), or one outside its neighborhood (T⁻).

  Args:
    positive_scores: [M, P] scores of M pairs at P places, any scale.
    negative_scores: [L, P] scores of the pairs that do not belong together.

  Returns:
    Scalar, at least 0: the negative Jensen-Shannon bound, up to a constant.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Wu et al., Deep comprehensive correlation mining for image clustering,
    https://arxiv.org/abs/1904.06925, 2019. The official code: Cory-M/DCCM,
    models/dim_Model.py.

  >>> t = jnp.zeros((1, 1))  # 2 log 2
  >>> round(float(dccm_information(t, t)), 4)
  1.3863
  """
  shapes.check(
    positive_scores=(positive_scores, 'M P'),
    negative_scores=(negative_scores, 'L P'),
  )
  positive, negative = at_least_float32(positive_scores, negative_scores)
  pulled = jnp.mean(jax.nn.softplus(-positive))
  return pulled + jnp.mean(jax.nn.softplus(negative))


def dccm(
  probs,
  graph,
  labels,
  confident,
  positive_scores,
  negative_scores,
  *,
  label_weight=5.0,
  information_weight=0.05,
  eps=1e-7,
):
  """Graph, labels and mutual information together.

  dccm_graph + α·dccm_label + β·dccm_information.

  Args:
    probs: [B, K] class probabilities of the transformed examples.
    graph: [B, B] bool, see `dccm_graph`.
    labels: [B] int, see `dccm_label`.
    confident: [B] bool, see `dccm_label`.
    positive_scores: [M, P], see `dccm_information`.
    negative_scores: [L, P], see `dccm_information`.
    label_weight: α, at least 0.
    information_weight: β, at least 0.
    eps: added inside the logarithms of the first two terms.

  Returns:
    Scalar, at least 0 up to ε.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Wu et al., Deep comprehensive correlation mining for image clustering,
    https://arxiv.org/abs/1904.06925, 2019. The official code: Cory-M/DCCM,
    main.py; the weights are those of its configuration for CIFAR-10.

  >>> p, graph = jnp.eye(2), jnp.eye(2, dtype=bool)  # 0 + 0 + 0.05 · 2 log 2
  >>> y, sure, t = jnp.array([0, 1]), jnp.ones(2, bool), jnp.zeros((1, 1))
  >>> round(float(dccm(p, graph, y, sure, t, t)), 4)
  0.0693
  """
  information = dccm_information(positive_scores, negative_scores)
  by_label = dccm_label(probs, labels, confident, eps=eps)
  by_graph = dccm_graph(probs, graph, eps=eps)
  return by_graph + label_weight * by_label + information_weight * information
