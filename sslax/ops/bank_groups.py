"""Groups of memory-bank rows that are too alike to be told apart.

A group is named by the smallest index of its rows; `init` begins with each row
by itself.
"""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import memory_bank
from sslax.ops.precision import at_least_float32


def init(num_rows):
  """Each row of the bank is a group of its own.

  Args:
    num_rows: N.

  Returns:
    [N] int.
  """
  return jnp.arange(num_rows)


def update_bank(bank, indices, features, momentum=0.5):
  """Moves rows of the bank towards the mean of their augmentations.

  v_i ← m·v_i + (1 − m)·mean_k f_i^k, and back to unit norm.

  Args:
    bank: [N, D] unit rows.
    indices: [B] int, rows to update.
    features: [B, V, D] unit rows of V augmentations.
    momentum: m, share of the old row kept.

  Returns:
    [N, D].

  Raises:
    ValueError: the shapes do not fit.

  References:
    Bulat et al., Improving memory banks for unsupervised learning with large
    mini-batch, consistency and hard negative mining,
    https://arxiv.org/abs/2102.04442, 2021.

  >>> bank, views = jnp.array([[1.0, 0.0]]), jnp.array([[[0.0, 1.0]] * 2])
  >>> update_bank(bank, jnp.array([0]), views, 0.0).tolist()
  [[0.0, 1.0]]
  """
  shapes.check(features=(features, 'B V D'), indices=(indices, 'B'))
  mean = jnp.mean(at_least_float32(features), 1)
  return memory_bank.update(jnp.asarray(bank), indices, mean, momentum)


def merge(bank, groups, *, threshold, block_size=1024):
  """Joins two groups where each holds the other's nearest row.

  Offline, between epochs: rows i and j outside each other's group become one
  group where j is the nearest row to i outside i's group, i is the nearest to
  j, and their cosine exceeds the threshold. Call it again to merge further.

  Args:
    bank: [N, D] unit rows.
    groups: [N] int, see `init`.
    threshold: least cosine, in [-1, 1].
    block_size: rows whose similarities are held at a time.

  Returns:
    [N] int, new groups.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Bulat et al., Improving memory banks for unsupervised learning with large
    mini-batch, consistency and hard negative mining,
    https://arxiv.org/abs/2102.04442, 2021.

  >>> bank = jnp.array([[1.0, 0.0], [0.8, 0.6], [0.0, -1.0]])
  >>> merge(bank, init(3), threshold=0.5).tolist()
  [0, 0, 2]
  """
  num = shapes.check(bank=(bank, 'N D'), groups=(groups, 'N'))['N']
  bank, groups = at_least_float32(bank), jnp.asarray(groups)

  def nearest(row):
    vector, group = row
    outside = jnp.where(groups == group, -jnp.inf, bank @ vector)
    return jnp.max(outside), jnp.argmax(outside)

  cosines, partners = jax.lax.map(
    nearest, (bank, groups), batch_size=min(block_size, num)
  )
  mutual = (partners[partners] == jnp.arange(num)) & (cosines > threshold)
  return _joined(groups, jnp.where(mutual, groups[partners], groups))


def _joined(groups, others):
  """Names of the chains of groups that rows link: each its smallest."""

  def spread(carry):
    names, _ = carry
    least = jnp.minimum(names[groups], names[others])
    new = names.at[groups].min(least).at[others].min(least)
    return new[new], names

  names = jnp.arange(groups.shape[0])
  carry = spread((names, names))
  changed = jax.lax.while_loop(lambda c: jnp.any(c[0] != c[1]), spread, carry)
  return changed[0][groups]


def positives(groups, indices):
  """Rows of the bank that are of the group of each example.

  Args:
    groups: [N] int.
    indices: [B] int, the examples' own rows.

  Returns:
    [B, N] bool.

  >>> positives(jnp.array([0, 0, 2]), jnp.array([1])).tolist()
  [[True, True, False]]
  """
  shapes.check(groups=(groups, 'N'), indices=(indices, 'B'))
  groups = jnp.asarray(groups)
  return groups[indices][:, None] == groups[None, :]
