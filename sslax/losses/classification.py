"""Losses of class labels, given or made up by the method."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.precision import at_least_float32

__all__ = ['deeper_cluster', 'softmax_cross_entropy']


def softmax_cross_entropy(logits, labels, *, smoothing=0.0, weights=None):
  """Cross-entropy to surrogate classes: seeds, clusters, rotations, places.

  −Σ_i w_i·Σ_k y_ik log softmax(x_i)_k / Σ_i w_i, y = (1 − ε)·one-hot + ε / K.

  Args:
    logits: [B, K].
    labels: [B] int in [0, K): the seed image (Exemplar-CNN), the cluster
      (DeepCluster, ClusterFit), the rotation (RotNet), the place.
    smoothing: ε in [0, 1].
    weights: optional [B] w, at least 0; no gradient.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Dosovitskiy et al., Discriminative unsupervised feature learning with
    exemplar convolutional neural networks, https://arxiv.org/abs/1406.6909,
    2015.
    Caron et al., Deep clustering for unsupervised learning of visual features,
    https://arxiv.org/abs/1807.05520, 2018.

  >>> logits = jnp.array([[0.0, 0.0], [1.0, 0.0]])
  >>> round(float(softmax_cross_entropy(logits[:1], jnp.array([1]))), 4)
  0.6931
  """
  sizes = shapes.check(logits=(logits, 'B K'), labels=(labels, 'B'))
  logits = at_least_float32(logits)
  labels = jnp.asarray(labels)
  classes = jnp.arange(sizes['K'], dtype=labels.dtype)
  is_label = labels[:, None] == classes[None, :]
  losses = _at_label(logits, is_label)
  if smoothing:
    everything = jax.nn.logsumexp(logits, 1) - jnp.mean(logits, 1)
    losses = (1 - smoothing) * losses + smoothing * everything
  if weights is None:
    return jnp.mean(losses)
  shapes.check(weights=(weights, str(sizes['B'])))
  weights = jax.lax.stop_gradient(jnp.asarray(weights)).astype(losses.dtype)
  return jnp.sum(weights * losses) / jnp.maximum(jnp.sum(weights), 1e-12)


def _at_label(logits, is_label):
  """−log softmax at the label, exact to rounding even near zero."""
  zeros, lowest = jnp.zeros_like(logits), float(jnp.finfo(logits.dtype).min)
  own = jnp.sum(jnp.where(is_label, logits, zeros), -1)
  rivals = jnp.where(is_label, jnp.full_like(logits, lowest / 4), logits)
  return jax.nn.softplus(jax.nn.logsumexp(rivals, -1) - own)


def deeper_cluster(super_logits, sub_logits, super_labels, sub_labels):
  """Joint labels of rotation and cluster, in two levels (DeeperCluster).

  mean_i [CE(x_i, y_i) + CE(W_{y_i}(x_i), c_i)]: which super-class (rotation and
  coarse cluster), and then which cluster within it, by that super-class's own
  classifier.

  Args:
    super_logits: [B, S] scores of the super-classes.
    sub_logits: [B, S, K] scores of every super-class's clusters; the label's
      row alone counts.
    super_labels: [B] int y in [0, S).
    sub_labels: [B] int c in [0, K).

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Caron et al., Unsupervised pre-training of image features on non-curated
    data, https://arxiv.org/abs/1905.01278, 2019.

  >>> y = jnp.array([0])  # log 2 + log 3
  >>> loss = deeper_cluster(jnp.zeros((1, 2)), jnp.zeros((1, 2, 3)), y, y)
  >>> round(float(loss), 4)
  1.7918
  """
  shapes.check(
    super_logits=(super_logits, 'B S'),
    sub_logits=(sub_logits, 'B S K'),
    super_labels=(super_labels, 'B'),
    sub_labels=(sub_labels, 'B'),
  )
  rows = jnp.asarray(super_labels)[:, None, None]
  own = jnp.take_along_axis(jnp.asarray(sub_logits), rows, 1)[:, 0]
  coarse = softmax_cross_entropy(super_logits, super_labels)
  return coarse + softmax_cross_entropy(own, sub_labels)
