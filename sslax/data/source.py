"""What a source of examples is, and how one is found by name."""

import functools
import importlib
import logging
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from sslax.errors import BadInputError, nearest

SPLITS = ('train', 'test')
LARGEST_SIDE_IN_MEMORY = 128  # larger images are best cropped on the host
_LARGEST_IN_MEMORY = 2**30  # bytes of decoded uint8
WORDS = {  # key of a batch: what its rows are called
  'image': 'images',
  'video': 'videos',
  'audio': 'sounds',
  'text': 'texts',
}
_OPTIONS = {  # sources that are modules of their own: what each is told
  'photos': ('image_size', 'seed'),
  'photo_clips': ('image_size', 'clip_frames', 'seed'),
  'sounds': ('seed',),
  'python_docs': ('vocabulary', 'text_length'),
  'captioned_photos': ('image_size', 'vocabulary', 'text_length', 'seed'),
  'folder': ('image_size', 'path', 'labels'),
  'tfrecord': ('image_size', 'path'),
}
_TFDS_OPTIONS = (
  'image_size', 'dir', 'labels', 'vocabulary', 'text_length', 'clip_frames'
)  # fmt: skip
_REPORT_EVERY = 2000  # files or records between two lines of progress

log = logging.getLogger('sslax.data')


class Source(NamedTuple):
  """Examples that can be read in any order, by index.

  An example is an image, a video, a sound, a text, or an image with a text.

  Attributes:
    num_examples: N; indices are 0 to N - 1.
    fetch: (tf int64 indices [n]) -> dict of tf tensors: `index` int64 [n],
      `label` int32 [n] where known, and of these what `holds` names:
      `image` uint8 [n, H, W, 3] (held in memory, images have their own size;
      otherwise they are center-cropped to `image_size`), `video` uint8
      [n, T, H, W, 3], `audio` int16 [n, T] of one channel, `text` int32 [n, L]
      (tokens, 0 is padding); of pairs of texts also `text2` int32 [n, L] and
      `score` float32 [n].
    class_names: of the labels, or None where there are none.
    name: as in `data.name`.
    fingerprint: name, split and count, for messages.
    image_size: the side that was asked for.
    read: None where the images are held in memory and share one shape.
      Otherwise (tf int64 index []) -> dict of one record: `image` uint8
      [h, w, 3] of any size, or `encoded`, the bytes of an image file; `index`
      and `label` as above.
    paths: where each example comes from, for folders.
    holds: keys of a batch beside `index` and `label`.
    sample_rate: samples of `audio` a second, where known.
    tokenizer: sslax.data.tokens.Tokenizer of `text`.
    prompts: for each class, texts that say it ('a photo of a cat').
  """

  num_examples: int
  fetch: Callable
  class_names: tuple[str, ...] | None
  name: str
  fingerprint: str
  image_size: int | None = None
  read: Callable | None = None
  paths: tuple[str, ...] | None = None
  holds: tuple[str, ...] = ('image',)
  sample_rate: int | None = None
  tokenizer: Any = None
  prompts: tuple[tuple[str, ...], ...] | None = None


def load(
  name: str,
  *,
  split: str,
  image_size: int | None,
  dir: str | None = None,
  path: str | None = None,
  labels: str | None = None,
  text: str | None = None,
  vocabulary: int = 4096,
  text_length: int = 32,
  clip_frames: int = 16,
  seed: int = 0,
) -> Source:
  """Opens a source by name.

  Args:
    name: a module of this package (`builtin_names`), or a TFDS name (`cifar10`,
      `tfds:imagenet2012`, `name/config:1.0.0`).
    split: 'train' or 'test'.
    image_size: side of the images that the networks will see, in pixels; None
      where there are none.
    dir: where TFDS sets lie; default the variable TFDS_DATA_DIR, then
      ~/tensorflow_datasets.
    path: the folder, or the files as a pattern for `tfrecord`.
    labels: 'folders' takes the names of sub-folders as labels, for `folder`;
      the name of a class label, for TFDS.
    text: 'labels' makes a text of the name of each label.
    vocabulary: tokens at most, where there is text.
    text_length: tokens of a text at most.
    clip_frames: frames of a video.
    seed: of the crops of `photos`, and of all that is made up.

  Raises:
    BadInputError: there is no such source, or it cannot be read.
  """
  check_split(split)
  given = {
    'image_size': image_size, 'dir': dir, 'path': path, 'labels': labels,
    'vocabulary': vocabulary, 'text_length': text_length,
    'clip_frames': clip_frames, 'seed': seed,
  }  # fmt: skip
  if name == 'arrays':
    raise BadInputError(
      "data.name is 'arrays', which needs arrays in memory: call"
      ' sslax.data.arrays.load(images, labels) from Python'
    )
  known = name in _OPTIONS
  module = importlib.import_module(f'sslax.data.{name if known else "tfds"}')
  options = {k: given[k] for k in _OPTIONS.get(name, _TFDS_OPTIONS)}
  first = () if known else (name,)
  source = module.load(*first, split=split, **options)
  if text is None:
    return source
  if text != 'labels':
    raise BadInputError(f'data.text is {text!r}' + nearest(text, ('labels',)))
  captions = importlib.import_module('sslax.data.captions')
  return captions.of_labels(source, vocabulary=vocabulary, length=text_length)


def builtin_names() -> tuple[str, ...]:
  """Returns the names that are not TFDS's."""
  return tuple(_OPTIONS)


def check_split(split: str) -> None:
  """Refuses a split other than 'train' or 'test'.

  Raises:
    BadInputError: naming the nearest.
  """
  if split not in SPLITS:
    raise BadInputError(f'split is {split!r}' + nearest(split, SPLITS))


def check_holds(source: Source, key: str, wanted_by: str) -> None:
  """Refuses a source that does not hold what something reads.

  Args:
    source: to look at.
    key: of a batch, such as 'video'.
    wanted_by: what reads it, in words, for the message.

  Raises:
    BadInputError: naming what the source holds.
  """
  if key not in source.holds:
    raise BadInputError(
      f'{wanted_by} reads {WORDS.get(key, key)}, and data.name={source.name}'
      f' holds none; it holds {" and ".join(source.holds)}'
    )


def fits_in_memory(count: int, height: int, width: int) -> bool:
  """Returns whether RGB images of one shape are held in memory as uint8."""
  small = max(height, width) <= LARGEST_SIDE_IN_MEMORY
  return small and count * height * width * 3 <= _LARGEST_IN_MEMORY


def fingerprint(name: str, split: str, count: int, what: str = 'images') -> str:
  """Returns what a source is, in one line."""
  return f'{name} {split} ({count:,} {what})'


def report(done: int, total: int, what: str) -> None:
  """Logs a line of progress now and then, for long preparations only."""
  if total > _REPORT_EVERY and (done % _REPORT_EVERY == 0 or done == total):
    log.info('%s: %s of %s', what, f'{done:,}', f'{total:,}')


@functools.cache
def tensorflow():
  """Imports TensorFlow on first use: quiet, and leaving GPUs to JAX."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')  # else it says so
  import tensorflow as tf

  try:
    tf.config.set_visible_devices([], 'GPU')
  except RuntimeError:  # the caller's TensorFlow already runs on its devices
    log.warning('TensorFlow was started before sslax and may hold GPU memory')
  return tf
