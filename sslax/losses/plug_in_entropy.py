"""Entropy estimates that stand in for VICReg's variance and covariance."""

import math

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import distance
from sslax.ops.precision import at_least_float32

__all__ = ['log_det_entropy', 'pairwise_entropy', 'vicreg_entropy']


def log_det_entropy(z, *, noise_variance=1.0):
  """Entropy of a Gaussian with the batch's covariance, above the noise's.

  ½ log det(I + Σ / σ²), Σ = Σ_i (z_i − z̄)(z_i − z̄)ᵀ / B: the entropy of
  z + N(0, σ²I) minus that of the noise, if z is Gaussian; else an upper bound.

  Args:
    z: [B, D], any scale.
    noise_variance: σ², above 0.

  Returns:
    Scalar in nats, at least 0; to be maximized.

  Raises:
    ValueError: the shape is wrong.

  References:
    Zhouyin & Liu, Understanding neural networks with logarithm determinant
    entropy estimator, https://arxiv.org/abs/2105.03705, 2021.

  >>> z = jnp.array([[1.0], [-1.0]])  # half of log 2
  >>> round(float(log_det_entropy(z)), 4)
  0.3466
  """
  sizes = shapes.check(z=(z, 'B D'))
  z = at_least_float32(z)
  z = z - jnp.mean(z, 0)[None, :]
  # The determinant of the smaller of the two Gram matrices is the same.
  gram = z.T @ z if sizes['B'] > sizes['D'] else z @ z.T
  gram = gram / (sizes['B'] * noise_variance)
  identity = jnp.eye(len(gram), dtype=gram.dtype)
  return jnp.linalg.slogdet(identity + gram)[1] / 2


def pairwise_entropy(z, *, noise_variance=1.0):
  """Entropy of a mixture with one Gaussian at each sample, bounded from below.

  −mean_i log mean_j e^{−‖z_i − z_j‖² / 8σ²}: the bound by Bhattacharyya
  distances on the entropy of z + N(0, σ²I), minus the noise's own.

  Args:
    z: [B, D], any scale.
    noise_variance: σ², above 0.

  Returns:
    Scalar in nats, in [0, log B]; to be maximized.

  Raises:
    ValueError: the shape is wrong.

  References:
    Kolchinsky & Tracey, Estimating mixture entropy with pairwise distances,
    https://arxiv.org/abs/1706.02419, 2017.

  >>> round(float(pairwise_entropy(jnp.array([[0.0], [99.0]]))), 4)  # log 2
  0.6931
  """
  sizes = shapes.check(z=(z, 'B D'))
  logits = -distance.squared_distances(z, z) / (8 * noise_variance)
  return math.log(sizes['B']) - jnp.mean(jax.nn.logsumexp(logits, 1))


_ESTIMATORS = {'log_det': log_det_entropy, 'pairwise': pairwise_entropy}


def vicreg_entropy(
  z1,
  z2,
  *,
  estimator='log_det',
  invariance_weight=25.0,
  entropy_weight=1.0,
  noise_variance=1.0,
):
  """VICReg whose variance and covariance terms are an entropy estimate.

  λ·mean (Z1 − Z2)² − μ·[H(Z1) + H(Z2)] / 2, H one of the estimates.

  Args:
    z1: [B, D], any scale; not normalized.
    z2: [B, D] the other view.
    estimator: 'log_det' or 'pairwise', see `log_det_entropy` and
      `pairwise_entropy`.
    invariance_weight: λ.
    entropy_weight: μ.
    noise_variance: σ² of the estimate, above 0: differences well below σ do
      not count.

  Returns:
    Scalar, of either sign.

  Raises:
    ValueError: the shapes differ, or the estimator is unknown.

  References:
    Shwartz-Ziv et al., An information-theoretic perspective on
    variance-invariance-covariance regularization,
    https://arxiv.org/abs/2303.00633, 2023.

  Deviations:
    The noise's own entropy, a constant, is left out of the estimates.

  >>> z = jnp.array([[1.0], [-1.0]])
  >>> round(float(vicreg_entropy(z, z)), 4)
  -0.3466
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  if estimator not in _ESTIMATORS:
    raise ValueError(
      f'estimator is {estimator!r}; expected one of {sorted(_ESTIMATORS)}'
    )
  z1, z2 = at_least_float32(z1, z2)
  entropy = _ESTIMATORS[estimator]
  spread = entropy(z1, noise_variance=noise_variance)
  spread = (spread + entropy(z2, noise_variance=noise_variance)) / 2
  invariance = jnp.mean((z1 - z2) ** 2)
  return invariance_weight * invariance - entropy_weight * spread
