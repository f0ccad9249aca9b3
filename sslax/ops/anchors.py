"""Anchor neighborhoods: which examples and their neighbors form a class."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import graphs
from sslax.ops.precision import at_least_float32


def num_anchors(num_rows, round_index, *, share_per_round=0.25):
  """How many anchors a round of the curriculum has.

  ⌊N · share · r⌋, at most N: none in round 0, all from round 1 / share on.

  Args:
    num_rows: N, the examples of the data set.
    round_index: r, from 0.
    share_per_round: share of the examples that each round adds, in [0, 1].

  Returns:
    int.

  References:
    Huang et al., Unsupervised deep learning by neighbourhood discovery,
    https://arxiv.org/abs/1904.11567, 2019. The official code: Raymond-sci/AND,
    lib/ans_discovery.py.

  >>> [num_anchors(10, r) for r in range(6)]
  [0, 2, 5, 7, 10, 10]
  """
  return min(int(num_rows * share_per_round * round_index), num_rows)


def entropies(bank, *, temperature=0.1):
  """Entropy of every example's softmax over the bank: low in a tight spot.

  H_i = −Σ_j p_ij log p_ij, p_ij = e^{v_i·v_j/τ} / Σ_k e^{v_i·v_k/τ}.

  Args:
    bank: [N, D] unit rows.
    temperature: τ, above 0.

  Returns:
    [N] in [0, log N]; no gradient flows.

  Raises:
    ValueError: the shape is wrong.

  References:
    Huang et al., Unsupervised deep learning by neighbourhood discovery,
    https://arxiv.org/abs/1904.11567, 2019.

  >>> [round(float(h), 4) for h in entropies(jnp.zeros((2, 1)))]
  [0.6931, 0.6931]
  """
  shapes.check(bank=(bank, 'N D'))
  bank = jax.lax.stop_gradient(at_least_float32(bank))

  def one(row):
    logs = jax.nn.log_softmax(bank @ row / temperature)
    return -jnp.sum(jnp.exp(logs) * logs)

  return jax.lax.map(one, bank, batch_size=min(len(bank), 128))


def anchor_neighbors(bank, *, num, num_neighbors=1, temperature=0.1):
  """The examples of lowest entropy become anchors, with their neighbors.

  Args:
    bank: [N, D] unit rows.
    num: anchors of this round, see `num_anchors`.
    num_neighbors: nearest rows that join each anchor's class.
    temperature: of the softmax whose entropy selects.

  Returns:
    is_anchor: [N] bool.
    neighbors: [N, num_neighbors] int, the nearest other rows of every example.

  Raises:
    ValueError: the shape is wrong.

  References:
    Huang et al., Unsupervised deep learning by neighbourhood discovery,
    https://arxiv.org/abs/1904.11567, 2019. The official code: Raymond-sci/AND,
    lib/ans_discovery.py.

  >>> bank = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
  >>> is_anchor, neighbors = anchor_neighbors(bank, num=1)
  >>> is_anchor.tolist(), neighbors[:2].tolist()  # the last one is alone
  ([False, False, True], [[1], [0]])
  """
  size = shapes.check(bank=(bank, 'N D'))['N']
  order = jnp.argsort(entropies(bank, temperature=temperature))
  is_anchor = jnp.zeros(size, bool).at[order[:num]].set(True)
  return is_anchor, graphs.nearest_rows(bank, num_neighbors)


def neighborhoods(indices, is_anchor, neighbors):
  """The rows that form one class with each example of a batch.

  Give the result to `sslax.losses.anchor_neighborhood`.

  Args:
    indices: [B] int, the examples' own rows.
    is_anchor: [N] bool.
    neighbors: [N, k] int.

  Returns:
    [B, N] bool: the own row, and for an anchor its neighbors.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Huang et al., Unsupervised deep learning by neighbourhood discovery,
    https://arxiv.org/abs/1904.11567, 2019.

  >>> is_anchor, near = jnp.array([True, False]), jnp.array([[1], [0]])
  >>> neighborhoods(jnp.array([0, 1]), is_anchor, near).tolist()
  [[True, True], [False, True]]
  """
  sizes = shapes.check(
    indices=(indices, 'B'),
    is_anchor=(is_anchor, 'N'),
    neighbors=(neighbors, 'N k'),
  )
  indices, neighbors = jnp.asarray(indices), jnp.asarray(neighbors)
  rows = jnp.arange(sizes['N'], dtype=neighbors.dtype)
  own = indices[:, None].astype(rows.dtype) == rows[None, :]
  near = neighbors[indices][:, :, None] == rows[None, None, :]
  return own | (jnp.any(near, 1) & is_anchor[indices][:, None])
