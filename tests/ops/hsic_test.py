"""HSIC against its definition, and against independence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.ops import hsic as ops


def _kernels(num=12):
  x, y = np.random.default_rng(0).normal(size=(2, num, 3))
  y = y + x
  return ops.gaussian_kernel(x, x, 1.5), ops.gaussian_kernel(y, y, 2.0)


def test_the_kernel_is_a_gaussian_of_the_distance(x64):
  x = np.array([[0.0, 0.0], [3.0, 4.0]])
  kernel = ops.gaussian_kernel(x, x, 5.0)
  np.testing.assert_allclose(kernel[0, 1], np.exp(-0.5))
  np.testing.assert_allclose(jnp.diagonal(kernel), 1)


def test_the_biased_estimate_is_the_trace_of_centered_kernels(x64):
  k, m = map(np.asarray, _kernels())
  h = np.eye(12) - 1 / 12
  expected = np.trace(k @ h @ m @ h) / 11**2
  np.testing.assert_allclose(ops.hsic(k, m), expected, rtol=1e-12)


def test_the_unbiased_estimate_is_the_sum_over_distinct_samples(x64):
  k, m = map(np.asarray, _kernels(6))
  terms = np.zeros(3)
  counts = np.zeros(3)
  for i, j, q, r in np.ndindex(6, 6, 6, 6):
    if len({i, j, q, r}) == 4:
      terms += [k[i, j] * m[i, j], k[i, j] * m[q, r], k[i, j] * m[i, q]]
      counts += 1
  joint, product, cross = terms / counts
  expected = joint + product - 2 * cross
  np.testing.assert_allclose(ops.unbiased_hsic(k, m), expected, rtol=1e-10)


def test_the_unbiased_estimate_is_zero_on_average_for_independent_data(x64):
  rng = np.random.default_rng(0)

  @jax.jit
  def both(x, y):
    k, m = (ops.gaussian_kernel(z, z, 1.0) for z in (x, y))
    return jnp.stack([ops.unbiased_hsic(k, m), ops.hsic(k, m)])

  draws = np.array([both(*rng.normal(size=(2, 20, 1))) for _ in range(300)])
  unbiased, biased = draws.mean(0)
  error = draws[:, 0].std() / np.sqrt(300)
  assert abs(unbiased) < 3 * error
  assert biased > 10 * error


def test_dependence_without_correlation_is_seen(x64):
  angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 200)
  x, y = np.cos(angle)[:, None], np.sin(angle)[:, None]
  shuffled = np.random.default_rng(1).permutation(y)
  same, other, mixed = (
    ops.gaussian_kernel(z, z, 0.5) for z in (x, y, shuffled)
  )
  assert float(ops.hsic(same, other)) > 3 * float(ops.hsic(same, mixed))


def test_a_constant_variable_has_no_dependence(x64):
  k, _ = _kernels()
  np.testing.assert_allclose(ops.hsic(k, np.ones((12, 12))), 0, atol=1e-15)
  np.testing.assert_allclose(
    ops.normalized_hsic(k, np.ones((12, 12))), 0, atol=1e-9
  )


def test_the_normalized_form_counts_shared_directions(x64):
  # Two one-hot labelings that agree share rank C - 1 = 2.
  labels = np.repeat(np.eye(3), 4, axis=0)
  kernel = labels @ labels.T
  value = ops.normalized_hsic(kernel, kernel, eps=1e-9)
  np.testing.assert_allclose(value, 2, rtol=1e-6)
  scaled = ops.normalized_hsic(100 * kernel, kernel, eps=1e-9)
  np.testing.assert_allclose(scaled, 2, rtol=1e-6)


def test_random_features_estimate_the_kernel_and_hsic(x64):
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(2, 12, 3))
  y = x + 0.5 * y
  num = 40000
  offsets = rng.uniform(0, 2 * np.pi, num)
  phi = ops.random_fourier_features(x, rng.normal(size=(3, num)) / 1.5, offsets)
  kernel = ops.gaussian_kernel(x, x, 1.5)
  np.testing.assert_allclose(phi @ phi.T, kernel, atol=0.03)
  linear = ops.hsic_of_features(phi, y)
  np.testing.assert_allclose(linear, ops.hsic(kernel, y @ y.T), rtol=0.03)


def test_features_and_kernels_agree_exactly(x64):
  x, y = np.random.default_rng(0).normal(size=(2, 8, 3))
  np.testing.assert_allclose(
    ops.hsic_of_features(x, y), ops.hsic(x @ x.T, y @ y.T), rtol=1e-12
  )


def test_gradients_are_finite_where_rows_meet():
  def loss(x):
    kernel = ops.gaussian_kernel(x, x, 1.0)
    return ops.hsic(kernel, kernel) + ops.normalized_hsic(kernel, kernel)

  assert np.isfinite(jax.grad(loss)(jnp.ones((4, 2)))).all()


def test_a_wrong_shape_is_named():
  with pytest.raises(ValueError, match='kernel_y'):
    ops.hsic(np.eye(3), np.eye(4))
