"""Examples that are numpy arrays in memory."""

import functools
from collections.abc import Mapping

import numpy as np

from sslax.data import source as sources
from sslax.errors import BadInputError
from sslax.shapes import check


def load(
  images: np.ndarray,
  labels: np.ndarray | None = None,
  *,
  class_names: tuple[str, ...] | None = None,
  image_size: int | None = None,
  name: str = 'arrays',
  split: str = 'train',
) -> sources.Source:
  """Makes a source of arrays.

  Args:
    images: [N, H, W, 3] uint8, 0 to 255.
    labels: [N] integers from 0, or None.
    class_names: one a label; default the numbers.
    image_size: side that evaluation sees; default H.
    name: for messages.
    split: for messages.

  Raises:
    BadInputError: images are not uint8, are none, or labels have no names.
    ValueError: a shape does not fit.
  """
  sizes = check(images=(images, 'N H W 3'))
  if images.dtype != np.uint8:
    raise BadInputError(
      f'images have dtype {images.dtype}; uint8 from 0 to 255 would be right'
    )
  if not len(images):
    raise BadInputError(f'{name} holds no images; at least one is needed')
  if labels is not None:
    check(images=(images, 'N H W 3'), labels=(labels, 'N'))
  return of_columns(
    {'image': images},
    labels,
    class_names=class_names,
    name=name,
    split=split,
    image_size=image_size or sizes['H'],
  )


def of_columns(
  columns: Mapping[str, np.ndarray],
  labels: np.ndarray | None = None,
  *,
  class_names: tuple[str, ...] | None = None,
  name: str = 'arrays',
  split: str = 'train',
  **fields,
) -> sources.Source:
  """Makes a source of columns of any modality, all of N rows.

  Args:
    columns: by the keys of a batch, such as `video` uint8 [N, T, H, W, 3],
      `audio` int16 [N, T] or `text` int32 [N, L]; see Source.
    labels: as in `load`.
    class_names: as in `load`.
    name: for messages.
    split: for messages.
    **fields: others of Source, such as `sample_rate`.

  Raises:
    BadInputError: labels have no names.
  """
  holds = tuple(columns)
  if labels is None:
    class_names = None
  else:
    class_names = _class_names(np.asarray(labels), class_names)
    columns = {**columns, 'label': np.asarray(labels, np.int32)}
  (count,) = {len(column) for column in columns.values()}
  return sources.Source(
    num_examples=count,
    fetch=_fetcher(columns),
    class_names=class_names,
    name=name,
    fingerprint=sources.fingerprint(
      name, split, count, sources.WORDS[holds[0]]
    ),
    holds=holds,
    **fields,
  )


def of_windows(
  frames: np.ndarray,
  starts: np.ndarray,
  num_frames: int,
  labels: np.ndarray | None = None,
  **about,
) -> sources.Source:
  """Makes a source of windows of videos, which may overlap.

  Args:
    frames: [F, H, W, 3] uint8, all videos one after the other.
    starts: [N] first frame of each window.
    num_frames: of a window.
    labels: as in `load`.
    **about: others of `of_columns`.
  """
  check(frames=(frames, 'F H W 3'), starts=(starts, 'N'))
  source = of_columns({'video': np.asarray(starts)}, labels, **about)
  held = _held({'frames': frames})

  def fetch(indices):
    tf = sources.tensorflow()
    rows = source.fetch(indices)
    shown = rows['video'][:, None] + tf.range(num_frames, dtype=tf.int64)[None]
    return rows | {'video': tf.gather(held()['frames'], shown)}

  return source._replace(fetch=fetch)


def beside(
  source: sources.Source,
  columns: Mapping[str, np.ndarray],
  *,
  by: str = 'index',
  **fields,
) -> sources.Source:
  """Adds columns to any source.

  Args:
    source: to add to.
    columns: by the keys of a batch.
    by: key of the source whose value is the row of the columns: `index`, or
      `label` for columns of one row a class.
    **fields: of Source, to replace.
  """
  held = _held(columns)

  def joined(get):
    def rows_of(i):
      tf, rows = sources.tensorflow(), get(i)
      added = {k: tf.gather(v, rows[by]) for k, v in held().items()}
      return rows | added

    return rows_of

  return source._replace(
    fetch=joined(source.fetch),
    read=source.read and joined(source.read),
    holds=(*source.holds, *columns),
    **fields,
  )


def _class_names(labels, class_names):
  if not np.issubdtype(labels.dtype, np.integer) or labels.min() < -1:
    raise BadInputError(
      f'labels have dtype {labels.dtype} and least value {labels.min()};'
      ' integers from 0 would be right (-1 where unknown)'
    )
  if class_names is None:
    return tuple(str(k) for k in range(labels.max() + 1))
  if labels.max() >= len(class_names):
    raise BadInputError(
      f'the largest label is {labels.max()}, but class_names has'
      f' {len(class_names)} names; one a label would be right'
    )
  return tuple(class_names)


def _held(columns):
  """Returns a function that gives the columns as tensors, made once."""

  @functools.cache
  def tensors():
    tf = sources.tensorflow()
    with tf.init_scope():  # also when called while tracing
      return {key: tf.constant(column) for key, column in columns.items()}

  return tensors


def _fetcher(columns):
  held = _held(columns)

  def fetch(indices):
    tf = sources.tensorflow()
    rows = {key: tf.gather(column, indices) for key, column in held().items()}
    return rows | {'index': indices}

  return fetch
