"""Synthetic negatives, and negatives that are none."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import distance, selectors
from sslax.ops.precision import at_least_float32


def mix_negatives(rng, queries, queue, *, num_hard, num_mixed, num_query_mixed):
  """Synthesizes hard negatives from the hardest ones of each query (MoCHi).

  norm(α·n_i + (1 − α)·n_j), α ~ U(0, 1), and norm(β·q + (1 − β)·n_j),
  β ~ U(0, ½), with n_i, n_j drawn among the num_hard nearest queue rows.

  Args:
    rng: a JAX key.
    queries: [B, D], any scale; normalized here.
    queue: [K, D] unit rows.
    num_hard: N, at most K.
    num_mixed: s, mixtures of two negatives.
    num_query_mixed: s', mixtures of the query and a negative.

  Returns:
    [B, s + s', D] unit rows; no gradient flows.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Kalantidis et al., Hard negative mixing for contrastive learning,
    https://arxiv.org/abs/2010.01028, 2020.

  >>> q, queue = jnp.eye(2)[:1], jnp.eye(2)
  >>> mix_negatives(
  ...   jax.random.key(0), q, queue, num_hard=1, num_mixed=1, num_query_mixed=0
  ... ).tolist()
  [[[1.0, 0.0]]]
  """
  sizes = shapes.check(queries=(queries, 'B D'), queue=(queue, 'K D'))
  queries, queue = jax.lax.stop_gradient(at_least_float32(queries, queue))
  queries, num = distance.normalize(queries), sizes['B']
  _, rows = jax.lax.top_k(queries @ queue.T, num_hard)
  first, second, share = jax.random.split(rng, 3)
  total = num_mixed + num_query_mixed
  i = jax.random.randint(first, (num, total), 0, num_hard)
  j = jax.random.randint(second, (num, total), 0, num_hard)
  ours = queue[jnp.take_along_axis(rows, i, axis=1)]
  ours = ours.at[:, num_mixed:].set(queries[:, None, :])
  theirs = queue[jnp.take_along_axis(rows, j, axis=1)]
  weight = jax.random.uniform(share, (num, total, 1), queries.dtype)
  weight = weight.at[:, num_mixed:].divide(2)
  return distance.normalize(weight * ours + (1 - weight) * theirs)


def false_negatives(
  support,
  candidates,
  *,
  num=None,
  threshold=None,
  aggregate='max',
  allowed=None,
):
  """Candidates that look like other views of the anchor.

  Args:
    support: [B, S, D] further augmentations of each anchor, any scale.
    candidates: [K, D] the anchor's negatives, any scale.
    num: optional, keep at most this many a row, the most similar.
    threshold: optional, keep those with at least this cosine.
    aggregate: 'max' or 'mean' of the cosines over the support.
    allowed: optional [B, K] bool, which candidates are negatives at all.

  Returns:
    [B, K] bool; no gradient flows.

  Raises:
    ValueError: the shapes do not fit, an unknown aggregate, or neither num nor
      threshold.

  References:
    Huynh et al., Boosting contrastive self-supervised learning with false
    negative cancellation, https://arxiv.org/abs/2011.11765, 2020.

  >>> support = jnp.array([[[1.0, 0.0]]])
  >>> false_negatives(support, jnp.eye(2), threshold=0.5).tolist()
  [[True, False]]
  """
  sizes = shapes.check(
    support=(support, 'B S D'), candidates=(candidates, 'K D')
  )
  if num is None and threshold is None:
    raise ValueError('num and threshold are None; expected one of them')
  if aggregate not in ('max', 'mean'):
    raise ValueError(f"aggregate is {aggregate!r}; expected 'max' or 'mean'")
  similarity = distance.normalize(support) @ distance.normalize(candidates).T
  pool = jnp.max if aggregate == 'max' else jnp.mean
  score = jax.lax.stop_gradient(pool(similarity, axis=1))
  chosen = jnp.ones((sizes['B'], sizes['K']), bool)
  chosen = chosen if allowed is None else chosen & allowed
  if threshold is not None:
    chosen = chosen & (score >= threshold)
  return chosen if num is None else selectors.hardest(score, num, chosen)
