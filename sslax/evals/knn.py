"""Weighted nearest-neighbor classification of frozen features, exact."""

import functools

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from sslax import shapes
from sslax.errors import nearest
from sslax.ops.distance import normalize
from sslax.ops.precision import at_least_float32

__all__ = ['knn', 'knn_accuracy', 'neighbors']

_DISTANCES = ('cosine', 'dot', 'euclidean')
# Rows of the bank that are compared at a time, on each device.
_BLOCK_SIZE = 1 << 17


def neighbors(train, test, *, k, distance='cosine', chunk_size=256):
  """The k nearest rows of `train` for every row of `test`, nearest first.

  Memory is chunk_size · min(N, 131072) similarities on each device, beside
  the features. A `train` that is split over devices by rows stays where it
  is: each device finds its own k, and only those are gathered.

  Args:
    train: [N, D], any scale.
    test: [M, D], any scale.
    k: number of neighbors; at most N are returned.
    distance: 'cosine' (rows are normalized here), 'dot' (rows as they are) or
      'euclidean'.
    chunk_size: test rows that are compared at a time.

  Returns:
    (closeness [M, k], indices [M, k] into train): the cosine in [-1, 1], the
    product, or the Euclidean distance. Of equal rows the first comes first.

  Raises:
    ValueError: the shapes differ, an unknown distance, or k or N below 1.

  >>> import numpy as np
  >>> train = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
  >>> closeness, indices = neighbors(train, np.array([[2.0, 0.0]]), k=2)
  >>> indices.tolist(), [round(c, 4) for c in closeness[0].tolist()]
  ([[0, 2]], [1.0, 0.6])
  """
  shapes.check(train=(train, 'N D'), test=(test, 'M D'))
  if distance not in _DISTANCES:
    valid = nearest(str(distance), _DISTANCES)
    raise ValueError(f'distance is {distance!r}{valid}')
  if k < 1 or not len(train) or chunk_size < 1:
    raise ValueError(
      f'k={k}, chunk_size={chunk_size} and the {len(train)} rows of train must'
      ' be at least 1'
    )
  return _neighbors(
    *at_least_float32(train, test),
    k=min(k, len(train)),
    distance=distance,
    chunk_size=min(chunk_size, max(len(test), 1)),
    split=_split_of(train),
  )


def _split_of(train):
  """(mesh, axes) that the rows of an array are split over, or None."""
  if isinstance(train, jax.core.Tracer) or not isinstance(train, jax.Array):
    return None
  sharding = train.sharding
  if not isinstance(sharding, NamedSharding) or not any(sharding.spec[:1]):
    return None
  return sharding.mesh, sharding.spec[0]


@functools.partial(
  jax.jit, static_argnames=('k', 'distance', 'chunk_size', 'split')
)
def _neighbors(train, test, *, k, distance, chunk_size, split):
  if distance == 'cosine':
    train, test = normalize(train), normalize(test)
  if distance == 'euclidean':
    # Around the mean the expansion of ‖x − y‖² loses fewer digits.
    mean = jnp.mean(train, 0, keepdims=True)
    train, test = train - mean, test - mean
  search = functools.partial(
    _search, k=k, distance=distance, chunk_size=chunk_size
  )
  if split is not None:
    # Left to itself the compiler gathers all similarities before a top-k.
    mesh, axes = split
    search = jax.shard_map(
      search,
      mesh=mesh,
      in_specs=(PartitionSpec(axes), PartitionSpec()),
      out_specs=PartitionSpec(axes),
      check_vma=False,
    )
  closeness, indices = _merge_parts(*search(train, test), len(train), k)
  if distance == 'euclidean':
    squared = jnp.sum(test * test, -1)[:, None] - closeness
    closeness = jnp.sqrt(jnp.maximum(squared, 0))
  return closeness, indices


def _search(part, test, *, k, distance, chunk_size):
  """The top k within one part of the bank: ([1, M, k], [1, M, k])."""
  num_test, width = test.shape
  test = jnp.pad(test, ((0, -num_test % chunk_size), (0, 0)))
  chunks = test.reshape(-1, chunk_size, width)
  blocks = _blocks(part)
  look = functools.partial(_search_chunk, blocks, len(part), k, distance)
  found = jax.lax.map(look, chunks)
  return jax.tree.map(
    lambda a: a.reshape(1, -1, a.shape[-1])[:, :num_test], found
  )


def _blocks(part):
  """[N, D] -> [blocks, rows, D]; the last block is filled with zeros."""
  rows, width = part.shape
  num_blocks = -(-rows // _BLOCK_SIZE)
  part = jnp.pad(part, ((0, -rows % num_blocks), (0, 0)))
  return part.reshape(num_blocks, -1, width)


def _search_chunk(blocks, num_rows, k, distance, chunk):
  """The top k of [C, D] rows, block after block: ([C, k], [C, k])."""
  num_blocks, size, _ = blocks.shape
  k = min(k, num_rows)

  def look(found, block_and_offset):
    block, offset = block_and_offset
    indices = offset + jnp.arange(size, dtype=jnp.int32)
    similarity = _similarity(chunk, block, distance)
    similarity = jnp.where((indices < num_rows)[None, :], similarity, -jnp.inf)
    values, order = jax.lax.top_k(similarity, min(k, size))
    values = jnp.concatenate([found[0], values], -1)
    return _top(values, jnp.concatenate([found[1], indices[order]], -1), k), ()

  shape = len(chunk), k
  nothing = jnp.full(shape, -jnp.inf, chunk.dtype), jnp.zeros(shape, jnp.int32)
  offsets = jnp.arange(num_blocks, dtype=jnp.int32) * size
  return jax.lax.scan(look, nothing, (blocks, offsets))[0]


def _similarity(chunk, block, distance):
  """[C, D], [R, D] -> [C, R], higher is nearer."""
  products = jnp.matmul(chunk, block.T, precision='highest')
  if distance == 'euclidean':
    return 2 * products - jnp.sum(block * block, -1)[None, :]
  return products


def _top(values, indices, k):
  """Keeps the k highest; of equal ones those that stand first."""
  values, order = jax.lax.top_k(values, k)
  return values, jnp.take_along_axis(indices, order, -1)


def _merge_parts(values, indices, num_train, k):
  """[S, M, k] of each part's rows -> [M, k] of all."""
  num_parts, num_test, _ = values.shape
  rows = num_train // num_parts
  indices += rows * jnp.arange(num_parts, dtype=jnp.int32)[:, None, None]
  values, indices = (
    jnp.moveaxis(a, 0, 1).reshape(num_test, -1) for a in (values, indices)
  )
  return _top(values, indices, k)


def knn(
  train,
  train_labels,
  test,
  *,
  num_classes,
  k=200,
  temperature=0.07,
  distance='cosine',
  eps=1e-5,
  chunk_size=256,
):
  """Weighted kNN: each of the k nearest neighbors votes for its class.

  Votes weigh exp(cosine / temperature), or 1 / (d + eps) for the Euclidean
  distance d.

  Args:
    train: [N, D] features, any scale; may be split over devices by rows.
    train_labels: [N] int in [0, num_classes).
    test: [M, D] features, any scale.
    num_classes: K.
    k: number of neighbors; all of train where it has fewer rows.
    temperature: positive; float32 overflows below 0.012 (`knn_accuracy` does
      not).
    distance: 'cosine' (rows are normalized here), 'dot' or 'euclidean'.
    eps: of the Euclidean weight.
    chunk_size: test rows that are compared at a time.

  Returns:
    [M, K] sums of votes, in at least float32.

  Raises:
    ValueError: shapes that do not fit, a label out of range, or an unknown
      distance.

  References:
    Wu et al., Unsupervised feature learning via non-parametric instance
    discrimination, https://arxiv.org/abs/1805.01978, 2018, section 3.4.
    The Euclidean form is solo-learn's,
    https://github.com/vturrisi/solo-learn, solo/utils/knn.py.

  >>> import numpy as np
  >>> train, labels = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 1])
  >>> test = np.array([[2.0, 0.0]])
  >>> scores = knn(train, labels, test, num_classes=2, temperature=1.0)
  >>> [round(s, 4) for s in scores[0].tolist()]
  [2.7183, 1.0]
  """
  _check_labels(train=train, labels=train_labels, num_classes=num_classes)
  closeness, indices = neighbors(
    train, test, k=k, distance=distance, chunk_size=chunk_size
  )
  if distance == 'euclidean':
    weights = 1 / (closeness + eps)
  else:
    weights = jnp.exp(closeness / temperature)
  return _count(weights, jnp.asarray(train_labels)[indices], num_classes)


def _check_labels(*, train, labels, num_classes):
  shapes.check(train=(train, 'N D'), labels=(labels, 'N'))
  if isinstance(labels, jax.core.Tracer) or not len(labels):
    return
  low, high = int(jnp.min(labels)), int(jnp.max(labels))
  if low < 0 or high >= num_classes:
    raise ValueError(
      f'labels lie in [{low}, {high}]; with num_classes={num_classes} they must'
      f' lie in [0, {num_classes - 1}]'
    )


@functools.partial(jax.jit, static_argnames='num_classes')
def _count(weights, labels, num_classes):
  """Sums [M, k] weights by class: [M, K]."""
  rows = jnp.arange(len(labels))[:, None]
  scores = jnp.zeros((len(labels), num_classes), weights.dtype)
  return scores.at[rows, labels].add(weights)


def knn_accuracy(
  train,
  train_labels,
  test,
  test_labels,
  *,
  num_classes,
  k=200,
  temperature=0.07,
  distance='cosine',
  eps=1e-5,
  chunk_size=256,
):
  """Accuracy of weighted kNN, among the first class and the first five.

  Args:
    train: [N, D] features, any scale; may be split over devices by rows.
    train_labels: [N] int in [0, num_classes).
    test: [M, D] features, any scale.
    test_labels: [M] int in [0, num_classes).
    num_classes: K.
    k: number of neighbors; all of train where it has fewer rows.
    temperature: positive.
    distance: 'cosine', 'dot' or 'euclidean'.
    eps: of the Euclidean weight.
    chunk_size: test rows that are compared at a time.

  Returns:
    {'top1': share in [0, 1], 'top5': share in [0, 1]}. Of equal scores the
    lower class comes first; top5 looks at min(5, k) classes.

  Raises:
    ValueError: as `knn`, or no test rows.

  >>> import numpy as np
  >>> x, y = np.eye(3), np.arange(3)
  >>> knn_accuracy(x, y, x, y[[0, 1, 1]], num_classes=3, k=3)
  {'top1': 0.6666666666666666, 'top5': 1.0}
  """
  _check_labels(train=test, labels=test_labels, num_classes=num_classes)
  if not len(test_labels):
    raise ValueError('test has no rows')
  _check_labels(train=train, labels=train_labels, num_classes=num_classes)
  closeness, indices = neighbors(
    train, test, k=k, distance=distance, chunk_size=chunk_size
  )
  if distance == 'euclidean':
    weights = 1 / (closeness + eps)
  else:  # relative to the nearest, so that it cannot overflow
    weights = jnp.exp((closeness - closeness[:, :1]) / temperature)
  scores = _count(weights, jnp.asarray(train_labels)[indices], num_classes)
  rank = _rank(scores, jnp.asarray(test_labels))
  num_classes_seen = min(5, closeness.shape[1])
  return {
    'top1': int(jnp.sum(rank < 1)) / len(rank),
    'top5': int(jnp.sum(rank < num_classes_seen)) / len(rank),
  }


@jax.jit
def _rank(scores, labels):
  """The place of the true class, from 0; of equal scores the lower first."""
  classes = jnp.arange(scores.shape[1], dtype=labels.dtype)[None, :]
  own = jnp.take_along_axis(scores, labels[:, None], 1)
  first = (scores > own) | ((scores == own) & (classes < labels[:, None]))
  return jnp.sum(first, -1)
