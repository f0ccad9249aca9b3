"""What Sinkhorn-Knopp promises: masses, optimality, range, restarts."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from scipy import optimize

from sslax.ops import sinkhorn as ops


def test_the_examples_are_true():
  assert doctest.testmod(ops).failed == 0


def _scores(batch=12, columns=5, seed=0):
  return np.random.default_rng(seed).normal(size=(batch, columns))


@pytest.mark.parametrize('log_domain', [True, False])
def test_reaches_any_marginals(log_domain, x64):
  rng = np.random.default_rng(1)
  rows, columns = rng.dirichlet(np.ones(12)), rng.dirichlet(np.ones(5))
  plan = ops.sinkhorn(
    _scores(),
    epsilon=0.3,
    num_iterations=300,
    row_mass=rows,
    column_mass=columns,
    log_domain=log_domain,
  ).plan
  np.testing.assert_allclose(plan.sum(1), rows, rtol=1e-9)
  np.testing.assert_allclose(plan.sum(0), columns, rtol=1e-9)


def test_both_domains_agree(x64):
  kwargs = {'epsilon': 0.1, 'num_iterations': 4}
  logs = ops.sinkhorn(_scores(), **kwargs)
  matrix = ops.sinkhorn(_scores(), log_domain=False, **kwargs)
  np.testing.assert_allclose(matrix.plan, logs.plan, rtol=1e-9)


def test_equals_the_loop_of_swav(x64):
  scores = _scores()
  plan = np.exp(scores.T / 0.05)
  plan /= plan.sum()
  for _ in range(3):
    plan /= plan.sum(1, keepdims=True) * 5
    plan /= plan.sum(0, keepdims=True) * 12
  np.testing.assert_allclose(ops.sinkhorn_codes(scores), plan.T * 12, rtol=1e-9)


def test_tends_to_the_optimal_assignment(x64):
  scores = _scores(6, 6)
  plan = ops.sinkhorn(scores, epsilon=0.01, num_iterations=5000).plan
  _, columns = optimize.linear_sum_assignment(-scores)
  np.testing.assert_array_equal(np.argmax(plan, 1), columns)
  cost = ops.transport_cost(plan, -scores)
  best = -scores[np.arange(6), columns].mean()
  np.testing.assert_allclose(cost, best, atol=1e-3)


def test_stays_finite_where_the_matrix_overflows():
  codes = ops.sinkhorn_codes(
    1e4 * jnp.asarray(_scores(), jnp.float32), epsilon=0.05
  )
  assert np.isfinite(codes).all()
  np.testing.assert_allclose(codes.sum(1), 1, rtol=1e-5)


def test_a_warm_start_goes_on(x64):
  whole = ops.sinkhorn(_scores(), epsilon=0.2, num_iterations=6)
  half = ops.sinkhorn(_scores(), epsilon=0.2, num_iterations=3)
  rest = ops.sinkhorn(
    _scores(), epsilon=0.2, num_iterations=3, start=half.potentials
  )
  np.testing.assert_allclose(rest.plan, whole.plan, rtol=1e-12)


def test_a_tolerance_bounds_the_masses(x64):
  plan = ops.sinkhorn(_scores(), epsilon=0.05, tolerance=1e-9).plan
  np.testing.assert_allclose(plan.sum(0), 1 / 5, rtol=1e-8)


def test_masked_rows_count_nowhere(x64):
  scores, mask = _scores(), np.arange(12) % 3 > 0
  codes = np.asarray(ops.sinkhorn_codes(scores, row_mask=mask))
  alone = ops.sinkhorn_codes(scores[mask])
  np.testing.assert_allclose(codes[mask], alone, rtol=1e-9)
  assert not codes[~mask].any()


def test_no_iteration_is_a_softmax(x64):
  codes = ops.sinkhorn_codes(_scores(), epsilon=0.5, num_iterations=0)
  expected = jax.nn.softmax(_scores() / 0.5, -1)
  np.testing.assert_allclose(codes, expected, rtol=1e-12)


def test_eight_devices_equal_one(x64):
  scores = _scores(16)
  mesh = Mesh(np.array(jax.devices()), ('data',))
  sharded = jax.device_put(scores, NamedSharding(mesh, PartitionSpec('data')))
  codes = jax.jit(ops.sinkhorn_codes)
  np.testing.assert_allclose(codes(sharded), codes(scores), rtol=1e-9)


def test_asks_for_one_way_to_stop():
  with pytest.raises(ValueError, match='exactly one'):
    ops.sinkhorn(_scores(), epsilon=1.0)
