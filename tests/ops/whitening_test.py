"""What whitening promises: unit covariance, its kinds, its gradient."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from sslax.ops import whitening

KINDS = ('cholesky', 'zca', 'pca', 'iterative')


def test_the_examples_are_true():
  assert doctest.testmod(whitening).failed == 0


def _x(batch=40, dim=4, seed=0):
  rng = np.random.default_rng(seed)
  return rng.normal(size=(batch, dim)) @ rng.normal(size=(dim, dim)) + 3


@pytest.mark.parametrize('kind', KINDS)
def test_the_covariance_becomes_the_identity(kind, x64):
  white = whitening.whiten(_x(), kind=kind)
  np.testing.assert_allclose(np.cov(white.T), np.eye(4), atol=1e-6)
  np.testing.assert_allclose(white.mean(0), 0, atol=1e-9)


@pytest.mark.parametrize('kind', KINDS)
def test_groups_are_whitened_by_themselves(kind, x64):
  x = _x(dim=6)
  white = whitening.whiten(x, kind=kind, num_groups=3, eps=0.1)
  alone = whitening.whiten(x[:, 2:4], kind=kind, eps=0.1)
  np.testing.assert_allclose(white[:, 2:4], alone, rtol=1e-9)


def test_as_many_groups_as_features_standardize(x64):
  x = _x()
  white = whitening.whiten(x, num_groups=4)
  np.testing.assert_allclose(
    white, (x - x.mean(0)) / x.std(0, ddof=1), rtol=1e-9
  )


def test_zca_turns_with_its_input_and_cholesky_does_not(x64):
  x = _x()
  turn = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
  zca = whitening.whiten(x, kind='zca')
  np.testing.assert_allclose(
    whitening.whiten(x @ turn, kind='zca'), zca @ turn, atol=1e-9
  )
  cholesky = whitening.whiten(x)
  turned = whitening.whiten(x @ turn)
  assert np.abs(turned - cholesky @ turn).max() > 0.1


def test_iterations_reach_zca(x64):
  x = _x()
  np.testing.assert_allclose(
    whitening.whiten(x, kind='iterative', eps=0.3),
    whitening.whiten(x, kind='zca', eps=0.3),
    rtol=1e-5,
    atol=1e-6,
  )


def test_pca_axes_fall_in_variance(x64):
  x = _x()
  white = np.asarray(whitening.whiten(x, kind='pca'))
  axes = white.T @ (x - x.mean(0)) / 39
  variances = np.linalg.norm(axes, axis=1)
  assert (np.diff(variances) < 0).all()


@pytest.mark.parametrize('kind', KINDS)
def test_gradient_is_the_derivative(kind, x64):
  weights = np.random.default_rng(5).normal(size=(12, 3))

  def scalar(x):
    # Squares, so that the sign of PCA's axes does not matter.
    white = whitening.whiten(x, kind=kind, eps=0.1)
    return jnp.sum(weights * white**2)

  check_grads(scalar, (_x(12, 3),), order=1, modes=['rev'], rtol=1e-4)


def test_the_root_has_a_slope_where_eigenvalues_meet(x64):
  tangent = np.array([[1.0, 2.0], [2.0, -1.0]])
  _, slope = jax.jvp(whitening.inverse_sqrt, (4 * np.eye(2),), (tangent,))
  np.testing.assert_allclose(slope, -tangent / 16, rtol=1e-12)


def test_running_statistics_whiten_one_row(x64):
  x = _x()
  batch = whitening.statistics(x)
  running = whitening.Statistics(np.zeros(4), np.eye(4))
  for _ in range(3):
    running = whitening.update_statistics(running, batch, momentum=0.5)
  expected = np.eye(4) / 8 + 7 / 8 * np.cov(x.T)
  np.testing.assert_allclose(running.covariance, expected, rtol=1e-9)
  whole = whitening.apply(x, running)
  one = whitening.apply(x[:1], running)
  np.testing.assert_allclose(one, whole[:1], rtol=1e-9)


def test_names_an_unknown_kind():
  with pytest.raises(ValueError, match='cholesky'):
    whitening.whiten(_x(), kind='qr')


def test_groups_must_divide_the_features():
  with pytest.raises(ValueError, match='num_groups is 3'):
    whitening.whiten(_x(), num_groups=3)
