"""Sums over all pairs of two sets of rows, without the matrix of all pairs.

Blocks are made, reduced and forgotten; the backward pass makes them again. So
memory grows with the rows, and over a mesh with the rows of one device.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import ring
from sslax.ops import pair_blocks
from sslax.ops.precision import at_least_float32

# Pairs on one device up to which the whole matrix is made.
_DENSE_PAIRS = 2**22


def too_many(num_rows: int, num_keys: int, like) -> bool:
  """Whether the matrix of all pairs is to be left unmade.

  Args:
    num_rows: number of rows, of all devices.
    num_keys: number of keys, of all devices.
    like: an array that says which devices share the rows.
  """
  mesh = ring.mesh_of_rows(like, num_rows, num_keys)
  return num_rows * num_keys > _DENSE_PAIRS * (mesh.size if mesh else 1)


def dot(queries, keys):
  """[B, D], [K, D] -> [B, K] dot products."""
  return queries @ keys.T


def logsumexp(
  queries, keys, ids, key_ids, *, score=dot, groups=None, key_groups=None
):
  """Log of the sum of exp of each query's scores with all keys of other ids.

  Args:
    queries: [B, ...] float, or a tree of such.
    keys: [K, ...] float, or a tree of such.
    ids: [B] int, at least 0; a pair of equal ids does not count.
    key_ids: [K] int, at least 0.
    score: (queries, keys) -> [B, K], a function of a module.
    groups: optional [B] int, at least 0; a pair of two groups does not count.
    key_groups: [K] int, where there are groups.

  Returns:
    [B], very low but finite where nothing counts.
  """
  labels, key_labels = _Labels(ids, groups), _Labels(key_ids, key_groups)
  arrays = queries, keys, labels, key_labels
  return _run('queries', _LOGSUMEXP, score, *arrays)[0]


def logsumexp_both(queries, keys, ids, key_ids, *, score=dot):
  """As `logsumexp`, of queries over keys and of keys over queries.

  Args:
    queries: [B, ...] float, or a tree of such.
    keys: [K, ...] float, or a tree of such.
    ids: [B] int, at least 0; a pair of equal ids does not count.
    key_ids: [K] int, at least 0.
    score: (queries, keys) -> [B, K], a function of a module.

  Returns:
    ([B], [K]).
  """
  labels, key_labels = _Labels(ids), _Labels(key_ids)
  arrays = queries, keys, labels, key_labels
  return _run('both', _LOGSUMEXP, score, *arrays)


def logsumexp_within(rows, ids, *, score=dot, groups=None):
  """As `logsumexp` of rows with themselves, at half the cost.

  Args:
    rows: [B, ...] float, or a tree of such.
    ids: [B] int, at least 0; a pair of equal ids does not count.
    score: (rows, rows) -> [B, B], a function of a module; symmetric.
    groups: as of `logsumexp`.

  Returns:
    [B].
  """
  labels = _Labels(ids, groups)
  return _run('within', _LOGSUMEXP, score, rows, None, labels, None)[0]


def sum_of_scores(queries, keys, ids, key_ids, *, score):
  """Sum of each query's scores with all keys of other ids.

  Args:
    queries: [B, ...] float, or a tree of such.
    keys: [K, ...] float, or a tree of such.
    ids: [B] int, at least 0; a pair of equal ids does not count.
    key_ids: [K] int, at least 0.
    score: (queries, keys) -> [B, K], a function of a module.

  Returns:
    [B].
  """
  labels, key_labels = _Labels(ids), _Labels(key_ids)
  arrays = queries, keys, labels, key_labels
  return _run('queries', _SUM, score, *arrays)[0]


def _run(form, reduction, score, queries, keys, labels, key_labels):
  """Totals in at least float32, on the devices that share the rows."""
  queries, keys = jax.tree.map(at_least_float32, (queries, keys))
  sizes = [len(labels.ids), len((key_labels or labels).ids)]
  mesh = ring.mesh_of_rows(jax.tree.leaves(queries)[0], *sizes)
  kind = _Kind(score, reduction, form, mesh)
  return _totals(kind, queries, keys, labels, key_labels)


class _Labels(NamedTuple):
  """Says which pairs count; -1 where a block is filled up."""

  ids: jax.Array  # [B]
  groups: Any = None  # [B]


class _Rows(NamedTuple):
  """Rows or keys, and what the backward pass knows of them."""

  values: Any  # tree of [B, ...]
  labels: _Labels
  total: Any = None  # [B]
  weight: Any = None  # [B], the cotangent of total; None where it has no part


class _Reduction(NamedTuple):
  """A sum over pairs that can be made in parts, and its derivative."""

  nothing: float  # the score of a pair that does not count
  start: Callable[..., Any]  # [B] -> parts of no pairs
  part: Callable[..., Any]  # (scores, axis) -> parts
  merge: Callable[..., Any]  # (parts, parts) -> parts
  total: Callable[..., Any]  # parts -> [B]
  slope: Callable[..., Any]  # (scores, total) -> derivative by scores


class _Kind(NamedTuple):
  """What is fixed while a sum is differentiated."""

  score: Callable[..., Any]
  reduction: _Reduction
  form: str  # 'queries', 'both' or 'within'
  mesh: Any  # of the devices that share the rows, or None


def _part_of_logsumexp(scores, axis):
  """The largest score, and the sum of exp relative to it."""
  top = jnp.maximum(jnp.max(scores, axis), _lowest(scores.dtype))
  gap = scores - jnp.expand_dims(top, axis)
  return top, jnp.sum(jnp.exp(gap), axis)


def _merge_logsumexp(a, b):
  top = jnp.maximum(a[0], b[0])
  return top, a[1] * jnp.exp(a[0] - top) + b[1] * jnp.exp(b[0] - top)


def _total_of_logsumexp(parts):
  top, share = parts
  some = share > 0
  return jnp.where(some, top + jnp.log(jnp.where(some, share, 1)), top)


def _lowest(dtype):
  return float(jnp.finfo(dtype).min) / 4


_LOGSUMEXP = _Reduction(
  nothing=-jnp.inf,
  start=lambda x: (jnp.full_like(x, _lowest(x.dtype)), jnp.zeros_like(x)),
  part=_part_of_logsumexp,
  merge=_merge_logsumexp,
  total=_total_of_logsumexp,
  slope=lambda scores, total: jnp.exp(scores - total),
)
_SUM = _Reduction(
  nothing=0.0,
  start=jnp.zeros_like,
  part=jnp.sum,
  merge=jnp.add,
  total=lambda parts: parts,
  slope=lambda scores, total: jnp.ones_like(scores),
)


def _counted(labels, key_labels):
  """[B, K], whether a pair counts."""

  def pairs(compare, a, b):
    return compare(a[:, None], b[None, :])

  keep = pairs(jnp.not_equal, labels.ids, key_labels.ids)
  keep &= pairs(jnp.minimum, labels.ids, key_labels.ids) >= 0
  if labels.groups is None:
    return keep
  return keep & pairs(jnp.equal, labels.groups, key_labels.groups)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _totals(kind, queries, keys, labels, key_labels):
  """Totals of queries and, where the form has them, of keys."""
  reduction = kind.reduction
  queries = _Rows(queries, labels)
  keys = _Rows(keys, key_labels)

  def visit(queries, keys):
    scores = kind.score(queries.values, keys.values)
    keep = _counted(queries.labels, keys.labels)
    scores = jnp.where(keep, scores, reduction.nothing)
    return reduction.part(scores, 1), reduction.part(scores, 0)

  def start(rows):
    first = jax.tree.leaves(rows.values)[0]
    return reduction.start(jnp.zeros(len(first), first.dtype))

  if kind.form == 'within':
    parts = pair_blocks.fold_within(
      visit, reduction.merge, queries, start(queries), mesh=kind.mesh
    )
    return reduction.total(parts), None
  parts, key_parts = pair_blocks.fold(
    visit,
    reduction.merge,
    queries,
    keys,
    start(queries),
    start(keys) if kind.form == 'both' else None,
    mesh=kind.mesh,
  )
  totals = reduction.total(parts)
  return totals, None if key_parts is None else reduction.total(key_parts)


def _forward(kind, queries, keys, labels, key_labels):
  totals = _totals(kind, queries, keys, labels, key_labels)
  return totals, (queries, keys, labels, key_labels, totals)


def _backward(kind, saved, weights):
  """Gradients of queries and keys: the blocks are made once more."""
  queries, keys, labels, key_labels, totals = saved
  queries = _Rows(queries, labels, totals[0], weights[0])
  keys = _Rows(keys, key_labels, totals[1], weights[1])

  def visit(queries, keys):
    scores, pull = jax.vjp(kind.score, queries.values, keys.values)
    return pull(_slopes(kind.reduction, scores, queries, keys))

  def merge(a, b):
    return jax.tree.map(jnp.add, a, b)

  zeros = functools.partial(jax.tree.map, jnp.zeros_like)
  if kind.form == 'within':
    grads = pair_blocks.fold_within(
      visit, merge, queries, zeros(queries.values), mesh=kind.mesh
    )
    return grads, None, None, None
  grads = pair_blocks.fold(
    visit,
    merge,
    queries,
    keys,
    zeros(queries.values),
    zeros(keys.values),
    mesh=kind.mesh,
  )
  return *grads, None, None


def _slopes(reduction, scores, queries, keys):
  """[B, K] derivative of the weighted totals by the scores."""
  keep = _counted(queries.labels, keys.labels)
  scores = jnp.where(keep, scores, reduction.nothing)
  slopes = queries.weight[:, None] * reduction.slope(
    scores, queries.total[:, None]
  )
  if keys.weight is not None:
    slopes += keys.weight[None, :] * reduction.slope(
      scores, keys.total[None, :]
    )
  return jnp.where(keep, slopes, 0)


_totals.defvjp(_forward, _backward)
