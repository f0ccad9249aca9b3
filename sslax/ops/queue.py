"""A first-in-first-out queue of feature rows, as pure functions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.distance import normalize


class Queue(NamedTuple):
  """The rows of a queue and where the next one goes.

  Attributes:
    rows: [K, D].
    cursor: int32 scalar, the row that is overwritten next.
  """

  rows: jax.Array
  cursor: jax.Array


def init(rng, num_rows, dim, dtype=jnp.float32):
  """Fills a queue with random unit vectors.

  Args:
    rng: a JAX key.
    num_rows: K.
    dim: D.
    dtype: of the rows.

  Returns:
    A Queue.

  References:
    He et al., Momentum contrast for unsupervised visual representation
    learning, https://arxiv.org/abs/1911.05722, 2019, and its code,
    https://github.com/facebookresearch/moco.

  >>> init(jax.random.key(0), 4, 2).rows.shape
  (4, 2)
  """
  rows = jax.random.normal(rng, (num_rows, dim), jnp.float32)
  return Queue(normalize(rows).astype(dtype), jnp.zeros((), jnp.int32))


def push(queue, rows):
  """Overwrites the oldest rows with new ones, around the end if need be.

  Args:
    queue: Queue of K rows.
    rows: [B, D] new rows; of more than K the last K stay. No gradient flows
      into a queue.

  Returns:
    The new Queue.

  Raises:
    ValueError: the rows have another D than the queue.

  Deviations:
    The official MoCo code wants K to be a multiple of B; here it need not be.

  >>> full = Queue(jnp.zeros((3, 1)), jnp.int32(2))
  >>> push(full, jnp.array([[1.0], [2.0]])).rows.ravel().tolist()
  [2.0, 0.0, 1.0]
  """
  sizes = shapes.check(queue=(queue.rows, 'K D'), rows=(rows, 'B D'))
  num_rows, num_new = sizes['K'], sizes['B']
  kept = min(num_rows, num_new)
  rows = jax.lax.stop_gradient(rows[num_new - kept :])
  first = queue.cursor + (num_new - kept)
  places = (first + jnp.arange(kept, dtype=jnp.int32)) % num_rows
  cursor = (queue.cursor + num_new) % num_rows
  return Queue(
    queue.rows.at[places].set(rows.astype(queue.rows.dtype)),
    cursor.astype(queue.cursor.dtype),
  )


def oldest_first(queue):
  """Returns the rows [K, D] in the order in which they came.

  >>> oldest_first(Queue(jnp.array([[3.0], [1.0]]), jnp.int32(1))).tolist()
  [[1.0], [3.0]]
  """
  return jnp.roll(queue.rows, -queue.cursor, axis=0)
