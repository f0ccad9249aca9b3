"""The matching is the best of all permutations."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sslax.ops.hungarian import hungarian


def _best(cost):
  rows, columns = cost.shape
  return min(
    sum(cost[i, j] for i, j in enumerate(permutation))
    for permutation in itertools.permutations(range(columns), rows)
  )


@pytest.mark.parametrize('shape', [(4, 4), (3, 5), (1, 2)])
def test_no_permutation_is_cheaper(shape):
  for seed in range(5):
    cost = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    columns = np.asarray(hungarian(cost))
    assert len(set(columns.tolist())) == shape[0]
    total = cost[np.arange(shape[0]), columns].sum()
    np.testing.assert_allclose(total, _best(cost), rtol=1e-6)


def test_runs_in_a_compiled_function_on_eight_devices():
  cost = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
  mesh = Mesh(np.array(jax.devices()), ('data',))
  sharding = NamedSharding(mesh, PartitionSpec('data'))
  columns = jax.jit(hungarian)(jax.device_put(cost, sharding))
  np.testing.assert_array_equal(columns, hungarian(cost))


def test_gives_no_gradient():
  def loss(cost):
    return jnp.sum(jnp.take_along_axis(cost, hungarian(cost)[:, None], axis=1))

  grad = jax.grad(loss)(jnp.asarray([[1.0, 3.0], [4.0, 2.0]]))
  np.testing.assert_array_equal(grad, np.eye(2))


def test_more_rows_than_columns_are_refused():
  with pytest.raises(ValueError, match='at least as many'):
    hungarian(np.zeros((3, 2), np.float32))
