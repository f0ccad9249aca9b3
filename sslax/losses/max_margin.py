"""Contrastive learning as a support-vector machine for each anchor."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import distance
from sslax.ops.precision import at_least_float32

__all__ = ['mmcl']


def mmcl(
  z1,
  z2,
  *,
  sigma=0.5,
  bound=1.0,
  ridge=0.1,
  kernel='rbf',
  solver='inverse',
  num_iterations=200,
):
  """Max-margin contrastive learning.

  mean_i [Σ_{n≠i} α_in·K(z2_i, z1_n) − (Σ_n α_in)·K(z2_i, z1_i)], α_i ∈ [0, C]
  the dual variables, held fixed, of the machine that separates z1_i from the
  other z1_n: they minimize ½·αᵀΔα − 2·1ᵀα, Δ_nm = K(n, m) + K(i, i) − K(i, n) −
  K(i, m) + ρ·[n = m].

  Args:
    z1: [B, D] first views, any scale; normalized here; B ≥ 2.
    z2: [B, D] second views.
    sigma: width of the kernel, above 0: 'rbf' is e^{−‖x−y‖²/σ}, 'tanh' is
      tanh(σ·x·y).
    bound: C, above 0.
    ridge: ρ, above 0.
    kernel: 'rbf', 'linear' or 'tanh'.
    solver: 'inverse', clip(2·Δ⁻¹·1, 0, C), or 'gradient', projected gradient
      with Nesterov's momentum.
    num_iterations: steps of 'gradient'.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ, or an unknown kernel or solver.

  References:
    Shah et al., Max-margin contrastive learning,
    https://arxiv.org/abs/2112.11450, 2021, and its code,
    https://github.com/anshulbshah/MMCL.

  Deviations:
    The gradient solver starts from zero and steps by one over a bound of Δ's
    norm, where the official code draws a start and takes a fixed step.

  >>> z = jnp.eye(2)  # Δ = 2: α = 1, and the loss is K(0, 1) − K(0, 0)
  >>> round(float(mmcl(z, z, kernel='linear', ridge=1e-6)), 4)
  -1.0
  """
  num = shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))['B']
  if kernel not in _KERNELS or solver not in ('inverse', 'gradient'):
    raise ValueError(
      f'kernel is {kernel!r}, solver is {solver!r}; expected one of'
      f" {[*_KERNELS]}, and 'inverse' or 'gradient'"
    )
  z1, z2 = at_least_float32(z1, z2)
  z1, z2 = distance.normalize(z1), distance.normalize(z2)
  k = jax.lax.stop_gradient(_KERNELS[kernel](z1, z1, sigma))
  if solver == 'inverse':
    alpha = jnp.clip(_inverse_duals(k, ridge), 0, bound)
  else:
    alpha = _projected_gradient(k, ridge, bound, num_iterations)
  # The anchor itself is no negative.
  alpha = jnp.where(jnp.eye(num, dtype=bool), 0, alpha)
  alpha = jax.lax.stop_gradient(alpha)
  cross = _KERNELS[kernel](z2, z1, sigma)
  push = jnp.sum(alpha * cross, 1)
  return jnp.mean(push - jnp.sum(alpha, 1) * jnp.diagonal(cross))


def _inverse_duals(k, ridge):
  """[B, B] 2·Δ_i⁻¹·1 of every anchor i, from R = (K + ρI)⁻¹ alone.

  Δ_i is K + ρI less its row and column i, plus a matrix of rank two, and both
  changes of an inverse are known. Together, with r = R·1 and t = 1ᵀR·1:
  2 (r_i r_n − t R_in) / (t + ρ (r_i² − t R_ii)).
  """
  identity = jnp.eye(k.shape[0], dtype=k.dtype)
  inverse = jnp.linalg.inv(k + ridge * identity)
  rows = jnp.sum(inverse, 1)
  total = jnp.sum(rows)
  scale = total + ridge * (rows**2 - total * jnp.diagonal(inverse))
  return 2 * (rows[:, None] * rows[None, :] - total * inverse) / scale[:, None]


def _projected_gradient(k, ridge, bound, num_iterations):
  """Minimizes ½αᵀΔα − 2·1ᵀα over the box [0, C] for each anchor."""
  anchor = jnp.eye(k.shape[0], dtype=bool)
  own = jnp.diagonal(k)[:, None]
  step = 1 / (_frobenius(k) + ridge)[:, None]

  def slope(alpha):  # Δα − 2, where α of the anchor is zero
    total = jnp.sum(alpha, 1, keepdims=True)
    shared = jnp.sum(k * alpha, 1, keepdims=True)
    product = alpha @ k + (own - k) * total - shared + ridge * alpha
    return jnp.where(anchor, 0, product - 2)

  def advance(i, state):
    alpha, ahead = state
    new = jnp.clip(ahead - step * slope(ahead), 0, bound)
    share = jnp.asarray(i, alpha.dtype) / (i + 3)
    return new, new + share * (new - alpha)

  zero = jnp.zeros_like(k)
  return jax.lax.fori_loop(0, num_iterations, advance, (zero, zero))[0]


def _frobenius(k):
  """[B] norms of the matrices K(n, m) + K(i, i) − K(i, n) − K(i, m).

  Each bounds its matrix's largest eigenvalue. The sum is taken around the
  mean, which the difference of features does not know.
  """
  k = k - jnp.mean(k, 0, keepdims=True)
  k = k - jnp.mean(k, 1, keepdims=True)
  num, own = k.shape[0], jnp.diagonal(k)
  # Rows of the centered K sum to zero, which leaves four squares.
  rows = jnp.sum(k * k, 1)
  return jnp.sqrt(jnp.sum(rows) + num * (2 * rows + num * own**2))


_KERNELS = {
  'rbf': lambda x, y, sigma: jnp.exp((2 * x @ y.T - 2) / sigma),
  'linear': lambda x, y, sigma: x @ y.T,
  'tanh': lambda x, y, sigma: jnp.tanh(sigma * x @ y.T),
}
