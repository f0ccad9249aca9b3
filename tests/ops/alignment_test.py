"""Soft correspondence of two sets of rows."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.ops import alignment


def test_the_examples_are_true():
  assert doctest.testmod(alignment).failed == 0


def _costs(seed=0, noise=0.3):
  rng = np.random.default_rng(seed)
  x, order = rng.normal(size=(7, 3)), rng.permutation(7)
  y = (x + noise * rng.normal(size=x.shape))[order]
  return ((x[:, None] - y[None]) ** 2).sum(-1), order


def test_finds_the_order_that_noise_hides(x64):
  costs, order = _costs()
  plan = alignment.align(costs, num_steps=100)
  np.testing.assert_array_equal(np.argmax(plan, 0), order)


def test_rows_and_columns_sum_to_one(x64):
  plan = alignment.align(_costs(noise=1.0)[0], num_projections=300)
  assert (np.asarray(plan) >= 0).all()
  np.testing.assert_allclose(plan.sum(0), 1, atol=1e-3)
  np.testing.assert_allclose(plan.sum(1), 1, atol=1e-3)


def test_a_higher_cost_takes_its_share_away(x64):
  costs, _ = _costs(noise=1.0)
  share = jax.grad(lambda c: alignment.align(c)[2, 3])(costs)
  assert share[2, 3] <= 0
  some = jax.grad(lambda c: jnp.sum(alignment.align(c) * c))(costs)
  assert np.abs(some).sum() > 0


def test_a_wrong_shape_is_named():
  with pytest.raises(ValueError, match='costs'):
    alignment.align(np.ones((2, 3)))
