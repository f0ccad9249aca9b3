"""A bank moves the rows of a batch, and no others."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sslax.ops import memory_bank


def test_the_examples_of_the_docs_hold():
  result = doctest.testmod(memory_bank)
  assert result.attempted > 0
  assert result.failed == 0


def _inputs(seed=0):
  rng = np.random.default_rng(seed)
  bank = memory_bank.init(jax.random.key(seed), 16, 4)
  return bank, jnp.arange(15, 7, -1), jnp.asarray(rng.normal(size=(8, 4)), 'f4')


def test_update_is_the_normalized_moving_average_and_leaves_the_rest():
  bank, indices, features = _inputs()
  after = memory_bank.update(bank, indices, features, 0.7)
  np.testing.assert_array_equal(after[:8], bank[:8])
  for i, f in zip(indices, features, strict=True):
    row = 0.7 * bank[i] + 0.3 * f
    np.testing.assert_allclose(after[i], row / jnp.linalg.norm(row), rtol=1e-5)


def test_of_a_repeated_index_the_last_feature_counts():
  bank, _, features = _inputs()
  indices = jnp.array([3, 5, 3, 5, 3, 2, 2, 3])
  after = memory_bank.update(bank, indices, features, 0.5)
  alone = memory_bank.update(bank, indices[-1:], features[-1:], 0.5)
  np.testing.assert_array_equal(after[3], alone[3])


def test_eight_devices_equal_one():
  bank, indices, features = _inputs()
  mesh = Mesh(np.array(jax.devices()), ('data',))
  split = NamedSharding(mesh, PartitionSpec('data'))
  update = jax.jit(memory_bank.update)
  expected = update(bank, indices, features, 0.5)
  actual = update(*jax.device_put((bank, indices, features), split), 0.5)
  np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_the_normalizer_estimates_the_sum_over_the_bank():
  bank, _, features = _inputs()
  drawn = jnp.broadcast_to(jnp.arange(16)[None], (8, 16))  # all of it
  logits = memory_bank.scores(bank, drawn, features, 0.5)
  exact = jnp.mean(jnp.sum(jnp.exp(features @ bank.T / 0.5), axis=1))
  actual = memory_bank.normalizer(logits, 16)
  np.testing.assert_allclose(actual, exact, rtol=1e-5)


def test_no_gradient_flows_into_the_bank():
  bank, indices, features = _inputs()

  def total(bank, features):
    return memory_bank.scores(bank, indices[:, None], features, 0.5).sum()

  grads = jax.grad(total, argnums=(0, 1))(bank, features)
  assert not np.any(grads[0])
  assert np.all(np.any(np.asarray(grads[1]) != 0, axis=1))


def test_wrong_shapes_are_named():
  bank, indices, features = _inputs()
  with pytest.raises(ValueError, match='features'):
    memory_bank.update(bank, indices, features[:, :3], 0.5)
  with pytest.raises(ValueError, match='indices'):
    memory_bank.scores(bank, indices, features, 0.5)
