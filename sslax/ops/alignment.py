"""Soft correspondence of two sets of rows, differentiable in their costs."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.precision import at_least_float32


def align(costs, *, num_steps=30, num_projections=10, step_size=0.1):
  """A nearly doubly stochastic matrix of low cost, by projected gradient.

  Repeats P ← P − η·C, brought back to {P ≥ 0, P·1 = 1, Pᵀ·1 = 1} by rounds of
  Dykstra's projections onto its three sets. It starts from each column's
  nearest row, of which every row keeps its nearest.

  Args:
    costs: [B, B] C, such as squared distances of rows that are to be paired.
    num_steps: steps of the gradient, at least 1.
    num_projections: rounds of projections after each step, at least 1.
    step_size: η, above 0.

  Returns:
    [B, B] P, not negative; rows and columns sum to about 1. P @ y brings the
    rows of y to the order of the rows of x.

  Raises:
    ValueError: costs is not square.

  References:
    Huang et al., Partially view-aligned clustering, NeurIPS 2020. The official
    code: hi-zhenyu/PVC, alignment.py.

  Deviations:
    The official code leaves a round early where it changes nothing, which
    gives the same.

  >>> plan = align(jnp.array([[0.0, 9.0], [9.0, 0.0]]))
  >>> [[round(float(share), 2) for share in row] for row in plan]
  [[1.0, 0.0], [0.0, 1.0]]
  """
  shapes.check(costs=(costs, 'B B'))
  costs = at_least_float32(costs)
  zeros = jnp.zeros_like(costs)

  def step(carry, _):
    plan, corrections = carry
    carry = plan - step_size * costs, corrections
    return jax.lax.scan(project, carry, None, num_projections)[0], None

  def project(carry, _):
    plan, corrections = carry
    changed = []
    for onto, correction in zip(_PROJECTIONS, corrections, strict=True):
      moved = plan + correction
      plan = onto(moved)
      changed.append(moved - plan)
    return (plan, tuple(changed)), None

  start = jax.lax.stop_gradient(_nearest_of_nearest(costs))
  carry = start, (zeros, zeros, zeros)
  return jax.lax.scan(step, carry, None, num_steps)[0][0]


def _nearest_of_nearest(costs):
  """[B, B] one-hot rows: the nearest of the columns that choose the row."""
  rows = jnp.arange(costs.shape[0])[:, None]
  chosen = rows == jnp.argmin(costs, 0)[None, :]
  left = jnp.where(chosen, costs, jnp.max(costs))
  return jax.nn.one_hot(jnp.argmin(left, 1), len(costs), dtype=costs.dtype)


def _rows_to_one(plan):
  return plan - (jnp.sum(plan, 1, keepdims=True) - 1) / plan.shape[1]


def _columns_to_one(plan):
  return plan - (jnp.sum(plan, 0, keepdims=True) - 1) / plan.shape[0]


_PROJECTIONS = (_rows_to_one, _columns_to_one, jax.nn.relu)
