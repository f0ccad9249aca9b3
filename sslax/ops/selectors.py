"""Which pairs are positives, which negatives count, and how hard they are.

The selectors of negatives return a boolean mask over a `[B, K]` matrix of
similarities, so that they work on a batch, a queue or a bank alike.
"""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import distance
from sslax.ops.precision import at_least_float32


def label_masks(labels):
  """Pairs of one class without self, and pairs of two classes.

  Args:
    labels: [B] int.

  Returns:
    positives: [B, B] bool.
    negatives: [B, B] bool.

  >>> positives, negatives = label_masks(jnp.array([0, 0, 1]))
  >>> positives[0].tolist(), negatives[0].tolist()
  ([False, True, False], [False, False, True])
  """
  sizes = shapes.check(labels=(labels, 'B'))
  same = labels[:, None] == labels[None, :]
  return same & ~jnp.eye(sizes['B'], dtype=bool), ~same


def hardness_rank(similarities, allowed=None):
  """Place of each entry in its row when sorted by falling similarity.

  Args:
    similarities: [B, K].
    allowed: optional [B, K] bool; entries that are not allowed come last.

  Returns:
    [B, K] int, 0 = the most similar.

  >>> hardness_rank(jnp.array([[0.1, 0.9, 0.5]])).tolist()
  [[2, 0, 1]]
  """
  similarities = _only(similarities, allowed)
  order = jnp.argsort(-similarities, axis=1)
  return jnp.argsort(order, axis=1)


def hardest(similarities, num, allowed=None):
  """The `num` most similar allowed entries of each row.

  Args:
    similarities: [B, K].
    num: how many to keep a row.
    allowed: optional [B, K] bool.

  Returns:
    [B, K] bool.

  >>> hardest(jnp.array([[0.1, 0.9, 0.5]]), 2).tolist()
  [[False, True, True]]
  """
  chosen = hardness_rank(similarities, allowed) < num
  return chosen if allowed is None else chosen & allowed


def band(similarities, lower, upper, allowed=None):
  """Entries between two quantiles of each row: neither easy nor hardest.

  Args:
    similarities: [B, K].
    lower: share of the allowed entries, from the least similar, left out.
    upper: share at which the band ends; 1 keeps the hardest.
    allowed: optional [B, K] bool.

  Returns:
    [B, K] bool.

  References:
    Wu et al., Conditional negative sampling for contrastive learning of
    visual representations, https://arxiv.org/abs/2010.02037, 2020.

  >>> band(jnp.array([[0.1, 0.9, 0.5, 0.3]]), 0.5, 0.75).tolist()
  [[False, False, True, False]]
  """
  if allowed is None:
    allowed = jnp.ones(similarities.shape, bool)
  rank = hardness_rank(similarities, allowed)
  count = jnp.sum(allowed, axis=1, keepdims=True, dtype=jnp.float32)
  from_below = count - 1 - rank.astype(jnp.float32)
  # A hair below the bounds: 0.7 * 10 must not fall short of 7 by rounding.
  inside = from_below >= jnp.ceil(lower * count - 1e-4)
  return inside & (from_below < jnp.ceil(upper * count - 1e-4)) & allowed


def drop_hardest(similarities, ratio, allowed=None):
  """All but the given share of most similar entries, likely false negatives.

  Args:
    similarities: [B, K].
    ratio: share of the allowed entries that is dropped.
    allowed: optional [B, K] bool.

  Returns:
    [B, K] bool.

  >>> drop_hardest(jnp.array([[0.1, 0.9]]), 0.5).tolist()
  [[True, False]]
  """
  return band(similarities, 0.0, 1 - ratio, allowed)


def semi_hard(distances, positive_distances, margin, allowed=None):
  """Negatives farther than the positive, but by less than the margin.

  Args:
    distances: [B, K] from the anchors to the candidates.
    positive_distances: [B] from each anchor to its positive.
    margin: of the triplet loss.
    allowed: optional [B, K] bool.

  Returns:
    [B, K] bool.

  References:
    Schroff et al., FaceNet, https://arxiv.org/abs/1503.03832, 2015.

  >>> semi_hard(jnp.array([[0.5, 1.5, 3.0]]), jnp.array([1.0]), 1.0).tolist()
  [[False, True, False]]
  """
  shapes.check(
    distances=(distances, 'B K'), positive_distances=(positive_distances, 'B')
  )
  gap = distances - positive_distances[:, None]
  chosen = (gap > 0) & (gap < margin)
  return chosen if allowed is None else chosen & allowed


def target_neighbors(x, labels, num):
  """The nearest rows of the same class, LMNN's target neighbors.

  Args:
    x: [B, D] in the input space.
    labels: [B] int; every class must have more than `num` members.
    num: neighbors for each row.

  Returns:
    [B, num] int, nearest first.

  References:
    Weinberger et al., Distance metric learning for large margin nearest
    neighbor classification, NIPS 2005.

  >>> x = jnp.array([[0.0], [1.0], [3.0], [1.5]])
  >>> target_neighbors(x, jnp.array([0, 0, 0, 1]), 1)[:3].ravel().tolist()
  [1, 0, 1]
  """
  shapes.check(x=(x, 'B D'), labels=(labels, 'B'))
  gaps = x[:, None, :] - x[None, :, :]
  nearness = -jnp.sum(gaps * gaps, axis=-1)
  positives, _ = label_masks(labels)
  return jnp.argsort(-_only(nearness, positives), axis=1)[:, :num]


def nearest(queries, support):
  """The support set's nearest row to each query, by cosine.

  Args:
    queries: [B, D], any scale.
    support: [K, D], any scale.

  Returns:
    [B, D] rows of the support set as they are; no gradient flows.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Dwibedi et al., With a little help from my friends: nearest-neighbor
    contrastive learning of visual representations,
    https://arxiv.org/abs/2104.14548, 2021.

  >>> support = jnp.array([[0.0, 2.0], [3.0, 0.0]])
  >>> nearest(jnp.array([[1.0, 0.1]]), support).tolist()
  [[3.0, 0.0]]
  """
  queries, support = jax.lax.stop_gradient((queries, support))
  return support[jnp.argmax(distance.cosine(queries, support), axis=1)]


def mine_views(rng, queries, pool, *, num_neighbors=1):
  """Picks one of the nearest candidates of each query as its mined view.

  Args:
    rng: a JAX key.
    queries: [B, D] teacher's features, any scale.
    pool: [K, D] teacher's features of the candidates, any scale.
    num_neighbors: how many nearest candidates to draw from, at most K.

  Returns:
    [B] int rows of the pool.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Azabou et al., Mine your own view: self-supervised learning through
    across-sample prediction, https://arxiv.org/abs/2102.10106, 2021.

  >>> pool = jnp.array([[0.0, 1.0], [1.0, 0.0]])
  >>> mine_views(jax.random.key(0), pool[:1], pool).tolist()
  [0]
  """
  similarity = distance.cosine(queries, pool)
  _, rows = jax.lax.top_k(similarity, num_neighbors)
  choice = jax.random.randint(rng, (similarity.shape[0], 1), 0, num_neighbors)
  return jnp.take_along_axis(rows, choice, axis=1)[:, 0]


def _only(similarities, allowed):
  similarities = at_least_float32(similarities)
  if allowed is None:
    return similarities
  return jnp.where(allowed, similarities, jnp.full_like(similarities, -jnp.inf))
