"""Pseudo-labels: who belongs together, as a network or a clustering sees it."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.distance import cosine


def labels(probs, *, threshold=0.9):
  """The most probable class of each example, and whether it is confident.

  Args:
    probs: [B, K] class probabilities.
    threshold: smallest probability of a confident label, in [0, 1].

  Returns:
    labels: [B] int.
    confident: [B] bool.

  Raises:
    ValueError: the shape is wrong.

  References:
    Wu et al., Deep comprehensive correlation mining for image clustering,
    https://arxiv.org/abs/1904.06925, 2019.

  >>> chosen, confident = labels(jnp.array([[0.95, 0.05], [0.4, 0.6]]))
  >>> chosen.tolist(), confident.tolist()
  ([0, 1], [True, False])
  """
  shapes.check(probs=(probs, 'B K'))
  return jnp.argmax(probs, 1), jnp.max(probs, 1) >= threshold


def graph(probs, *, threshold=0.95):
  """Pseudo-graph: an edge where two predictions point the same way.

  Args:
    probs: [B, K] class probabilities.
    threshold: smallest cosine of an edge.

  Returns:
    [B, B] bool, symmetric, with an edge from every example to itself.

  Raises:
    ValueError: the shape is wrong.

  References:
    Wu et al., Deep comprehensive correlation mining for image clustering,
    https://arxiv.org/abs/1904.06925, 2019.

  >>> graph(jnp.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]))[0].tolist()
  [True, True, False]
  """
  shapes.check(probs=(probs, 'B K'))
  itself = jnp.eye(len(probs), dtype=bool)
  return (cosine(probs, probs) >= threshold) | itself


def graph_pairs(rng, edges):
  """Draws a neighbor and a stranger of every example.

  Args:
    rng: a JAX key.
    edges: [B, B] bool, as `graph` gives it.

  Returns:
    neighbors: [B] int, another example with an edge; the example itself where
      there is none.
    strangers: [B] int, an example without an edge; any other example where
      all have one.

  Raises:
    ValueError: the shape is wrong.

  References:
    Wu et al., Deep comprehensive correlation mining for image clustering,
    https://arxiv.org/abs/1904.06925, 2019.

  >>> edges = jnp.array([[True, True, False]] * 2 + [[False, False, True]])
  >>> neighbors, strangers = graph_pairs(jax.random.key(0), edges)
  >>> neighbors.tolist(), strangers.tolist()[:2]
  ([1, 0, 2], [2, 2])
  """
  shapes.check(edges=(edges, 'B B'))
  itself = jnp.eye(len(edges), dtype=bool)
  others = edges & ~itself
  others = jnp.where(jnp.any(others, 1, keepdims=True), others, itself)
  outside = ~edges & ~itself
  outside = jnp.where(jnp.any(outside, 1, keepdims=True), outside, ~itself)
  first, second = jax.random.split(rng)
  return _draw(first, others), _draw(second, outside)


def _draw(rng, allowed):
  """One allowed column of every row, all equally likely."""
  noise = jax.random.uniform(rng, allowed.shape)
  return jnp.argmax(jnp.where(allowed, noise, -jnp.ones_like(noise)), 1)


def members(rng, own, bank_labels):
  """Draws a bank row of the same pseudo-class for every query.

  Args:
    rng: a JAX key.
    own: [B] int, the queries' pseudo-classes; each has a row in the bank.
    bank_labels: [N] int, the pseudo-classes of the bank's rows.

  Returns:
    [B] int rows, possibly the query's own.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Xie et al., Delving into inter-image invariance for unsupervised visual
    representations, https://arxiv.org/abs/2008.11702, 2020.

  >>> members(jax.random.key(0), jnp.array([7, 8]), jnp.array([8, 7])).tolist()
  [1, 0]
  """
  shapes.check(own=(own, 'B'), bank_labels=(bank_labels, 'N'))
  return _draw(rng, own[:, None] == bank_labels[None, :])


def semi_hard_rows(rng, similarities, allowed, *, num, pool):
  """Draws negatives among the nearest rows, but not only the nearest.

  Args:
    rng: a JAX key.
    similarities: [B, N] of the queries to the bank's rows.
    allowed: [B, N] bool, the rows that are negatives: of other pseudo-classes.
    num: negatives drawn for each query, without repetition; at most `pool`.
    pool: how many of the nearest allowed rows they are drawn from; as many as
      `num` gives the hardest. Every query needs that many allowed rows.

  Returns:
    [B, num] int rows; no gradient flows.

  Raises:
    ValueError: the shapes do not fit, or num is above pool.

  References:
    Xie et al., Delving into inter-image invariance for unsupervised visual
    representations, https://arxiv.org/abs/2008.11702, 2020.

  Deviations:
    The official code takes the pool among all rows, and draws again where a
    row of the query's own pseudo-class came out.

  >>> s, others = jnp.array([[0.9, 0.8, 0.1]]), jnp.array([[False, True, True]])
  >>> semi_hard_rows(jax.random.key(0), s, others, num=1, pool=1).tolist()
  [[1]]
  """
  shapes.check(similarities=(similarities, 'B N'), allowed=(allowed, 'B N'))
  if num > pool:
    raise ValueError(f'num is {num}; expected at most pool, {pool}')
  similarities = jax.lax.stop_gradient(similarities)
  lowest = jnp.full_like(similarities, -jnp.inf)
  _, rows = jax.lax.top_k(jnp.where(allowed, similarities, lowest), pool)
  _, chosen = jax.lax.top_k(jax.random.uniform(rng, rows.shape), num)
  return jnp.take_along_axis(rows, chosen, axis=1)
