"""Losses that decorrelate the features of an embedding."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.distance import normalize
from sslax.ops.precision import at_least_float32

__all__ = [
  'barlow_twins',
  'tico',
  'vibcreg',
  'vicreg',
]


def barlow_twins(z1, z2, *, off_diagonal_weight=0.0051, eps=1e-5):
  """Cross-correlation of two views' features, pulled to the identity.

  Σ_i (1 − C_ii)² + λ Σ_{i≠j} C_ij², C = Z̃1ᵀZ̃2 / B, where Z̃ is standardized
  over the batch with the biased variance.

  Args:
    z1: [B, D], any scale; standardized here.
    z2: [B, D], any scale; standardized here.
    off_diagonal_weight: λ.
    eps: added to the variance.

  Returns:
    Scalar, at least 0; a sum over the features.

  Raises:
    ValueError: the shapes differ.

  References:
    Zbontar et al., Barlow Twins: self-supervised learning via redundancy
    reduction, https://arxiv.org/abs/2103.03230, 2021.

  >>> import numpy as np
  >>> z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
  >>> round(float(barlow_twins(z, -z)), 3)
  8.0
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  z1, z2 = at_least_float32(z1, z2)
  z1, z2 = _standardized(z1, eps), _standardized(z2, eps)
  correlation = z1.T @ z2 / z1.shape[0]
  diagonal = jnp.diagonal(correlation)
  on = jnp.sum((1 - diagonal) ** 2)
  return on + off_diagonal_weight * jnp.sum(_off_diagonal(correlation) ** 2)


def vicreg(
  z1,
  z2,
  *,
  invariance_weight=25.0,
  variance_weight=25.0,
  covariance_weight=1.0,
  eps=1e-4,
):
  """Variance, invariance and covariance of two views.

  λ·mean (Z1 − Z2)² + μ·[v(Z1) + v(Z2)] / 2 + ν·[c(Z1) + c(Z2)], with
  v(Z) = mean_j max(0, 1 − √(Var_j + ε)), c(Z) = Σ_{i≠j} Cov_ij² / D; both
  unbiased, over B − 1. With further axes, [B, N, D], every n is an embedding
  of its own and the terms are means over n.

  Args:
    z1: [B, D] or [B, N, D], any scale; not normalized.
    z2: the shape of z1.
    invariance_weight: λ.
    variance_weight: μ.
    covariance_weight: ν.
    eps: ε, added to the variance.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Bardes et al., VICReg: variance-invariance-covariance regularization for
    self-supervised learning, https://arxiv.org/abs/2105.04906, 2021.

  Deviations:
    None from the official code, which halves the sum of the variance terms;
    the paper's loss does not: double `variance_weight` for it.

  >>> import numpy as np
  >>> z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
  >>> round(float(vicreg(z, z)), 4)
  0.0
  """
  spec = 'B N D' if jnp.ndim(z2) == 3 else 'B D'
  shapes.check(z1=(z1, spec), z2=(z2, spec))
  z1, z2 = at_least_float32(z1, z2)
  invariance = jnp.mean((z1 - z2) ** 2)
  spread = (variance_hinge(z1, eps) + variance_hinge(z2, eps)) / 2
  redundancy = covariance(z1) + covariance(z2)
  return (
    invariance_weight * invariance
    + variance_weight * spread
    + covariance_weight * redundancy
  )


def vibcreg(
  z1,
  z2,
  *,
  invariance_weight=25.0,
  variance_weight=25.0,
  covariance_weight=200.0,
  eps=1e-4,
):
  """VICReg with normalized covariance, whose scale does not matter.

  λ·mean (Z1 − Z2)² + μ·[v(Z1) + v(Z2)] + ν·[n(Z1) + n(Z2)], v as in `vicreg`
  and n(Z) = Σ_{i≠j} ρ_ij² / D², ρ the correlation of the features.

  Args:
    z1: [B, D], any scale; not normalized.
    z2: [B, D], any scale; not normalized.
    invariance_weight: λ.
    variance_weight: μ.
    covariance_weight: ν.
    eps: added to the variance.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Lee and Aune, VIbCReg: variance-invariance-better-covariance regularization
    for self-supervised learning on time series,
    https://arxiv.org/abs/2109.00783, 2021.

  >>> import numpy as np
  >>> z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
  >>> round(float(vibcreg(z, z)), 4)
  0.0
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  z1, z2 = at_least_float32(z1, z2)
  invariance = jnp.mean((z1 - z2) ** 2)
  spread = variance_hinge(z1, eps) + variance_hinge(z2, eps)
  redundancy = _mean_squared_correlation(z1) + _mean_squared_correlation(z2)
  return (
    invariance_weight * invariance
    + variance_weight * spread
    + covariance_weight * redundancy
  )


def tico(z1, z2, covariance, *, momentum=0.9, contrast_weight=8.0):
  """Transformation invariance and covariance contrast.

  1 − mean_i z1_i·z2_i + ρ·mean_i z1_iᵀ C z1_i on unit rows, with
  C ← βC + (1 − β) Z1ᵀZ1 / B the moving second moment, a constant for the
  gradient.

  Args:
    z1: [B, D], any scale; normalized here.
    z2: [B, D], any scale; normalized here.
    covariance: [D, D], C before this batch; zeros at first. No gradient.
    momentum: β, the share kept, in [0, 1].
    contrast_weight: ρ.

  Returns:
    (loss, C after this batch): a scalar, and [D, D] in the dtype given.

  Raises:
    ValueError: a shape is wrong.

  References:
    Zhu et al., TiCo: transformation invariance and covariance contrast for
    self-supervised visual representation learning,
    https://arxiv.org/abs/2206.10698, 2022.

  >>> import numpy as np
  >>> z = np.eye(2)
  >>> loss, covariance = tico(z, z, np.zeros((2, 2)), contrast_weight=2.0)
  >>> round(float(loss), 4), round(float(covariance[0, 0]), 4)
  (0.1, 0.05)
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'), covariance=(covariance, 'D D'))
  dtype = jnp.asarray(covariance).dtype
  z1, z2, covariance = at_least_float32(z1, z2, covariance)
  z1, z2 = normalize(z1), normalize(z2)
  moment = z1.T @ z1 / z1.shape[0]
  covariance = jax.lax.stop_gradient(
    momentum * covariance + (1 - momentum) * moment
  )
  invariance = 1 - jnp.mean(jnp.sum(z1 * z2, -1))
  contrast = jnp.mean(jnp.sum(z1 @ covariance * z1, -1))
  return invariance + contrast_weight * contrast, covariance.astype(dtype)


def _off_diagonal(matrix):
  """The matrix with zeros on its last two axes' diagonal."""
  diagonal = jnp.eye(matrix.shape[-1], dtype=bool)
  diagonal = jnp.broadcast_to(diagonal, matrix.shape)
  return jnp.where(diagonal, jnp.zeros_like(matrix), matrix)


def _standardized(x, eps):
  centered = x - jnp.mean(x, 0, keepdims=True)
  variance = jnp.mean(centered**2, 0, keepdims=True)
  return centered / jnp.sqrt(variance + eps)


def variance_hinge(x, eps):
  """Mean over features of max(0, 1 − √(Var + ε)), the variance unbiased.

  Args:
    x: [B, ..., D].
    eps: ε.

  Returns:
    Scalar in [0, 1].
  """
  std = jnp.sqrt(jnp.var(x, 0, ddof=1) + eps)
  return jnp.mean(jax.nn.relu(1 - std))


def covariance(x):
  """Sum of the squared covariances of different features, over D.

  Args:
    x: [B, ..., D]; further axes are averaged.

  Returns:
    Scalar, at least 0.
  """
  centered = x - jnp.mean(x, 0, keepdims=True)
  products = jnp.einsum('b...c,b...d->...cd', centered, centered)
  squares = (_off_diagonal(products) / (x.shape[0] - 1)) ** 2
  return jnp.mean(jnp.sum(squares, (-2, -1))) / x.shape[-1]


def _mean_squared_correlation(x):
  unit = normalize(x - jnp.mean(x, 0, keepdims=True), axis=0)
  return jnp.mean(_off_diagonal(unit.T @ unit) ** 2)
