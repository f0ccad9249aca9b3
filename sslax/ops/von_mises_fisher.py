"""The normalizer of the von Mises-Fisher density in high dimensions."""

import math

import jax.numpy as jnp
import numpy as np

from sslax import shapes
from sslax.ops.precision import at_least_float32

# Debye polynomials u_1 to u_4: coefficients of p^k, p^(k+2), ... over a
# common denominator (Abramowitz and Stegun, 9.3.9).
_DEBYE = (
  ((3, -5), 24),
  ((81, -462, 385), 1152),
  ((30375, -369603, 765765, -425425), 414720),
  ((4465125, -94121676, 349922430, -446185740, 185910725), 39813120),
)


def log_normalizer(prototypes, temperature=1.0):
  """Log of C_D(κ) for κ = ‖w_k‖ / temperature.

  log C_D(κ) = ν log κ − (D/2) log 2π − log I_ν(κ) with ν = D/2 − 1, by the
  large-order expansion of the Bessel function, uniform in κ ≥ 0. Its error is
  below 1e-4 at D = 8, 1e-6 at D = 16 and 1e-9 at D = 64.

  Args:
    prototypes: [K, D], any scale, D at least 4.
    temperature: above 0.

  Returns:
    [K], in at least float32; differentiable at the zero vector.

  Raises:
    ValueError: the shape is wrong, or D is below 4.

  References:
    Govindarajan et al., DINO as a von Mises-Fisher mixture model,
    https://arxiv.org/abs/2405.10939, 2024. The expansion: Abramowitz and
    Stegun, Handbook of mathematical functions, 1964, 9.7.7 and 9.3.9.
  """
  dim = shapes.check(prototypes=(prototypes, 'K D'))['D']
  if dim < 4:
    raise ValueError(f'prototypes have {dim} dimensions; expected at least 4')
  prototypes = at_least_float32(prototypes)
  order = dim / 2 - 1
  ratio = jnp.sum((prototypes / (order * temperature)) ** 2, -1)
  root = jnp.sqrt(1 + ratio)
  constant = (
    order * math.log(order)
    - dim / 2 * math.log(2 * math.pi)
    + 0.5 * math.log(2 * math.pi * order)
  )
  exponent = order * (root - jnp.log1p(root))
  return constant - exponent + 0.5 * jnp.log(root) - _log_series(root, order)


def _log_series(root, order):
  """Log of 1 + Σ_k u_k(1 / root) / order^k."""
  inverse = 1 / root
  total = jnp.zeros_like(root)
  for k, (coefficients, denominator) in enumerate(_DEBYE, 1):
    powers = np.zeros(3 * k + 1)
    powers[k::2] = coefficients
    polynomial = jnp.polyval(
      jnp.asarray(powers[::-1] / denominator, root.dtype), inverse
    )
    total = total + polynomial / order**k
  return jnp.log1p(total)
