"""The estimates are estimates of an entropy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.quick import losses

ESTIMATES = [losses.log_det_entropy, losses.pairwise_entropy]


def _samples(num=2000, dim=2):
  rng = np.random.default_rng(0)
  return rng.normal(size=(num, dim)) * np.array([2.0, 0.5])


def test_estimates_bound_the_entropy_of_a_gaussian(x64):
  z, noise = _samples(), 0.5
  variances = np.array([4.0, 0.25])
  truth = 0.5 * np.sum(np.log1p(variances / noise))
  log_det, pairwise = (float(e(z, noise_variance=noise)) for e in ESTIMATES)
  assert abs(log_det - truth) < 0.05
  assert 0.5 * truth < pairwise < truth


@pytest.mark.parametrize('estimate', ESTIMATES)
def test_estimates_know_neither_place_nor_direction(estimate, x64):
  z = _samples(20)
  turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(2, 2)))
  np.testing.assert_allclose(estimate(z @ turn + 7), estimate(z), rtol=1e-9)
  assert estimate(2 * z) > estimate(z)
  assert abs(estimate(0 * z)) < 1e-12


@pytest.mark.parametrize('estimator', ['log_det', 'pairwise'])
def test_entropy_keeps_views_from_collapse(estimator, x64):
  def loss(z, weight):
    kwargs = {'estimator': estimator, 'entropy_weight': weight}
    return losses.vicreg_entropy(z, z[::-1], invariance_weight=1.0, **kwargs)

  def descend(weight):
    step = jax.jit(lambda z: z - 0.5 * jax.grad(loss)(z, weight))
    z = jnp.asarray(0.1 * _samples(8))
    for _ in range(100):
      z = step(z)
    return float(jnp.std(z))

  assert descend(3.0) > 5 * descend(0.0)


def test_an_unknown_estimator_is_refused():
  z = jnp.zeros((2, 1))
  with pytest.raises(ValueError, match="estimator is 'knn'"):
    losses.vicreg_entropy(z, z, estimator='knn')
