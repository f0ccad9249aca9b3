"""Losses of two views whose rows are not all in the same order."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import alignment
from sslax.ops.distance import squared_distances
from sslax.ops.precision import at_least_float32

__all__ = ['pvc']


def pvc(z1, z2, plan, *, plan_weight=10.0, num_steps=30, step_size=0.1):
  """Partially view-aligned clustering: aligned codes, and who belongs to whom.

  mean (z1 − P·z2)² + λ·mean (P̂ − P)², with P̂ = `sslax.ops.alignment.align` of
  the squared distances of z1 and z2, through which the gradient flows. The
  method adds the reconstruction of both views.

  Args:
    z1: [B, D] codes of view 1, any scale.
    z2: [B, D] codes of view 2, in an order of their own.
    plan: [B, B] P, 1 where row i of z1 and row j of z2 are of one example; the
      known correspondence in the first stage; no gradient.
    plan_weight: λ, at least 0; 0 in the second stage, where P is the plan that
      the first stage has learned.
    num_steps: of `align`.
    step_size: of `align`.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Huang et al., Partially view-aligned clustering, NeurIPS 2020. The official
    code: hi-zhenyu/PVC, loss.py and main.py.

  >>> z, plan = jnp.eye(2), jnp.eye(2)
  >>> round(float(pvc(z, z, plan)), 4)
  0.0
  >>> round(float(pvc(z, z[::-1], plan, plan_weight=0.0)), 4)
  1.0
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'), plan=(plan, 'B B'))
  z1, z2, plan = at_least_float32(z1, z2, jax.lax.stop_gradient(plan))
  gap = jnp.mean((z1 - plan @ z2) ** 2)
  if not plan_weight:
    return gap
  found = alignment.align(
    squared_distances(z1, z2), num_steps=num_steps, step_size=step_size
  )
  return gap + plan_weight * jnp.mean((found - plan) ** 2)
