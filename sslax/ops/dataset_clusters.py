"""Clusters of a whole data set, as methods find them between epochs."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from sslax.errors import BadInputError
from sslax.ops.distance import normalize
from sslax.ops.kmeans import Clustering, kmeans
from sslax.ops.spectral import pca


@functools.partial(jax.jit, static_argnames='num_components')
def whitened_directions(x, num_components: int = 256):
  """Reduces features by PCA, whitens and normalizes them.

  Args:
    x: [N, D], any scale.
    num_components: at most so many are kept.

  Returns:
    [N, min(D, num_components)], unit rows. Components of less than a millionth
    of the largest variance are scaled as if they had that much, since they hold
    rounding only.

  References:
    Caron et al., Deep clustering for unsupervised learning of visual features,
    https://arxiv.org/abs/1807.05520, 2018; preprocess_features of clustering.py
    in https://github.com/facebookresearch/deepcluster.
  """
  found = pca(x, min(num_components, x.shape[1]))
  variances = jnp.maximum(found.variances, 1e-6 * found.variances[:1])
  projected = (x - found.mean[None]) @ found.components.T
  return normalize(projected / jnp.sqrt(variances)[None])


@functools.partial(
  jax.jit, static_argnames=('num_clusters', 'num_iterations', 'spherical')
)
def kmeans_from_rows(
  rng,
  x,
  num_clusters: int,
  *,
  num_iterations: int = 20,
  spherical: bool = False,
) -> Clustering:
  """K-means whose first centroids are random rows, all different.

  Seeds that are far from each other, as of k-means++, take a pass over the data
  for each of the clusters, which are thousands here.

  Args:
    rng: key of the first centroids.
    x: [N, D], any scale.
    num_clusters: K, at most N.
    num_iterations: of assignment and update.
    spherical: cluster directions: rows and centroids are normalized.

  Returns:
    `ops.kmeans.Clustering`.
  """
  start = jax.random.choice(rng, x, (num_clusters,), replace=False)
  return kmeans(
    rng,
    x,
    num_clusters,
    num_iterations=num_iterations,
    spherical=spherical,
    start=start,
  )


def clusterings(rng, banks, counts: Sequence[int], num_iterations: int = 10):
  """Clusters embeddings several times, each from the next bank in turn.

  Args:
    rng: key.
    banks: sequence of arrays [N, D] of unit rows.
    counts: number K of clusters of each clustering.
    num_iterations: of spherical k-means.

  Returns:
    (centroids, labels): a tuple of [K, D] unit rows, and one of int32 [N].

  References:
    Caron et al., Unsupervised learning of visual features by contrasting
    cluster assignments, https://arxiv.org/abs/2006.09882, 2020; cluster_memory
    of main_deepclusterv2.py in https://github.com/facebookresearch/swav.
  """
  found = [
    kmeans_from_rows(
      jax.random.fold_in(rng, i),
      banks[i % len(banks)],
      count,
      num_iterations=num_iterations,
      spherical=True,
    )
    for i, count in enumerate(counts)
  ]
  return (
    tuple(each.centroids for each in found),
    tuple(each.labels.astype(jnp.int32) for each in found),
  )


def check_counts(num_examples: int, key: str, counts: Sequence[int]) -> None:
  """Refuses more clusters than there are examples.

  Args:
    num_examples: N; 0 where it is not known yet.
    key: of the config, that says the counts.
    counts: numbers of clusters.

  Raises:
    BadInputError: naming the key.
  """
  if 0 < num_examples < max(counts):
    raise BadInputError(
      f'{key} is {max(counts)}, but there are {num_examples} training examples;'
      ' at most that many would be right'
    )
