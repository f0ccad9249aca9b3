"""Graphs of nearest neighbors and the weights of their edges."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.precision import at_least_float32


def nearest_rows(bank, num):
  """The rows of a bank that are nearest to each of its rows, by dot product.

  Args:
    bank: [N, D] unit rows, for instance moving averages of the features.
    num: k, neighbors of each row, below N.

  Returns:
    [N, k] int, nearest first, never the row itself; no gradient flows.

  Raises:
    ValueError: the shape is wrong.

  >>> bank = jnp.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
  >>> nearest_rows(bank, 1).tolist()
  [[1], [0], [1]]
  """
  size = shapes.check(bank=(bank, 'N D'))['N']
  bank = jax.lax.stop_gradient(at_least_float32(bank))

  def one(i):
    similarity = (bank @ bank[i]).at[i].set(-jnp.inf)
    return jax.lax.top_k(similarity, num)[1]

  return jax.lax.map(one, jnp.arange(size), batch_size=min(size, 128))


def laplacian_weights(neighbors):
  """Entries of the normalized Laplacian at the edges, negated.

  w_ij = −L_ij = 1 / √(d_i d_j), L = I − D^-½ A D^-½, where A joins i and j if
  one is among the neighbors of the other, and d counts them.

  Args:
    neighbors: [N, k] int, as `nearest_rows` gives them.

  Returns:
    [N, k] in (0, 1 / k].

  Raises:
    ValueError: the shape is wrong.

  References:
    Zhong et al., Graph contrastive clustering,
    https://arxiv.org/abs/2104.01429, 2021. The official code:
    mynameischaos/GCC, utils/memory.py.

  Deviations:
    The official code gives the edge between i and j the weight √(3 / d_i),
    which knows one end only.

  >>> weights = laplacian_weights(jnp.array([[1], [0], [1]]))
  >>> [round(float(w), 4) for w in weights[:, 0]]  # degrees 1, 2, 1
  [0.7071, 0.7071, 0.7071]
  """
  sizes = shapes.check(neighbors=(neighbors, 'N k'))
  neighbors = jnp.asarray(neighbors)
  rows = jnp.arange(sizes['N'], dtype=neighbors.dtype)[:, None]
  # An edge that both ends name counts once.
  mutual = jnp.any(neighbors[neighbors] == rows[:, :, None], 2)
  incoming = jnp.where(mutual, 0.0, 1.0)
  degrees = jnp.full(sizes['N'], float(sizes['k'])).at[neighbors].add(incoming)
  return 1 / jnp.sqrt(degrees[:, None] * degrees[neighbors])
