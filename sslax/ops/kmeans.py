"""K-means clustering: seeding, Lloyd's iterations, mini-batches, densities."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.distance import normalize, squared_distances
from sslax.ops.precision import at_least_float32

_MOST_DISTANCES = 2**26  # in memory at once


class Clustering(NamedTuple):
  """A partition and its centroids.

  Attributes:
    centroids: [K, D]; unit rows where spherical.
    labels: [B] integers in [0, K).
    inertia: scalar, the sum of squared distances to the own centroid.
  """

  centroids: jax.Array
  labels: jax.Array
  inertia: jax.Array


def kmeans(
  rng, x, num_clusters, *, num_iterations=20, spherical=False, start=None
):
  """Lloyd's iterations from k-means++ seeds; no cluster stays empty.

  A centroid that lost its last point moves to the point farthest from its own
  centroid (several empty ones to several such points).

  Args:
    rng: key of the seeding.
    x: [B, D], any scale.
    num_clusters: K, at most B.
    num_iterations: of assignment and update, at least 1.
    spherical: cluster directions: rows and centroids are normalized.
    start: [K, D] centroids to begin from instead of seeding.

  Returns:
    `Clustering`; its labels belong to the final centroids.

  Raises:
    ValueError: a shape is wrong, or K is above B.

  References:
    Lloyd, Least squares quantization in PCM, 1982; Arthur and Vassilvitskii,
    k-means++: the advantages of careful seeding, 2007; Dhillon and Modha,
    Concept decompositions for large sparse text data using clustering, 2001.

  >>> import jax, jax.numpy as jnp
  >>> x = jnp.array([[0.0], [0.2], [9.0], [9.2]])
  >>> result = kmeans(jax.random.key(0), x, 2)
  >>> sorted(round(float(c), 2) for c in result.centroids[:, 0])
  [0.1, 9.1]
  """
  batch = shapes.check(x=(x, 'B D'))['B']
  if num_clusters > batch:
    raise ValueError(
      f'num_clusters is {num_clusters}; expected at most the {batch} rows of x'
    )
  x = normalize(x) if spherical else at_least_float32(x)
  if start is None:
    start = plus_plus(rng, x, num_clusters)
  shapes.check(x=(x, 'B D'), start=(start, f'{num_clusters} D'))
  start = jnp.asarray(start).astype(x.dtype)

  def step(_, centroids):
    labels, distances = assign(x, centroids)
    return _update(x, labels, distances, centroids, spherical)

  centroids = jax.lax.fori_loop(0, num_iterations, step, start)
  labels, distances = assign(x, centroids)
  return Clustering(centroids, labels, jnp.sum(distances))


def plus_plus(rng, x, num_clusters):
  """Seeds far from each other: k-means++.

  Args:
    rng: key.
    x: [B, D].
    num_clusters: K.

  Returns:
    [K, D] rows of x; the next is drawn with a probability proportional to
    its squared distance to the nearest one so far.
  """
  rngs = jax.random.split(rng, num_clusters)
  tiny = float(jnp.finfo(x.dtype).tiny)

  def distances(seed):
    return jnp.sum((x - seed[None, :]) ** 2, -1)

  def draw(nearest, key):
    logits = jnp.log(jnp.maximum(nearest, tiny))
    seed = x[jax.random.categorical(key, logits)]
    return jnp.minimum(nearest, distances(seed)), seed

  first = x[jax.random.randint(rngs[0], (), 0, x.shape[0])]
  _, seeds = jax.lax.scan(draw, distances(first), rngs[1:])
  return jnp.concatenate([first[None, :], seeds])


def assign(x, centroids):
  """The nearest centroid of every row.

  Distances are in memory in blocks of at most 2^26, 256 MiB in float32.

  Args:
    x: [B, D].
    centroids: [K, D].

  Returns:
    (labels [B], squared distances to the own centroid [B]).

  Raises:
    ValueError: the shapes do not fit.
  """

  def nearest(rows):
    squared = squared_distances(rows, centroids)
    return jnp.argmin(squared, -1), jnp.min(squared, -1)

  num_blocks = -(-x.shape[0] * len(centroids) // _MOST_DISTANCES)
  if num_blocks == 1:
    return nearest(x)
  # Every num_blocks-th row: those split over devices stay where they are.
  missing = -x.shape[0] % num_blocks
  blocks = jnp.pad(x, ((0, missing), (0, 0)))
  blocks = blocks.reshape(-1, num_blocks, x.shape[1]).swapaxes(0, 1)
  found = jax.lax.map(nearest, blocks)
  return jax.tree.map(lambda y: y.T.reshape(-1)[: x.shape[0]], found)


def minibatch_update(centroids, counts, x, *, spherical=False):
  """One step of mini-batch k-means: centroids are means of all they met.

  Args:
    centroids: [K, D].
    counts: [K] points that each centroid has met so far.
    x: [B, D] the mini-batch.
    spherical: see `kmeans`.

  Returns:
    (centroids [K, D], counts [K]) in the dtypes given.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Sculley, Web-scale k-means clustering, 2010.
  """
  shapes.check(centroids=(centroids, 'K D'), counts=(counts, 'K'), x=(x, 'B D'))
  dtypes = jnp.asarray(centroids).dtype, jnp.asarray(counts).dtype
  old, met, x = at_least_float32(centroids, counts, x)
  x = normalize(x) if spherical else x
  sums, sizes = _sums(x, assign(x, old)[0], len(old))
  total = met + sizes
  share = 1 / jnp.maximum(total, 1)
  new = old + (sums - sizes[:, None] * old) * share[:, None]
  new = normalize(new) if spherical else new
  return new.astype(dtypes[0]), total.astype(dtypes[1])


def concentrations(x, clustering, *, temperature=0.2, alpha=10.0):
  """Temperatures of prototypes: low for tight clusters of many points (PCL).

  φ_k ∝ Σ_{i in k} ‖x_i − c_k‖ / (N_k log(N_k + α)), clipped to its 10th and
  90th percentile and scaled to the mean `temperature`. A cluster of one point
  gets the largest.

  Args:
    x: [B, D] the clustered rows (unit rows if spherical).
    clustering: `Clustering` of x.
    temperature: mean of the result.
    alpha: α, smooths small clusters.

  Returns:
    [K], above 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Li et al., Prototypical contrastive learning of unsupervised
    representations, https://arxiv.org/abs/2005.04966, 2020. The official code:
    salesforce/PCL, main_pcl.py.
  """
  centroids, labels, _ = clustering
  shapes.check(x=(x, 'B D'), centroids=(centroids, 'K D'), labels=(labels, 'B'))
  x, centroids = at_least_float32(x, centroids)
  gaps = jnp.sqrt(jnp.sum((x - centroids[labels]) ** 2, -1))
  sums, sizes = _sums(gaps[:, None], labels, len(centroids))
  spread = sums[:, 0] / jnp.maximum(sizes, 1) / jnp.log(sizes + alpha)
  lonely = sizes <= 1
  spread = jnp.where(lonely, jnp.max(jnp.where(lonely, 0, spread)), spread)
  low, high = jnp.percentile(spread, jnp.array([10, 90]))
  spread = jnp.clip(spread, low, high)
  tiny = float(jnp.finfo(spread.dtype).tiny)
  return temperature * spread / jnp.maximum(jnp.mean(spread), tiny)


def _sums(x, labels, num_clusters):
  """Sums of the rows of every cluster [K, D], and their numbers [K]."""
  ones = jnp.ones(x.shape[0], x.dtype)
  return (
    jax.ops.segment_sum(x, labels, num_clusters),
    jax.ops.segment_sum(ones, labels, num_clusters),
  )


def _update(x, labels, distances, centroids, spherical):
  sums, sizes = _sums(x, labels, len(centroids))
  means = sums / jnp.maximum(sizes, 1)[:, None]
  means = normalize(means) if spherical else means
  empty = sizes == 0
  # The n-th empty cluster takes the n-th farthest point.
  _, farthest = jax.lax.top_k(distances, len(centroids))
  order = jnp.maximum(jnp.cumsum(empty) - 1, 0)
  return jnp.where(empty[:, None], x[farthest[order]], means)
