"""The closed forms against scikit-learn and against known geometry."""

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.cross_decomposition
import sklearn.decomposition
import sklearn.manifold

from sslax.ops import spectral
from sslax.ops.distance import squared_distances


def _data(num=40, dim=5, seed=0):
  rng = np.random.default_rng(seed)
  return rng.normal(size=(num, dim)) @ np.diag(np.arange(dim, 0, -1)) + 3


def _same_up_to_sign(actual, expected, tolerance=1e-8):
  signs = np.sign(np.sum(np.asarray(actual) * expected, axis=0))
  np.testing.assert_allclose(actual * signs[None, :], expected, atol=tolerance)


def test_pca_is_scikit_learns(x64):
  x = _data()
  ours = spectral.pca(x, 3)
  theirs = sklearn.decomposition.PCA(3).fit(x)
  np.testing.assert_allclose(ours.mean, theirs.mean_)
  np.testing.assert_allclose(ours.variances, theirs.explained_variance_)
  _same_up_to_sign(ours.components.T, theirs.components_.T)
  largest = np.abs(ours.components).argmax(1)
  assert (np.asarray(ours.components)[np.arange(3), largest] > 0).all()


def test_cca_finds_the_shared_signal(x64):
  rng = np.random.default_rng(0)
  signal = rng.normal(size=(500, 2))
  x = np.hstack([signal + 0.1 * rng.normal(size=(500, 2)), _data(500, 2)])
  y = np.hstack([_data(500, 1, seed=1), signal[:, :1]])
  x, y = x @ rng.normal(size=(4, 4)), y @ rng.normal(size=(2, 2))
  ours = spectral.cca(x, y, 2, eps=0.0)
  a, b = x @ ours.projection_x, y @ ours.projection_y
  np.testing.assert_allclose(np.cov(a.T, bias=True), np.eye(2), atol=1e-8)
  cross = np.corrcoef(a.T, b.T)[:2, 2:]
  np.testing.assert_allclose(cross, np.diag(ours.correlations), atol=1e-8)
  assert ours.correlations[0] > 0.98 > 0.2 > ours.correlations[1]
  theirs = sklearn.cross_decomposition.CCA(1).fit(x, y)
  c, d = (z[:, 0] for z in theirs.transform(x, y))
  assert np.corrcoef(c, d)[0, 1] <= float(ours.correlations[0]) + 1e-6


def test_mds_restores_the_points_up_to_a_rotation(x64):
  x = _data(dim=3)
  found = spectral.mds(squared_distances(x, x), 3)
  np.testing.assert_allclose(
    squared_distances(found, found), squared_distances(x, x), atol=1e-8
  )
  np.testing.assert_allclose(jnp.mean(found, 0), 0, atol=1e-8)


def test_laplacian_eigenmaps_of_a_ring_are_its_harmonics(x64):
  ring = np.roll(np.eye(12), 1, axis=0)
  maps, values = spectral.laplacian_eigenmaps(ring + ring.T, 2)
  np.testing.assert_allclose(values, 1 - np.cos(2 * np.pi / 12))
  radius = jnp.sum(maps**2, axis=1)
  np.testing.assert_allclose(radius, radius[0])


def test_laplacian_eigenmaps_solve_their_equation(x64):
  x = _data(15, 2)
  weights = np.asarray(jnp.exp(-squared_distances(x, x) / 8))
  degrees = np.diag(weights.sum(1))
  maps, values = map(np.asarray, spectral.laplacian_eigenmaps(weights, 3))
  left = (degrees - weights) @ maps
  np.testing.assert_allclose(left, degrees @ maps * values, atol=1e-8)
  np.testing.assert_allclose(maps.T @ degrees @ maps, np.eye(3), atol=1e-8)
  np.testing.assert_allclose(maps.T @ weights.sum(1), 0, atol=1e-8)


def test_lle_is_scikit_learns(x64):
  angle = np.sort(np.random.default_rng(0).uniform(0, 4, 60))
  curve = np.stack([np.cos(angle), np.sin(angle), 0.1 * angle], axis=1)
  ours = np.asarray(spectral.lle(curve, 1, num_neighbors=6))
  theirs = sklearn.manifold.LocallyLinearEmbedding(
    n_neighbors=6, n_components=1, eigen_solver='dense'
  ).fit_transform(curve)
  _same_up_to_sign(ours, theirs, 1e-6)
  # It unrolls the curve: one coordinate, in order.
  assert abs(np.corrcoef(ours[:, 0], angle)[0, 1]) > 0.95


@pytest.mark.parametrize('scale', [0.5, 3.0])
def test_the_score_of_a_gaussian_points_to_its_mean(scale, x64):
  samples = scale * np.random.default_rng(0).normal(size=(300, 2)) + 1
  score = np.asarray(spectral.stein_score(samples))
  truth = -(samples - 1) / scale**2
  error = np.linalg.norm(score - truth) / np.linalg.norm(truth)
  assert error < 0.3


@pytest.mark.parametrize('size', [1, 2, 7, 8])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_a_median_by_bits_is_the_median(size, dtype, x64):
  rng = np.random.default_rng(size)
  for x in (rng.uniform(size=(size, 3)), rng.integers(0, 3, (size, size))):
    x = x.astype(dtype)
    np.testing.assert_allclose(spectral._median(jnp.asarray(x)), np.median(x))


def test_the_score_of_equal_samples_is_finite():
  score = spectral.stein_score(np.ones((8, 2), np.float32))
  assert np.isfinite(score).all()
