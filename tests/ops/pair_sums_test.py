"""Sums over pairs in blocks, on one device and eight, against the matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from sslax import ring, sharding
from sslax.ops import distance, pair_blocks, pair_sums

IDS = np.arange(16, dtype=np.int32)
GROUPS = np.array([0, 1, 2, 0, 1, 0, 0, 3] * 2, np.int32)


@pytest.fixture(autouse=True)
def _blocks_that_do_not_fit(monkeypatch):
  monkeypatch.setattr(pair_blocks, '_BLOCK_ROWS', 5)


def _rows(dtype=np.float64, scale=1.0):
  q, k = np.random.default_rng(0).normal(size=(2, 16, 3)) * scale
  return q.astype(dtype), k.astype(dtype)


def _dense(scores, keep, axis=1):
  """Log of the sum of exp of the kept scores."""
  kept = jnp.where(keep, scores, -jnp.inf)
  return jax.nn.logsumexp(kept, axis)


def _apart(a, b=IDS):
  return a[:, None] != b[None, :]


def potential(x, y):
  return -distance.squared_distances(x, y)


def softplus_of_biased(queries_and_bias, keys):
  queries, bias = queries_and_bias
  return jax.nn.softplus(queries @ keys.T + bias[:, None])


def _biased(q):
  return q, q[:, 0]


# In blocks, and with the whole matrix: (queries, keys) -> arrays of totals.
FORMS = {
  'queries': (
    lambda q, k: pair_sums.logsumexp(q, k, IDS, IDS),
    lambda q, k: _dense(q @ k.T, _apart(IDS)),
  ),
  'fewer queries, in groups': (
    lambda q, k: pair_sums.logsumexp(
      q[:8], k, IDS[:8], IDS, groups=GROUPS[:8], key_groups=GROUPS
    ),
    lambda q, k: _dense(
      q[:8] @ k.T, _apart(IDS[:8]) & ~_apart(GROUPS[:8], GROUPS)
    ),
  ),
  'both': (
    lambda q, k: pair_sums.logsumexp_both(q, k, IDS, IDS),
    lambda q, k: [_dense(q @ k.T, _apart(IDS), axis) for axis in (1, 0)],
  ),
  'within': (
    lambda q, k: pair_sums.logsumexp_within(q * k, IDS % 8),
    lambda q, k: _dense((q * k) @ (q * k).T, _apart(IDS % 8, IDS % 8)),
  ),
  'within groups': (
    lambda q, k: pair_sums.logsumexp_within(q + k, IDS, groups=GROUPS // 2),
    lambda q, k: _dense(
      (q + k) @ (q + k).T, _apart(IDS) & ~_apart(GROUPS // 2, GROUPS // 2)
    ),
  ),
  'within, of distances': (
    lambda q, k: pair_sums.logsumexp_within(q + k, IDS, score=potential),
    lambda q, k: _dense(potential(q + k, q + k), _apart(IDS)),
  ),
  'sum': (
    lambda q, k: pair_sums.sum_of_scores(
      _biased(q), k, IDS, IDS, score=softplus_of_biased
    ),
    lambda q, k: jnp.sum(
      jnp.where(_apart(IDS), softplus_of_biased(_biased(q), k), 0), 1
    ),
  ),
}
each_form = pytest.mark.parametrize('form', FORMS)


def _with_gradients(totals):
  """(queries, keys) -> the totals, and gradients of an uneven sum of them."""

  def weighed(q, k):
    found = jax.tree.leaves(totals(q, k))
    weights = [np.cos(3 * i + np.arange(len(t))) for i, t in enumerate(found)]
    pairs = zip(found, weights, strict=True)
    return sum(jnp.sum(t * w.astype(t.dtype)) for t, w in pairs), found

  return jax.jit(jax.value_and_grad(weighed, argnums=(0, 1), has_aux=True))


def _on_eight_devices(arrays):
  mesh = sharding.make_mesh(2)
  return jax.device_put(arrays, sharding.split_rows(mesh))


def _assert_equal(actual, expected, tolerance):
  for a, b in zip(*map(jax.tree.leaves, (actual, expected)), strict=True):
    gap = np.linalg.norm(np.asarray(a, np.float64) - np.asarray(b, np.float64))
    assert gap <= tolerance * np.linalg.norm(b), (gap, np.linalg.norm(b))


@each_form
def test_blocks_and_the_ring_equal_the_matrix(form, x64):
  blocks, dense = map(_with_gradients, FORMS[form])
  rows = _rows()
  expected = dense(*rows)
  _assert_equal(blocks(*rows), expected, 1e-12)
  shared = _on_eight_devices(rows)
  assert 'ppermute' in str(blocks.trace(*shared).jaxpr)
  _assert_equal(blocks(*shared), expected, 1e-12)
  low = blocks(*_rows(np.float32))  # float32 of the same numbers
  assert low[0][0].dtype == np.float32
  _assert_equal(low, expected, 1e-6)


def test_scores_that_only_float32_with_care_can_hold():
  """Logits of a temperature of 0.01, whose exp overflows without a maximum."""
  blocks, dense = map(_with_gradients, FORMS['both'])
  rows = _rows(np.float32, scale=10.0)
  assert np.max(rows[0] @ rows[1].T) > 100
  with jax.enable_x64(True):
    expected = dense(*(r.astype(np.float64) for r in rows))
  found = blocks(*rows)
  _assert_equal(found[0], expected[0], 1e-6)
  _assert_equal(found[1], expected[1], 1e-4)  # a logit's own rounding is 1e-5


def test_bfloat16_rises_before_it_is_multiplied():
  rows = _rows(jnp.bfloat16)
  total = jax.jit(lambda q, k: pair_sums.logsumexp(q, k, IDS, IDS))
  found = total(*rows)
  raised = total(*(r.astype(np.float32) for r in rows))
  assert found.dtype == jnp.float32
  np.testing.assert_array_equal(found, raised)


def test_where_nothing_counts_the_total_is_finite_and_has_no_gradient():
  q, k = _rows(np.float32)
  same = np.zeros(16, np.int32)
  total = _with_gradients(lambda q, k: pair_sums.logsumexp(q, k, same, same))
  (_, found), grads = total(q, k)
  assert np.all(np.isfinite(found[0]))
  assert np.all(np.exp(found[0]) == 0)
  assert not any(np.any(g) for g in grads)


def test_rows_that_devices_cannot_share_equally_need_no_ring():
  mesh = sharding.make_mesh()
  x = jax.device_put(np.zeros((16, 2)), sharding.replicated(mesh))
  assert ring.mesh_of_rows(x, 16, 8).size == 8
  assert ring.mesh_of_rows(x, 16, 12) is None
  assert ring.mesh_of_rows(np.zeros((16, 2)), 16) is None
  seen = []

  def local(x):
    seen.append(ring.mesh_of_rows(x, 8))
    return x

  jax.shard_map(local, mesh=mesh, in_specs=P(), out_specs=P())(x)
  assert seen == [None]


def test_the_mesh_of_a_training_step_is_seen_through_what_it_computes():
  rows = jax.device_put(
    np.zeros((16, 2), np.float32),
    NamedSharding(sharding.make_mesh(2), P(('data', 'fsdp'))),
  )
  seen = []

  def step(x):
    y = jax.lax.fori_loop(0, 2, lambda _, y: jnp.tanh(y @ y.T @ y), x)
    seen.append(ring.mesh_of_rows(jnp.stack([y, y], 1).reshape(32, 2), 32))
    return jnp.sum(y)

  jax.jit(jax.grad(step)).trace(rows)
  assert [mesh.axis_names for mesh in seen] == [('data', 'fsdp')]
