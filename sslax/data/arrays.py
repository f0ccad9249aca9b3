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


def _fetcher(columns):
  @functools.cache
  def tensors():
    tf = sources.tensorflow()
    with tf.init_scope():  # made once, also when called while tracing
      return {key: tf.constant(column) for key, column in columns.items()}

  def fetch(indices):
    tf = sources.tensorflow()
    rows = {key: tf.gather(held, indices) for key, held in tensors().items()}
    return rows | {'index': indices}

  return fetch
