"""From a source to batches on the host; order is a function of the step."""

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sslax.data.host_crops import (
  HostCrops,
  center_square,
  center_squares,
  random_crops,
)
from sslax.data.source import Source, tensorflow
from sslax.errors import BadInputError

_BATCHES_AHEAD = 2

Batches = Iterator[dict[str, np.ndarray]]


def batches(
  source: Source,
  *,
  batch_size: int,
  seed: int,
  start_step: int = 0,
  host_crops: Sequence[HostCrops] = (),
  process_index: int = 0,
  process_count: int = 1,
) -> Batches:
  """Yields this process's share of the batches of step start_step, and on.

  Example i of the stream (i = step * batch_size + position) and its host crops
  depend on (seed, i) alone, so that there is no state to save: a stream
  started at any step, on any number of processes, gives the same examples.
  Every epoch of N examples shows each exactly once.

  Args:
    source: from `source.load` or `arrays.load`.
    batch_size: B, of all processes together.
    seed: of the order and of the host crops.
    start_step: step of the first batch.
    host_crops: the kinds of crops of large images. Without any, `image` is
      [n, H, W, 3] and all augmentation is left to the device; with them it is
      a tuple with [n, V, S, S, 3] for each kind.
    process_index: p; this process takes positions p B / P to (p + 1) B / P.
    process_count: P; divides B.

  Yields:
    Dicts of numpy arrays of B / P rows: what the source holds (`image` uint8,
    ...), `index` int64, and `label` int32 where the source has labels.

  Raises:
    BadInputError: the source has fewer examples than a batch, or the
      processes cannot share a batch equally.
  """
  share = _share(batch_size, process_count)
  if source.num_examples < batch_size:
    raise BadInputError(
      f'batch_size is {batch_size}, but {source.fingerprint} has only'
      f' {source.num_examples} examples; a batch_size of at most'
      f' {source.num_examples} would be right'
    )
  tf = tensorflow()
  first = process_index * share

  def stream(step):
    return step * batch_size + first + tf.range(share, dtype=tf.int64)

  def fetch(i):
    return source.fetch(shuffled(i, source.num_examples, seed))

  def read(i):
    record = _reader(source)(shuffled(i[None], source.num_examples, seed)[0])
    if not host_crops:
      return _replaced(record, center_square(record, source.image_size))
    key = tf.stack([tf.constant(seed, tf.int64), i])
    return _replaced(record, random_crops(record, host_crops, key))

  steps = tf.data.Dataset.counter(start_step).map(stream)
  by_batch = source.read is None and not host_crops
  return _iterate(
    _examples(steps, fetch if by_batch else read, by_batch, share)
  )


def epoch(
  source: Source,
  *,
  batch_size: int,
  image_size: int | None = None,
  process_index: int = 0,
  process_count: int = 1,
) -> Batches:
  """Yields every example once, in order of index, for evaluation.

  Images and videos of another size are center-cropped: the shorter side stands
  for image_size * 256 / 224 pixels, and the middle square of image_size is
  kept; what is smaller is enlarged.

  Args:
    source: from `source.load` or `arrays.load`.
    batch_size: B, of all processes together.
    image_size: S; default the source's own `image_size`.
    process_index: p; this process takes positions p B / P to (p + 1) B / P.
    process_count: P; divides B.

  Yields:
    Dicts as from `batches`, with `image` [B / P, S, S, 3] and `mask` bool: the
    last batch is padded with repetitions of the last example, where `mask` is
    False, so that all processes get the same number of batches.

  Raises:
    BadInputError: the processes cannot share a batch equally.
  """
  share = _share(batch_size, process_count)
  tf = tensorflow()
  last = source.num_examples - 1
  size = image_size or source.image_size

  def positions(step):
    first = step * batch_size + process_index * share
    return first + tf.range(share, dtype=tf.int64)

  def fetch(i):
    rows = source.fetch(tf.minimum(i, last))
    squares = {
      key: center_squares(rows[key], size)
      for key in ('image', 'video')
      if key in rows
    }
    return rows | squares | {'mask': i <= last}

  def read(i):
    record = source.read(tf.minimum(i, last))
    row = _replaced(record, center_square(record, size))
    return row | {'mask': i <= last}

  num_batches = -(-source.num_examples // batch_size)
  steps = tf.data.Dataset.range(num_batches).map(positions)
  by_batch = source.read is None
  return _iterate(
    _examples(steps, fetch if by_batch else read, by_batch, share)
  )


def shuffled(i, num_examples: int, seed: int):
  """Returns the index in the source of each example of the stream.

  Args:
    i: tf int64 [n], numbers in the stream.
    num_examples: N.
    seed: of the order.
  """
  tf = tensorflow()
  epochs = i // num_examples
  seeds = [tf.fill(tf.shape(i), tf.constant(seed, tf.int64)), epochs]
  return tf.raw_ops.RandomIndexShuffle(
    index=i % num_examples,
    seed=tf.stack([*seeds, tf.zeros_like(i)], axis=1),
    max_index=tf.constant(num_examples - 1, tf.int64),
  )


def _share(batch_size: int, process_count: int) -> int:
  if batch_size < 1 or batch_size % process_count:
    below = batch_size // process_count * process_count
    valid = [n for n in (below, below + process_count) if n > 0]
    raise BadInputError(
      f'batch_size is {batch_size}, which {process_count} processes cannot'
      f' share equally; the nearest that they can:'
      f' {" or ".join(map(str, valid))}'
    )
  return batch_size // process_count


def _examples(steps, make: Callable, by_batch: bool, share: int):
  """Maps the numbers of each batch to its examples, whole or one by one."""
  tf = tensorflow()
  options = tf.data.Options()
  options.deterministic = True
  parallel = {'num_parallel_calls': tf.data.AUTOTUNE, 'deterministic': True}
  if by_batch:
    rows = steps.map(make, **parallel)
  else:
    rows = steps.unbatch().map(make, **parallel)
    rows = rows.batch(share, drop_remainder=True)
  return rows.prefetch(_BATCHES_AHEAD).with_options(options)


def _iterate(dataset) -> Batches:
  """Yields numpy batches; what a source found wrong stays one sentence."""
  op_error = tensorflow().errors.OpError  # held: interpreters unload modules
  try:
    yield from dataset.as_numpy_iterator()
  except op_error as error:
    said = re.search(r'BadInputError: (.*)', str(error))
    if said is None:
      raise
    raise BadInputError(said.group(1)) from None


def _reader(source: Source) -> Callable:
  """Returns reading by one index, also for a source held in memory."""
  if source.read is not None:
    return source.read
  return lambda index: {
    key: rows[0] for key, rows in source.fetch(index[None]).items()
  }


def _replaced(record: dict, image) -> dict:
  """Puts a crop in the place of what a record holds of its image."""
  rest = {k: v for k, v in record.items() if k not in ('image', 'encoded')}
  return rest | {'image': image}
