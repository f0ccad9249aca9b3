"""What k-means promises: scikit-learn's answer, no empty cluster."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from sklearn import cluster, metrics

from sslax.ops import kmeans as ops


def test_the_examples_are_true():
  assert doctest.testmod(ops).failed == 0


def _blobs(num=64, dim=3, seed=0, spread=0.3):
  rng = np.random.default_rng(seed)
  centers = 4 * rng.normal(size=(4, dim))
  labels = np.arange(num) % 4
  return centers[labels] + spread * rng.normal(size=(num, dim)), labels


def test_equals_lloyd_of_scikit_learn(x64):
  x, _ = _blobs(spread=2.0)
  result = ops.kmeans(jax.random.key(0), x, 4, start=x[:4], num_iterations=50)
  peer = cluster.KMeans(4, init=x[:4], n_init=1, tol=0, max_iter=50).fit(x)
  np.testing.assert_allclose(result.centroids, peer.cluster_centers_, rtol=1e-9)
  np.testing.assert_array_equal(result.labels, peer.labels_)
  np.testing.assert_allclose(result.inertia, peer.inertia_, rtol=1e-9)


@pytest.mark.parametrize('seed', range(3))
def test_seeding_finds_separate_blobs(seed):
  x, labels = _blobs()
  result = ops.kmeans(jax.random.key(seed), x.astype(np.float32), 4)
  assert metrics.adjusted_rand_score(labels, result.labels) == 1


def test_seeds_are_spread(x64):
  x = np.concatenate([np.zeros((60, 1)), np.full((4, 1), 5.0)])
  for seed in range(5):
    seeds = ops.plus_plus(jax.random.key(seed), jnp.asarray(x), 2)
    assert sorted(np.ravel(seeds)) == [0, 5]


def test_no_cluster_stays_empty(x64):
  x, _ = _blobs()
  far = np.full((4, 3), 100.0)
  far[0] = 0
  result = ops.kmeans(jax.random.key(0), x, 4, start=far)
  assert set(np.asarray(result.labels)) == {0, 1, 2, 3}


def test_spherical_clusters_are_directions(x64):
  x, _ = _blobs()
  scale = np.random.default_rng(1).uniform(1, 9, size=(64, 1))
  start = x[:4] / np.linalg.norm(x[:4], axis=1, keepdims=True)
  kwargs = {'spherical': True, 'start': start}
  one = ops.kmeans(jax.random.key(0), x, 4, **kwargs)
  other = ops.kmeans(jax.random.key(0), scale * x, 4, **kwargs)
  np.testing.assert_array_equal(one.labels, other.labels)
  np.testing.assert_allclose(
    np.linalg.norm(one.centroids, axis=1), 1, rtol=1e-9
  )


def test_a_mini_batch_update_is_the_mean_of_all(x64):
  x, _ = _blobs()
  centroids, counts = x[:4], np.ones(4)
  centroids, counts = ops.minibatch_update(centroids, counts, x[4:])
  labels, _ = ops.assign(x[4:], x[:4])
  for k in range(4):
    members = np.concatenate([x[k : k + 1], x[4:][np.asarray(labels) == k]])
    np.testing.assert_allclose(centroids[k], members.mean(0), rtol=1e-9)
    assert counts[k] == len(members)


def test_tight_clusters_are_cool(x64):
  rng = np.random.default_rng(0)
  noise = (
    rng.normal(size=(64, 2)) * np.where(np.arange(64) < 32, 0.1, 1)[:, None]
  )
  x = noise + np.where(np.arange(64) < 32, -9, 9)[:, None]
  result = ops.kmeans(jax.random.key(0), x, 2)
  phi = np.asarray(ops.concentrations(x, result, temperature=0.3))
  np.testing.assert_allclose(phi.mean(), 0.3, rtol=1e-9)
  tight = int(result.labels[0])
  assert phi[tight] < phi[1 - tight]


def test_eight_devices_equal_one(x64):
  x, _ = _blobs(spread=2.0)
  mesh = Mesh(np.array(jax.devices()), ('data',))
  sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec('data')))
  run = jax.jit(lambda x: ops.kmeans(jax.random.key(0), x, 4))
  for a, b in zip(run(sharded), run(x), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-9)


def test_blocks_of_distances_change_nothing(monkeypatch):
  x = np.random.default_rng(0).normal(size=(37, 4)).astype(np.float32)
  whole = ops.assign(x, x[:5])
  monkeypatch.setattr(ops, '_MOST_DISTANCES', 50)  # ten rows at a time
  for a, b in zip(ops.assign(x, x[:5]), whole, strict=True):
    np.testing.assert_array_equal(a, b)


def test_refuses_more_clusters_than_rows():
  with pytest.raises(ValueError, match='num_clusters is 9'):
    ops.kmeans(jax.random.key(0), np.zeros((8, 2), np.float32), 9)
