"""Visits all pairs of two sets of rows, block by block.

On one device blocks follow one another; over a mesh each device keeps its rows
while the keys travel round the ring of devices. What has been gathered for
the keys travels with them, and after a full turn all are at home.
"""

import functools

import jax
import jax.numpy as jnp

from sslax import ring

# Rows of a block. Its square is what a device holds in place of all pairs.
_BLOCK_ROWS = 1024


def fold(visit, merge, rows, keys, row_parts, key_parts, *, mesh=None):
  """Merges what each pair of blocks says of its rows and of its keys.

  Args:
    visit: (block of rows, block of keys) -> (parts of rows, parts of keys).
    merge: (parts, parts) -> parts, associative.
    rows: tree of [B, ...] arrays.
    keys: tree of [K, ...] arrays.
    row_parts: tree of [B, ...] arrays to begin with, or None where parts of
      rows are not wanted.
    key_parts: tree of [K, ...] arrays to begin with, or None.
    mesh: whose devices share rows and keys equally; None for one ring of one.

  Returns:
    (row_parts, key_parts) after all pairs.
  """

  def turn(rows, keys, row_parts, key_parts):
    """Each device meets the keys of all."""

    def hop(carry, _):
      keys, row_parts, key_parts = carry
      row_parts, key_parts = _meet(
        visit, merge, rows, keys, row_parts, key_parts
      )
      keys, key_parts = ring.pass_on((keys, key_parts), mesh)
      return (keys, row_parts, key_parts), None

    carry = keys, row_parts, key_parts
    return jax.lax.scan(hop, carry, None, mesh.size)[0][1:]

  if mesh is None:
    return _meet(visit, merge, rows, keys, row_parts, key_parts)
  return ring.by_rows(turn, mesh)(rows, keys, row_parts, key_parts)


def fold_within(visit, merge, rows, parts, *, mesh=None):
  """As `fold` of rows with themselves; pairs and parts are symmetric.

  Args:
    visit: as of `fold`; visit(b, a) is visit(a, b) with its parts swapped.
    merge: as of `fold`.
    rows: tree of [B, ...] arrays.
    parts: tree of [B, ...] arrays to begin with.
    mesh: as of `fold`.

  Returns:
    parts after all pairs, each ordered pair counted once.
  """
  if mesh is not None:
    return fold(visit, merge, rows, rows, parts, None, mesh=mesh)[0]
  num, size = _layout(rows)
  cut = _cut(rows, num, size)

  def with_itself_and_later(i, merged):
    mine = _at(cut, i)

    def with_later(j, carry):
      own, merged = carry
      more, others = visit(mine, _at(cut, j))
      merged = _put(merged, j, merge(_at(merged, j), others))
      return merge(own, more), merged

    own = merge(_at(merged, i), visit(mine, mine)[0])
    own, merged = jax.lax.fori_loop(i + 1, num, with_later, (own, merged))
    return _put(merged, i, own)

  start = _cut(parts, num, size)
  merged = jax.lax.fori_loop(0, num, with_itself_and_later, start)
  return _join(merged, parts)


def _meet(visit, merge, rows, keys, row_parts, key_parts):
  """All pairs of blocks of rows and keys that are here."""
  rows_cut, parts_cut = (_cut(t, *_layout(rows)) for t in (rows, row_parts))
  keys_cut, key_cut = (_cut(t, *_layout(keys)) for t in (keys, key_parts))

  def add(parts, more):
    return None if parts is None else merge(parts, more)

  def of_keys(row_parts, keys_and_parts):
    keys, key_parts = keys_and_parts

    def of_rows(key_parts, rows_and_parts):
      rows, row_parts = rows_and_parts
      of_row, of_key = visit(rows, keys)
      return add(key_parts, of_key), add(row_parts, of_row)

    return jax.lax.scan(of_rows, key_parts, (rows_cut, row_parts))[::-1]

  parts_cut, key_cut = jax.lax.scan(of_keys, parts_cut, (keys_cut, key_cut))
  return _join(parts_cut, row_parts), _join(key_cut, key_parts)


def _layout(tree):
  """(number of blocks, rows of each): as few as may be, and as even."""
  num_rows = len(jax.tree.leaves(tree)[0])
  num = max(-(-num_rows // _BLOCK_ROWS), 1)
  return num, -(-num_rows // num)


def _cut(tree, num, size):
  """[B, ...] -> [num, size, ...]; what is filled up has integers -1."""

  def cut(x):
    fill = -1 if jnp.issubdtype(x.dtype, jnp.integer) else 0
    widths = [(0, num * size - len(x))] + [(0, 0)] * (x.ndim - 1)
    x = jnp.pad(x, widths, constant_values=fill)
    return x.reshape(num, size, *x.shape[1:])

  return jax.tree.map(cut, tree)


def _join(tree, like):
  """[num, size, ...] -> [B, ...]."""

  def join(x, y):
    return x.reshape(-1, *y.shape[1:])[: len(y)]

  return jax.tree.map(join, tree, like)


def _at(tree, i):
  return jax.tree.map(functools.partial(_index, i=i), tree)


def _index(x, i):
  return jax.lax.dynamic_index_in_dim(x, i, keepdims=False)


def _put(tree, i, new):
  def put(x, y):
    return jax.lax.dynamic_update_index_in_dim(x, y, i, 0)

  return jax.tree.map(put, tree, new)
