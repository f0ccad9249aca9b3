"""Diagnostics against numpy, at their known ends, and over devices."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sslax.evals import diagnostics as d

OF_EMBEDDINGS = [
  d.embedding_std,
  d.rankme,
  d.effective_rank,
  d.alpha_req,
  d.uniformity,
  d.off_diagonal_correlation,
  d.covariance_spectrum,
  d.singular_values,
]


def _z(seed=0, shape=(32, 6), dtype=np.float64):
  rng = np.random.default_rng(seed)
  return (rng.normal(size=shape) @ rng.normal(size=(6, 6)) + 0.3).astype(dtype)


def _entropy_rank(values, eps):
  p = values / values.sum() + eps
  p = p[p > 0]
  return np.exp(-np.sum(p * np.log(p)))


def test_docstring_examples():
  assert doctest.testmod(d).failed == 0


def test_embedding_std_equals_its_loop_and_keeps_its_range(x64):
  z = _z()
  unit = z / np.linalg.norm(z, axis=1, keepdims=True)
  expected = np.sqrt(6) * np.mean([unit[:, i].std() for i in range(6)])
  np.testing.assert_allclose(d.embedding_std(z), expected, rtol=1e-12)
  assert d.embedding_std(np.ones((8, 4))) < 1e-6
  assert d.embedding_std(np.zeros((8, 4))) == 0
  even = np.random.default_rng(0).normal(size=(4000, 8))
  assert 0.97 < d.embedding_std(even) <= 1


def test_ranks_equal_numpy(x64):
  z = _z()
  sigma = np.linalg.svd(z, compute_uv=False)
  np.testing.assert_allclose(d.rankme(z), _entropy_rank(sigma, 1e-7))
  np.testing.assert_allclose(d.effective_rank(z), _entropy_rank(sigma, 0))
  eigen = np.linalg.eigvalsh(np.cov(z.T))[::-1]
  np.testing.assert_allclose(d.covariance_spectrum(z), eigen, rtol=1e-9)
  slope = np.polyfit(np.log(np.arange(1, 7)), np.log(eigen), 1)[0]
  np.testing.assert_allclose(d.alpha_req(z), -slope, rtol=1e-9)
  slope = np.polyfit(np.log(np.arange(2, 6)), np.log(eigen[1:5]), 1)[0]
  np.testing.assert_allclose(d.alpha_req(z, 1, 5), -slope, rtol=1e-9)


@pytest.mark.parametrize('rank', [1, 3])
def test_ranks_see_a_collapse_to_few_dimensions(rank):
  rng = np.random.default_rng(0)
  basis = np.linalg.qr(rng.normal(size=(6, 6)))[0][:rank]
  z = (rng.normal(size=(4000, rank)) @ basis).astype(np.float32)
  assert abs(d.rankme(z) - rank) < 0.05
  assert abs(d.effective_rank(z) - rank) < 0.05
  views = np.stack([z, z], 1)
  assert abs(d.lidar(views) - rank) < 0.05


def test_lidar_equals_numpy_and_ignores_what_views_share_not(x64):
  rng = np.random.default_rng(1)
  z = _z(1, (40, 5, 6)) + rng.normal(size=(40, 1, 6))
  means = z.mean(1)
  between = np.cov(means.T, bias=True)
  within = np.mean([np.cov(v.T, bias=True) for v in z], 0) + 1e-4 * np.eye(6)
  values, vectors = np.linalg.eigh(within)
  root = vectors @ np.diag(values**-0.5) @ vectors.T
  eigen = np.linalg.eigvalsh(root @ between @ root)
  np.testing.assert_allclose(d.lidar(z), _entropy_rank(eigen, 1e-7), rtol=1e-9)
  signal = np.zeros((200, 2, 6))
  signal[..., :2] = rng.normal(size=(200, 1, 2))
  signal[..., 2:] = 5 * rng.normal(size=(200, 2, 4))  # noise of each view
  assert d.lidar(signal) < 2.1 < d.rankme(signal.reshape(-1, 6))


def test_alignment_and_uniformity_normalize(x64):
  x, y = _z(0), _z(1)
  unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y)]
  gaps = np.linalg.norm(unit[0] - unit[1], axis=1)
  np.testing.assert_allclose(d.alignment(x, 3 * y), np.mean(gaps**2))
  np.testing.assert_allclose(d.alignment(x, y, alpha=3), np.mean(gaps**3))
  potentials = [
    np.exp(-2 * np.sum((unit[0][i] - unit[0][j]) ** 2))
    for i in range(32)
    for j in range(i)
  ]
  expected = np.log(np.mean(potentials))
  np.testing.assert_allclose(d.uniformity(5 * x), expected, rtol=1e-9)


def test_tolerance_equals_its_loop(x64):
  z, labels = _z(), np.arange(32) % 5
  unit = z / np.linalg.norm(z, axis=1, keepdims=True)
  pairs = [
    unit[i] @ unit[j]
    for i in range(32)
    for j in range(32)
    if i != j and labels[i] == labels[j]
  ]
  np.testing.assert_allclose(d.tolerance(z, labels), np.mean(pairs))
  assert d.tolerance(z, np.arange(32)) == 0


def test_correlation_equals_numpy(x64):
  z = _z()
  sizes = np.abs(np.corrcoef(z.T))[~np.eye(6, dtype=bool)]
  np.testing.assert_allclose(d.off_diagonal_correlation(z), sizes.mean())
  assert d.off_diagonal_correlation(np.ones((8, 3))) == 0


def test_infonce_bound_saturates(x64):
  scores = _z(2, (6, 6))
  log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
  result = d.infonce_bound(scores)
  np.testing.assert_allclose(result.bound, np.log(6) + np.mean(np.diag(log_p)))
  assert not result.is_saturated
  sure = d.infonce_bound(1e4 * np.eye(6))
  np.testing.assert_allclose(sure.bound, np.log(6))
  assert sure.is_saturated


def test_class_collapse_knows_the_simplex(x64):
  labels = np.arange(32) % 4
  simplex = np.eye(4) - 1 / 4
  collapsed = d.class_collapse(simplex[labels], labels, num_classes=4)
  np.testing.assert_allclose(collapsed, [0, -1 / 3, 0, 0], atol=1e-9)
  z = _z()
  result = d.class_collapse(z, labels, num_classes=4)
  means = np.stack([z[labels == c].mean(0) for c in range(4)])
  within = np.sum((z - means[labels]) ** 2)
  total = np.sum((z - z.mean(0)) ** 2)
  np.testing.assert_allclose(result.within_ratio, within / total)
  means -= means.mean(0)
  norms = np.linalg.norm(means, axis=1)
  cosines = (means @ means.T) / np.outer(norms, norms)
  cosines = cosines[~np.eye(4, dtype=bool)]
  np.testing.assert_allclose(result.mean_cosine, cosines.mean())
  np.testing.assert_allclose(result.cosine_gap, np.abs(cosines + 1 / 3).mean())
  np.testing.assert_allclose(result.norm_variation, norms.std() / norms.mean())


@pytest.mark.parametrize('function', OF_EMBEDDINGS)
def test_jits_over_eight_devices_and_stays_finite(function):
  z = _z(dtype=np.float32)
  rows = NamedSharding(
    Mesh(np.array(jax.devices()), ('data',)), PartitionSpec('data')
  )
  split = jax.jit(function)(jax.device_put(z, rows))
  np.testing.assert_allclose(split, function(z), rtol=1e-4, atol=1e-5)
  for hard in (0 * z, 0 * z + 1, 1e4 * z, z[:2]):
    assert np.isfinite(function(hard)).all()
  assert function(jnp.asarray(z, jnp.bfloat16)).dtype == jnp.float32


def test_shapes_are_named():
  with pytest.raises(ValueError, match='z has shape'):
    d.rankme(np.ones(3))
  with pytest.raises(ValueError, match='labels has shape'):
    d.tolerance(np.ones((3, 2)), np.ones(2, int))
  with pytest.raises(ValueError, match='scores has shape'):
    d.infonce_bound(np.ones((3, 2)))
