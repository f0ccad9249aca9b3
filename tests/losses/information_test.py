"""What the losses that measure information promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.ops import spectral
from tests.losses.quick import losses


def test_the_rate_of_a_near_standard_code_keeps_its_accuracy():
  # KL(N(μ, 1) ‖ N(0, 1)) = μ²/2, far below float32's step at 1.
  mean = np.full((2, 1), 1e-6, np.float32)
  loss = losses.information_bottleneck(
    mean, 0 * mean, np.zeros((2, 2), np.float32), np.array([0, 1]), beta=0.0
  )
  np.testing.assert_allclose(loss, 5e-13, rtol=1e-5)


def test_the_rate_is_the_divergence_of_gaussians(x64):
  rng = np.random.default_rng(0)
  z = 1.5 + 0.5 * rng.normal(size=200_000)
  log_ratio = -((z - 1.5) ** 2) / (2 * 0.25) - np.log(0.5) + z**2 / 2
  loss = losses.information_bottleneck(
    np.full((1, 1), 1.5),
    np.full((1, 1), np.log(0.25)),
    np.zeros((1, 2)),
    np.array([0]),
    beta=0.0,
  )
  np.testing.assert_allclose(loss, log_ratio.mean(), rtol=0.01)


def _layer(seed=0):
  rng = np.random.default_rng(seed)
  labels = np.eye(3)[np.arange(24) % 3]
  return rng.normal(size=(24, 4)), rng.normal(size=(24, 5)), labels


def test_hsic_bottleneck_ignores_order_rotation_and_shift(x64):
  hidden, inputs, labels = _layer()
  order = np.random.default_rng(1).permutation(24)
  rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
  loss = losses.hsic_bottleneck(hidden, inputs, labels)
  for other in (
    losses.hsic_bottleneck(hidden[order], inputs[order], labels[order]),
    losses.hsic_bottleneck(hidden @ rotation + 3, inputs, labels),
  ):
    np.testing.assert_allclose(other, loss, rtol=1e-8)
  shuffled = losses.hsic_bottleneck(hidden[order], inputs, labels)
  assert abs(float(shuffled - loss)) > 1e-3


def test_descent_on_the_bottleneck_separates_the_classes(x64):
  hidden, inputs, labels = _layer()

  def loss(z):
    return losses.hsic_bottleneck(
      z, inputs, labels, beta=5.0, bandwidth=1.0, eps=1e-2
    )

  @jax.jit
  def step(z):
    return z - jax.grad(loss)(z)

  z = jnp.asarray(hidden)
  for _ in range(100):
    z = step(z)
  centers = labels.T @ z / 8
  spread = jnp.linalg.norm(z - labels @ centers, axis=1).mean()
  gap = jnp.linalg.norm(centers - jnp.roll(centers, 1, axis=0), axis=1).min()
  assert float(gap / spread) > 10
  assert float(loss(z)) < float(loss(hidden)) - 1


def test_cca_is_minus_the_sum_of_canonical_correlations(x64):
  rng = np.random.default_rng(0)
  x = rng.normal(size=(60, 4))
  y = x[:, :3] + rng.normal(size=(60, 3))
  expected = -jnp.sum(spectral.cca(x, y, 3, eps=1e-4).correlations)
  np.testing.assert_allclose(losses.cca(x, y), expected, rtol=1e-10)


def test_cca_ignores_invertible_maps_order_and_swap(x64):
  rng = np.random.default_rng(0)
  x = rng.normal(size=(60, 3))
  y = x + rng.normal(size=(60, 3))
  loss = losses.cca(x, y, eps=1e-10)
  order = rng.permutation(60)
  for other in (
    losses.cca(x @ rng.normal(size=(3, 3)) + 2, y, eps=1e-10),
    losses.cca(x[order], y[order], eps=1e-10),
    losses.cca(y, x, eps=1e-10),
  ):
    np.testing.assert_allclose(other, loss, rtol=1e-6)
  assert float(losses.cca(x[order], y)) > float(loss) + 0.5


def test_cca_of_equal_views_is_minus_the_dimension(x64):
  x = np.random.default_rng(0).normal(size=(60, 3))
  np.testing.assert_allclose(losses.cca(x, x, eps=1e-9), -3, rtol=1e-6)
  grad = jax.grad(losses.cca)(jnp.asarray(x), jnp.asarray(x))
  assert np.isfinite(grad).all()  # equal singular values


def test_linear_maps_trained_by_cca_reach_the_closed_form(x64):
  rng = np.random.default_rng(0)
  signal = rng.normal(size=(200, 2))
  x = np.hstack(
    [signal + 0.3 * rng.normal(size=(200, 2)), rng.normal(size=(200, 3))]
  )
  y = np.hstack([rng.normal(size=(200, 2)), signal])
  maps = {
    k: jnp.asarray(rng.normal(size=(n, 2))) for k, n in (('x', 5), ('y', 4))
  }

  def loss(m):
    return losses.cca(x @ m['x'], y @ m['y'])

  @jax.jit
  def step(m):
    return jax.tree.map(lambda a, g: a - g, m, jax.grad(loss)(m))

  for _ in range(300):
    maps = step(maps)
  best = -float(jnp.sum(spectral.cca(x, y, 2).correlations))
  np.testing.assert_allclose(loss(maps), best, rtol=2e-3)


@pytest.mark.parametrize('gain', [0.7, 1.5])
def test_mige_is_the_gradient_of_gaussian_information(gain, x64):
  rng = np.random.default_rng(0)
  x, noise = rng.normal(size=(2, 200, 1))

  def loss(a):
    return losses.mige(a * x + noise, x)

  # I(X; aX + N) = ½ log(1 + a²).
  truth = -gain / (1 + gain**2)
  np.testing.assert_allclose(jax.grad(loss)(gain), truth, rtol=0.35)


def test_a_better_map_of_regions_explains_more(x64):
  rng = np.random.default_rng(0)
  labels = np.kron(rng.integers(0, 2, (2, 4, 4)), np.ones((1, 2, 2), int))
  logits = 6 * np.eye(2)[labels] - 3
  noise = rng.normal(size=logits.shape)
  values = [
    float(
      losses.region_mutual_information(logits + s * noise, labels, weight=0)
    )
    for s in (0.0, 1.0, 4.0)
  ]
  assert values[0] < values[1] < values[2]


def test_ignored_pixels_do_not_count(x64):
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 2, (2, 6, 6))
  labels[:, 2, 3] = 255
  logits = rng.normal(size=(2, 6, 6, 2))
  changed = np.where(labels[..., None] == 255, 50.0, logits)
  np.testing.assert_allclose(
    losses.region_mutual_information(changed, labels, radius=2),
    losses.region_mutual_information(logits, labels, radius=2),
  )


def test_a_pool_that_does_not_fit_is_refused():
  with pytest.raises(ValueError, match='pool_size=4'):
    losses.region_mutual_information(
      np.zeros((1, 6, 6, 2)), np.zeros((1, 6, 6), int), pool_size=4
    )
