"""How well a contrastive pretext task is solved."""

import jax.numpy as jnp

from sslax import shapes
from sslax.ops.distance import cosine


def match_accuracy(queries, candidates):
  """Share of queries whose own candidate is the nearest of all, by cosine.

  Args:
    queries: [B, D], any scale.
    candidates: [K, D], any scale, K ≥ B; row i is query i's own, the rows
      after the first B are nobody's.

  Returns:
    Scalar in [0, 1]; 1 / B where all embeddings are equal.

  >>> queries = jnp.array([[1.0, 0.0], [0.0, 1.0]])
  >>> float(match_accuracy(queries, jnp.array([[2.0, 1.0], [1.0, 0.0]])))
  0.0
  >>> float(match_accuracy(queries, jnp.array([[2.0, 1.0], [0.0, 3.0]])))
  1.0
  """
  shapes.check(queries=(queries, 'B D'), candidates=(candidates, 'K D'))
  nearest = jnp.argmax(cosine(queries, candidates), axis=1)
  own = jnp.arange(len(queries), dtype=nearest.dtype)
  return jnp.mean((nearest == own).astype(jnp.float32))
