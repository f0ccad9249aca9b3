"""Losses that learn an embedding together with the centers of its clusters."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import ntxent
from sslax.ops.cross_entropy import divergence
from sslax.ops.distance import squared_distances
from sslax.ops.precision import at_least_float32

__all__ = ['dbc', 'dcn', 'dec', 'sccl', 'student_t_assignment']


def student_t_assignment(x, centers, *, degrees=1.0):
  """Soft assignment by a Student-t kernel.

  q_ik ∝ (1 + ‖x_i − μ_k‖² / α)^(−(α + 1) / 2).

  Args:
    x: [B, D], any scale.
    centers: [K, D].
    degrees: α, above 0.

  Returns:
    [B, K], rows of sum 1.

  Raises:
    ValueError: a shape is wrong.

  References:
    Xie et al., Unsupervised deep embedding for clustering analysis,
    https://arxiv.org/abs/1511.06335, 2016.
  """
  return jnp.exp(_log_student_t(x, centers, degrees))


def _log_student_t(x, centers, degrees):
  squared = squared_distances(x, centers)
  kernel = -(degrees + 1) / 2 * jnp.log1p(squared / degrees)
  return jax.nn.log_softmax(kernel, -1)


def dec(x, centers, *, degrees=1.0):
  """Divergence from sharpened to soft assignments.

  KL(P ‖ Q) / B with q of `student_t_assignment` and p_ik ∝ q_ik² / Σ_j q_jk,
  under stop-gradient.

  Args:
    x: [B, D], any scale.
    centers: [K, D].
    degrees: α of the Student-t kernel, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Xie et al., Unsupervised deep embedding for clustering analysis,
    https://arxiv.org/abs/1511.06335, 2016.

  >>> import numpy as np
  >>> round(float(dec(np.zeros((2, 1)), np.array([[1.0], [-1.0]]))), 4)
  0.0
  """
  shapes.check(x=(x, 'B D'), centers=(centers, 'K D'))
  log_q = _log_student_t(x, centers, degrees)
  frequency = jax.nn.logsumexp(log_q, 0, keepdims=True)
  return _divergence_from(2 * log_q - frequency, log_q)


def _divergence_from(log_targets, log_q):
  """Mean KL(P ‖ Q), P proportional to the targets and held fixed."""
  log_p = jax.lax.stop_gradient(jax.nn.log_softmax(log_targets, -1))
  return jnp.mean(divergence(log_p, log_q))


def dbc(x, centers, *, power=2.0, degrees=1.0):
  """Divergence from boosted to soft assignments (DBC).

  KL(P ‖ Q) / B with q of `student_t_assignment` and p_ik ∝ q_ik^α, under
  stop-gradient: high assignments are raised and low ones lowered, whatever the
  size of the clusters.

  Args:
    x: [B, D] codes of a fully convolutional autoencoder, any scale.
    centers: [K, D].
    power: α, above 1, the boosting factor; 1 gives no gradient.
    degrees: of freedom of the Student-t kernel, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Li et al., Discriminatively boosted image clustering with fully
    convolutional auto-encoders, https://arxiv.org/abs/1703.07980, 2017.

  >>> x, centers = jnp.zeros((1, 1)), jnp.array([[0.0], [1.0]])
  >>> round(float(dbc(x, centers)), 4)  # q = 2/3, 1/3 and p = 4/5, 1/5
  0.0437
  """
  shapes.check(x=(x, 'B D'), centers=(centers, 'K D'))
  log_q = _log_student_t(x, centers, degrees)
  return _divergence_from(power * log_q, log_q)


def dcn(embeddings, centers, assignments, *, weight=0.1):
  """Distance of the codes of an autoencoder to the centers of k-means.

  (λ / 2)·mean_i ‖f(x_i) − μ_{s(i)}‖². The method adds it to the reconstruction,
  and moves assignments and centers between steps.

  Args:
    embeddings: [B, D] codes f(x), any scale.
    centers: [K, D] μ; no gradient.
    assignments: [B] int s(i), the cluster of every example.
    weight: λ, at least 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Yang et al., Towards k-means-friendly spaces: simultaneous deep learning and
    clustering, https://arxiv.org/abs/1610.04794, 2017.

  Deviations:
    A mean over the batch, where the paper sums.

  >>> x, centers = jnp.array([[1.0], [3.0]]), jnp.array([[0.0], [1.0]])
  >>> float(dcn(x, centers, jnp.array([0, 1]), weight=1.0))  # (1 + 4) / 4
  1.25
  """
  shapes.check(
    embeddings=(embeddings, 'B D'),
    centers=(centers, 'K D'),
    assignments=(assignments, 'B'),
  )
  centers = jax.lax.stop_gradient(centers)
  embeddings, centers = at_least_float32(embeddings, centers)
  gap = embeddings - centers[assignments]
  return weight / 2 * jnp.mean(jnp.sum(gap**2, -1))


def sccl(
  z1, z2, x, centers, *, temperature=0.5, contrast_weight=10.0, degrees=1.0
):
  """Supports clustering by telling instances apart.

  η·ntxent(z1, z2; τ) + dec(x, centers): the contrast spreads categories that
  overlap, the clusters gather what belongs together.

  Args:
    z1: [B, D] projections of the first augmentations, any scale; normalized
      here.
    z2: [B, D] those of the second augmentations.
    x: [B, E] embeddings of the examples themselves, any scale.
    centers: [K, E] learned centers.
    temperature: τ, above 0.
    contrast_weight: η, at least 0.
    degrees: of freedom of the Student-t kernel, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Zhang et al., Supporting clustering with contrastive learning,
    https://arxiv.org/abs/2103.12953, 2021. The official code:
    amazon-science/sccl, training.py.

  >>> z, x = jnp.eye(2), jnp.zeros((2, 1))  # centers at one distance: dec is 0
  >>> loss = sccl(z, z, x, jnp.array([[1.0], [-1.0]]), temperature=1.0)
  >>> round(float(loss), 4)  # 10 log(1 + 2/e)
  5.5144
  """
  contrast = ntxent(z1, z2, temperature=temperature)
  return contrast_weight * contrast + dec(x, centers, degrees=degrees)
