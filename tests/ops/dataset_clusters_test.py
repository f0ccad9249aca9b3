"""Clusters of data sets: what is whitened, where k-means starts, which bank."""

import jax
import jax.numpy as jnp
import numpy as np

from sslax.ops.dataset_clusters import (
  clusterings,
  kmeans_from_rows,
  whitened_directions,
)


def test_whitened_directions_are_those_of_the_leading_components():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5)) + 3
  made = np.asarray(whitened_directions(jnp.asarray(x, jnp.float32), 3))
  centered = x - x.mean(0)
  u, _, _ = np.linalg.svd(centered, full_matrices=False)
  expected = u[:, :3] / np.linalg.norm(u[:, :3], axis=1, keepdims=True)
  signs = np.sign((made * expected).sum(0))
  np.testing.assert_allclose(made * signs, expected, atol=1e-4)


def test_dead_features_stay_finite_and_are_not_blown_up():
  x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
  x[:, 3] = 1
  made = np.asarray(whitened_directions(jnp.asarray(x), 256))
  assert made.shape == (50, 4)
  assert np.isfinite(made).all()
  assert np.abs(made[:, 3]).max() < 1e-2


def test_kmeans_starts_from_rows_and_leaves_no_cluster_empty():
  x = jnp.asarray(np.random.default_rng(0).normal(size=(12, 3)), jnp.float32)
  found = kmeans_from_rows(jax.random.key(0), x, 12, num_iterations=1)
  assert sorted(found.labels.tolist()) == list(range(12))
  np.testing.assert_allclose(found.centroids[found.labels], x, atol=1e-6)


def test_clusterings_take_the_banks_in_turn():
  angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
  circle = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
  banks = [circle, circle[::-1] @ np.array([[1, 0], [0, 0]], np.float32)]
  centroids, labels = clusterings(jax.random.key(0), banks, (4, 2, 4))
  assert [c.shape for c in centroids] == [(4, 2), (2, 2), (4, 2)]
  assert all(len(np.unique(label)) == len(c)
             for label, c in zip(labels, centroids, strict=True))  # fmt: skip
  # The second bank has two directions only.
  np.testing.assert_allclose(np.abs(centroids[1]), [[1, 0], [1, 0]], atol=1e-5)
  assert not np.allclose(centroids[0], centroids[2])  # another start
