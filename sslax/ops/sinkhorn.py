"""Entropic optimal transport by Sinkhorn-Knopp scaling."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.precision import at_least_float32


class Potentials(NamedTuple):
  """Logarithms of the two scalings of a transport plan.

  Attributes:
    rows: [B].
    columns: [K].
  """

  rows: jax.Array
  columns: jax.Array


class Transport(NamedTuple):
  """A transport plan and what it takes to resume its iteration.

  Attributes:
    plan: [B, K], non-negative; its row sums are the row masses.
    potentials: `Potentials`, the `start` of a warm restart.
  """

  plan: jax.Array
  potentials: Potentials


def sinkhorn(
  scores,
  *,
  epsilon,
  num_iterations=None,
  tolerance=None,
  row_mass=None,
  column_mass=None,
  start=None,
  log_domain=True,
):
  """Scales exp(scores / epsilon) to given row and column sums.

  Q = diag(u)·exp(S / ε)·diag(v); one iteration sets the column sums, then the
  row sums. Give the number of iterations or a tolerance: then it stops where
  Σ_i |u_i^old / u_i − 1| ≤ tolerance, looked at every tenth iteration, as
  SeLa does.

  Args:
    scores: [B, K] similarities (the negative cost), any scale.
    epsilon: weight of the entropy, above 0.
    num_iterations: number of iterations, at least 0.
    tolerance: stop by convergence instead; above 0.
    row_mass: [B] non-negative, the row sums; default 1/B each. A row of mass
      zero is left out.
    column_mass: [K] non-negative with the sum of `row_mass`; default equal.
    start: `Potentials` to begin from; default rows of log `row_mass`.
    log_domain: work with logarithms, safe for any ε; otherwise with the
      matrix itself, which is faster and safe while (max S − min S) / ε < 80.

  Returns:
    `Transport`.

  Raises:
    ValueError: a shape is wrong, or not exactly one of `num_iterations` and
      `tolerance` is given.

  References:
    Cuturi, Sinkhorn distances: lightspeed computation of optimal transport,
    https://arxiv.org/abs/1306.0895, 2013.

  >>> import jax.numpy as jnp
  >>> plan = sinkhorn(jnp.eye(2), epsilon=1.0, num_iterations=3).plan
  >>> [round(float(mass), 4) for mass in plan.sum(0)]
  [0.5, 0.5]
  """
  if (num_iterations is None) == (tolerance is None):
    raise ValueError('give exactly one of num_iterations and tolerance')
  sizes = shapes.check(scores=(scores, 'B K'))
  scores = at_least_float32(scores)
  logits = scores / epsilon
  rows, columns = _masses(row_mass, column_mass, sizes, logits.dtype)
  start = start or Potentials(rows, jnp.zeros_like(columns))
  iterate = _log_iteration if log_domain else _matrix_iteration
  step = iterate(logits, rows, columns)
  if tolerance is None:
    potentials = jax.lax.fori_loop(
      0, num_iterations, lambda _, p: step(p), start
    )
  else:
    potentials = _until_converged(step, start, tolerance)
  plan = jnp.exp(
    logits + potentials.rows[:, None] + potentials.columns[None, :]
  )
  return Transport(plan, potentials)


def sinkhorn_codes(
  scores, *, epsilon=0.05, num_iterations=3, row_mask=None, log_domain=True
):
  """Codes that use every prototype equally: SwAV's distributed Sinkhorn.

  Args:
    scores: [B, K] similarities of samples and prototypes, any scale.
    epsilon: weight of the entropy, above 0.
    num_iterations: at least 0; with 0 the codes are softmax(scores / epsilon).
    row_mask: [B] booleans, True = counted; other rows' codes are zero.
    log_domain: see `sinkhorn`.

  Returns:
    [B, K] non-negative; each counted row sums to 1. No gradient flows.

  Raises:
    ValueError: a shape is wrong.

  References:
    Caron et al., Unsupervised learning of visual features by contrasting
    cluster assignments, https://arxiv.org/abs/2006.09882, 2020.

  >>> import jax.numpy as jnp
  >>> codes = sinkhorn_codes(jnp.array([[1.0, 0.0], [1.0, 0.0]]))
  >>> [round(float(code), 4) for code in codes[0]]
  [0.5, 0.5]
  """
  scores = jax.lax.stop_gradient(at_least_float32(scores))
  if row_mask is None:
    row_mask = jnp.ones(jnp.shape(scores)[:1], bool)
  shapes.check(scores=(scores, 'B K'), row_mask=(row_mask, 'B'))
  potentials = sinkhorn(
    scores,
    epsilon=epsilon,
    num_iterations=num_iterations,
    row_mass=row_mask,
    log_domain=log_domain,
  ).potentials
  codes = jax.nn.softmax(scores / epsilon + potentials.columns[None, :], -1)
  return jnp.where(row_mask[:, None], codes, jnp.zeros_like(codes))


def transport_cost(plan, cost):
  """Cost of a transport plan, Σ_ij Q_ij C_ij.

  Args:
    plan: [B, K] of `Transport`.
    cost: [B, K], any scale.

  Returns:
    Scalar; with ε → 0 it tends to the earth mover's distance.

  Raises:
    ValueError: the shapes differ.
  """
  shapes.check(plan=(plan, 'B K'), cost=(cost, 'B K'))
  plan, cost = at_least_float32(plan, cost)
  return jnp.sum(plan * cost)


def _masses(row_mass, column_mass, sizes, dtype):
  """Returns logarithms of the marginals; a mass of zero is −inf."""
  num_rows, num_columns = sizes['B'], sizes['K']
  if row_mass is None:
    row_mass = jnp.full(num_rows, 1 / num_rows, dtype)
  row_mass = jnp.asarray(row_mass).astype(dtype)
  if column_mass is None:
    column_mass = jnp.full(num_columns, jnp.sum(row_mass) / num_columns)
  column_mass = jnp.asarray(column_mass).astype(dtype)
  checked = {'row_mass': (row_mass, str(num_rows))}
  shapes.check(**checked, column_mass=(column_mass, str(num_columns)))
  return jnp.log(row_mass), jnp.log(column_mass)


def _difference(log_mass, log_sum):
  """Log of the scaling; nothing is scaled to reach a mass of zero."""
  empty = jnp.isneginf(log_mass)
  gap = log_mass - jnp.where(empty, jnp.zeros_like(log_sum), log_sum)
  return jnp.where(empty, log_mass, gap)


def _log_iteration(logits, row_mass, column_mass):
  def step(potentials):
    rows, _ = potentials
    sums = jax.nn.logsumexp(logits + rows[:, None], 0)
    columns = _difference(column_mass, sums)
    sums = jax.nn.logsumexp(logits + columns[None, :], 1)
    return Potentials(_difference(row_mass, sums), columns)

  return step


def _matrix_iteration(logits, row_mass, column_mass):
  top = jnp.max(logits)
  matrix = jnp.exp(logits - top)
  row_mass, column_mass = jnp.exp(row_mass), jnp.exp(column_mass)

  def step(potentials):
    columns = column_mass / (jnp.exp(potentials.rows + top) @ matrix)
    rows = row_mass / (matrix @ columns)
    return Potentials(jnp.log(rows) - top, jnp.log(columns))

  return step


def _until_converged(step, start, tolerance):
  def change(old, new):
    ratio = jnp.expm1(old.rows - new.rows)
    return jnp.sum(jnp.where(jnp.isfinite(ratio), jnp.abs(ratio), 0))

  def body(carry):
    count, potentials, error = carry
    new = step(potentials)
    look = count % 10 == 0
    error = jnp.where(look, change(potentials, new), error)
    return count + 1, new, error

  infinite = jnp.full((), jnp.inf, start.rows.dtype)
  carry = (0, start, infinite)
  return jax.lax.while_loop(lambda c: c[2] > tolerance, body, carry)[1]
