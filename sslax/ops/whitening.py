"""Whitening: z ↦ W(z − μ) with W Σ Wᵀ = I, differentiable."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.precision import at_least_float32


class Statistics(NamedTuple):
  """Mean and covariance to whiten with.

  Attributes:
    mean: [D].
    covariance: [D, D].
  """

  mean: jax.Array
  covariance: jax.Array


def statistics(x, *, eps=0.0):
  """Mean and unbiased covariance of a batch, shrunk to the identity.

  Σ = (1 − ε)·(x − μ)ᵀ(x − μ) / (B − 1) + ε·I.

  Args:
    x: [B, D], any scale, B at least 2.
    eps: ε in [0, 1]; 0 needs B > D and full rank.

  Returns:
    `Statistics`, in at least float32.

  Raises:
    ValueError: the shape is wrong.
  """
  shapes.check(x=(x, 'B D'))
  x = at_least_float32(x)
  mean = jnp.mean(x, 0)
  centered = x - mean[None, :]
  covariance = centered.T @ centered / (x.shape[0] - 1)
  return Statistics(mean, shrink(covariance, eps))


def shrink(covariance, eps):
  """(1 − ε)·Σ + ε·I.

  Args:
    covariance: [D, D].
    eps: ε in [0, 1].

  Returns:
    [D, D].
  """
  identity = jnp.eye(covariance.shape[-1], dtype=covariance.dtype)
  return (1 - eps) * covariance + eps * identity


def update_statistics(running, batch, *, momentum=0.99):
  """Moving average of whitening statistics; no gradient flows.

  Args:
    running: `Statistics` so far.
    batch: `Statistics` of this batch.
    momentum: the share kept, in [0, 1].

  Returns:
    `Statistics` with the dtypes of `running`.
  """

  def move(old, new):
    new = jax.lax.stop_gradient(new)
    old_wide, new = at_least_float32(old, new)
    return (momentum * old_wide + (1 - momentum) * new).astype(old.dtype)

  return jax.tree.map(move, running, batch)


def apply(x, moments, *, kind='cholesky'):
  """Whitens with given statistics, of this batch or running.

  Args:
    x: [B, D], any scale.
    moments: `Statistics`.
    kind: 'cholesky' (inverse of the lower factor; W-MSE), 'zca' (Σ^-½, the
      closest to x; DBN), 'pca' (axes of falling variance; its gradient is
      undefined where two variances meet) or 'iterative' (Σ^-½ by
      Newton-Schulz steps: matrix products alone).

  Returns:
    [B, D], in at least float32.

  Raises:
    ValueError: a shape or the kind is wrong.
  """
  shapes.check(
    x=(x, 'B D'),
    mean=(moments.mean, 'D'),
    covariance=(moments.covariance, 'D D'),
  )
  if kind not in _KINDS:
    raise ValueError(f'kind is {kind!r}; expected one of {sorted(_KINDS)}')
  x, mean, covariance = at_least_float32(x, *moments)
  return _KINDS[kind](x - mean[None, :], covariance)


def whiten(x, *, kind='cholesky', eps=0.0, num_groups=1):
  """Whitens a batch with its own statistics, group by group of features.

  Args:
    x: [B, D], any scale.
    kind: see `apply`.
    eps: shrinkage of the covariance, see `statistics`.
    num_groups: divides D; each of the groups of D / num_groups consecutive
      features is whitened by itself. With D groups this is standardization.

  Returns:
    [B, D] whose features have, per group, the unit covariance (at ε = 0).

  Raises:
    ValueError: the shape or the kind is wrong, or the groups do not divide D.

  References:
    Ermolov et al., Whitening for self-supervised representation learning,
    https://arxiv.org/abs/2007.06346, 2020; Hua et al., On feature decorrelation
    in self-supervised learning, https://arxiv.org/abs/2105.00470, 2021.

  >>> import numpy as np
  >>> x = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
  >>> white = np.asarray(whiten(x))
  >>> bool(np.allclose(white.T @ white / 3, np.eye(2), atol=1e-6))
  True
  """
  dim = shapes.check(x=(x, 'B D'))['D']
  if dim % num_groups:
    raise ValueError(f'num_groups is {num_groups}; expected a divisor of {dim}')
  x = at_least_float32(x)
  groups = jnp.split(x, num_groups, axis=1)
  return jnp.concatenate(
    [apply(g, statistics(g, eps=eps), kind=kind) for g in groups], 1
  )


@jax.custom_jvp
def inverse_sqrt(matrix):
  """Inverse square root of a symmetric positive definite matrix.

  Its derivative is the Daleckii-Krein formula, which stays finite where
  eigenvalues meet, unlike the derivative of an eigendecomposition.

  Args:
    matrix: [D, D] symmetric, positive definite.

  Returns:
    [D, D] symmetric.
  """
  values, vectors = jnp.linalg.eigh(matrix)
  return (vectors * _power(values, -0.5)[None, :]) @ vectors.T


@inverse_sqrt.defjvp
def _inverse_sqrt_jvp(primals, tangents):
  values, vectors = jnp.linalg.eigh(primals[0])
  roots = 1 / _power(values, -0.5)
  # (f(a) − f(b)) / (a − b) for f = x^-½, without the division by a − b.
  product = roots[:, None] * roots[None, :]
  slopes = -1 / (product * (roots[:, None] + roots[None, :]))
  symmetric = (tangents[0] + tangents[0].T) / 2
  inner = slopes * (vectors.T @ symmetric @ vectors)
  result = (vectors / roots[None, :]) @ vectors.T
  return result, vectors @ inner @ vectors.T


def _power(values, exponent):
  """A power of eigenvalues that rounding may have made negative."""
  floor = jnp.finfo(values.dtype).eps * jnp.max(values)
  tiny = float(jnp.finfo(values.dtype).tiny) ** 0.5
  return jnp.maximum(values, jnp.maximum(floor, tiny)) ** exponent


def _cholesky(centered, covariance):
  factor = jnp.linalg.cholesky(covariance)
  return jax.scipy.linalg.solve_triangular(factor, centered.T, lower=True).T


def _zca(centered, covariance):
  return centered @ inverse_sqrt(covariance)


def _pca(centered, covariance):
  values, vectors = jnp.linalg.eigh(covariance)
  values, vectors = values[::-1], vectors[:, ::-1]
  return centered @ vectors * _power(values, -0.5)[None, :]


def _iterative(centered, covariance, num_steps=20):
  """Newton-Schulz iteration for Σ^-½ on the matrix of trace one.

  The coupled form: it carries Σ^½ along, which keeps rounding from growing.
  """
  trace = jnp.trace(covariance)
  identity = jnp.eye(len(covariance), dtype=covariance.dtype)
  root, inverse = covariance / trace, identity
  for _ in range(num_steps):
    step = 1.5 * identity - 0.5 * inverse @ root
    root, inverse = root @ step, step @ inverse
  return centered @ inverse / jnp.sqrt(trace)


_KINDS = {
  'cholesky': _cholesky,
  'zca': _zca,
  'pca': _pca,
  'iterative': _iterative,
}
