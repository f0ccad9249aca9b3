"""TFRecord files with random access, and sources of serialized examples."""

import glob
import hashlib
import os
import pathlib
import struct
import tempfile
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from sslax import cache
from sslax.data import arrays, host_crops
from sslax.data import source as sources
from sslax.errors import BadInputError

IMAGE_KEYS = ('image', 'image/encoded')
LABEL_KEYS = ('label', 'image/class/label')
_SPLIT_NAMES = {'train': ('train',), 'test': ('test', 'validation')}
_HELD_OUT = 10  # without a split in the pattern every tenth record is test
_LOADED_AT_ONCE = 1000  # records
_HEADER, _FOOTER = 12, 4  # bytes around a record: length and checksums


class Records(NamedTuple):
  """Serialized examples: `get(i)` returns the bytes of number i."""

  num_records: int
  get: Callable[[int], bytes]


class Keys(NamedTuple):
  """Names of the fields of an example; label is None where there is none."""

  image: str
  label: str | None


def load(*, split: str, image_size: int, path: str | None) -> sources.Source:
  """Opens TFRecord files of `tf.train.Example`s.

  The encoded image is the field `image` or `image/encoded`; an integer `label`
  or `image/class/label` is taken where present.

  Args:
    split: 'train' or 'test'.
    image_size: side that evaluation sees, in pixels.
    path: pattern of files, such as `/data/pets-*.tfrecord`. `{split}` in it
      stands for train, and for test or else validation; without it every tenth
      record is held out for testing.

  Raises:
    BadInputError: no file, no record, or no image in it.
  """
  sources.check_split(split)
  files = _files(path, split)
  records = open_files(files)
  if not records.num_records:
    raise BadInputError(f'data.path is {path!r}, whose files hold no records')
  keys = _keys(records.get(0), path)
  if '{split}' not in path:
    records = _subset(records, split)
  names = _class_names(files, keys.label)
  return from_records(
    records, keys, names, split=split, image_size=image_size, name='tfrecord'
  )


def from_records(
  records: Records,
  keys: Keys,
  class_names: tuple[str, ...] | None,
  *,
  split: str,
  image_size: int,
  name: str,
) -> sources.Source:
  """Makes a source of serialized examples, in memory where they are small.

  Args:
    records: random access to the examples.
    keys: names of the fields.
    class_names: of the labels.
    split: for messages.
    image_size: side that evaluation sees, in pixels.
    name: as in `data.name`.
  """
  held = _in_memory(records, keys, name)
  if held is not None:
    return arrays.load(
      *held,
      class_names=class_names,
      image_size=image_size,
      name=name,
      split=split,
    )
  read = _reader(records, keys)
  return sources.Source(
    num_examples=records.num_records,
    fetch=host_crops.fetcher(read, image_size),
    class_names=class_names,
    name=name,
    fingerprint=sources.fingerprint(name, split, records.num_records),
    image_size=image_size,
    read=read,
  )


def open_files(paths: Iterable[str]) -> Records:
  """Opens TFRecord files as one sequence; a record is one seek and one read.

  Raises:
    BadInputError: a file is truncated or is not a TFRecord file.
  """
  paths = [str(path) for path in paths]
  offsets = []
  for number, path in enumerate(paths):
    offsets.append(cached(path, 'offsets', _scan))
    sources.report(number + 1, len(paths), 'files indexed')
  ends = np.cumsum([len(o) - 1 for o in offsets])

  def get(i):
    shard = int(np.searchsorted(ends, i, side='right'))
    k = i - (int(ends[shard - 1]) if shard else 0)
    start, stop = (int(o) for o in offsets[shard][k : k + 2])
    with _open(paths[shard]) as file:
      file.seek(start + _HEADER)
      return file.read(stop - start - _HEADER - _FOOTER)

  return Records(int(ends[-1]) if len(ends) else 0, get)


def cached(path: str, kind: str, build: Callable) -> np.ndarray:
  """Returns build(path), kept in the user's cache until the file changes.

  The cache is sslax/records below XDG_CACHE_HOME or ~/.cache: the folder of
  the data may be read-only.
  """
  stat = sources.tensorflow().io.gfile.stat(path)
  version = f'{os.path.abspath(path)} {stat.length} {stat.mtime_nsec} {kind}'
  digest = hashlib.sha256(version.encode()).hexdigest()[:32]
  kept = cache.folder('records') / f'{digest}.npy'
  try:
    return np.load(kept, allow_pickle=False)
  except (OSError, ValueError, EOFError):  # absent, or not ours
    array = build(path)
  try:
    _write(kept, array)
  except OSError as error:
    sources.log.warning('%s is not cached: %s', kind, error)
  return array


def _write(path: pathlib.Path, array: np.ndarray) -> None:
  """Writes a whole file or none, whatever else writes it at the same time."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
    np.save(file, array, allow_pickle=False)
  os.replace(file.name, path)


def _scan(path: str) -> np.ndarray:
  """Returns where each record starts, and where the last ends: int64 [N + 1].

  A record is its length (8 bytes) and a checksum of it (4), then the data and
  a checksum (4).
  """
  size = sources.tensorflow().io.gfile.stat(path).length
  offsets = [0]
  with _open(path) as file:
    while offsets[-1] < size:
      file.seek(offsets[-1])
      header = file.read(_HEADER)
      whole = len(header) == _HEADER
      length = struct.unpack('<Q', header[:8])[0] if whole else size
      offsets.append(offsets[-1] + _HEADER + length + _FOOTER)
  if offsets[-1] != size:
    raise BadInputError(
      f'{path} is truncated or is not an uncompressed TFRecord file: record'
      f' {len(offsets) - 2} ends beyond the file'
    )
  return np.array(offsets, np.int64)


def _open(path: str):
  if '://' in path:
    return sources.tensorflow().io.gfile.GFile(path, 'rb')
  return open(path, 'rb')


def _files(path: str | None, split: str) -> list[str]:
  if not path:
    raise BadInputError(
      'data.name is tfrecord, but data.path is not set; a pattern of files'
      ' such as /data/pets-{split}-*.tfrecord would be right'
    )
  find = sources.tensorflow().io.gfile.glob if '://' in path else glob.glob
  for name in _SPLIT_NAMES[split]:
    files = sorted(find(path.replace('{split}', name)))
    if files:
      return files
  raise BadInputError(
    f'data.path is {path!r}, which matches no file for {split}'
  )


def _subset(records: Records, split: str) -> Records:
  number = np.arange(records.num_records)
  held_out = number % _HELD_OUT == _HELD_OUT - 1
  rows = number[held_out if split == 'test' else ~held_out]
  if not len(rows):
    raise BadInputError(
      f'the files hold {records.num_records} records, too few to hold out'
      f' every tenth for testing; name test files by {{split}} in data.path'
    )
  return Records(len(rows), lambda i: records.get(int(rows[i])))


def _keys(serialized: bytes, path: str) -> Keys:
  """Finds the fields of an example by the usual names."""
  tf = sources.tensorflow()
  try:
    fields = tf.train.Example.FromString(serialized).features.feature
  except Exception as error:  # protobuf's own DecodeError is private
    raise BadInputError(
      f'data.path is {path!r}, whose records are not tf.train.Examples'
    ) from error
  # Asking the map for an absent key would add it.
  present = [key for key in IMAGE_KEYS + LABEL_KEYS if key in fields]
  images = [key for key in present if fields[key].bytes_list.value]
  if not images:
    raise BadInputError(
      f'data.path is {path!r}, whose examples hold no image as bytes under'
      f' {" or ".join(IMAGE_KEYS)}; they hold {", ".join(sorted(fields))}'
    )
  labels = [key for key in present if fields[key].int64_list.value]
  return Keys(images[0], labels[0] if labels else None)


def _class_names(files: list[str], key: str | None):
  """Numbers the classes up to the largest label of all files."""
  if key is None:
    return None
  tf = sources.tensorflow()
  spec = {key: tf.io.FixedLenFeature([], tf.int64)}

  def labels(path):
    rows = tf.data.TFRecordDataset(path).batch(1024)
    rows = rows.map(lambda data: tf.io.parse_example(data, spec)[key])
    found = list(rows.as_numpy_iterator())
    return np.concatenate(found) if found else np.zeros([0], np.int64)

  largest = max(cached(f, key, labels).max(initial=-1) for f in files)
  return tuple(str(k) for k in range(largest + 1))


def _spec(keys: Keys) -> dict:
  tf = sources.tensorflow()
  spec = {keys.image: tf.io.FixedLenFeature([], tf.string)}
  if keys.label is not None:
    spec[keys.label] = tf.io.FixedLenFeature([], tf.int64)
  return spec


def _row(example: dict, keys: Keys) -> dict:
  tf = sources.tensorflow()
  row = {'encoded': example[keys.image]}
  if keys.label is not None:
    row['label'] = tf.cast(example[keys.label], tf.int32)
  return row


def _reader(records: Records, keys: Keys) -> Callable:
  tf = sources.tensorflow()

  def get(i):
    return records.get(int(i))

  def read(index):
    data = tf.numpy_function(get, [index], tf.string, stateful=False)
    data = tf.ensure_shape(data, [])
    example = tf.io.parse_single_example(data, _spec(keys))
    return _row(example, keys) | {'index': index}

  return read


def _in_memory(records: Records, keys: Keys, name: str):
  """Returns images and labels, or None if large or of different shapes."""
  tf = sources.tensorflow()
  first = _reader(records, keys)(tf.constant(0, tf.int64))
  shape = host_crops.decode(first['encoded']).shape
  if not sources.fits_in_memory(records.num_records, *shape[:2]):
    return None

  def get(numbers):
    return np.array([records.get(int(i)) for i in numbers], object)

  def parsed(numbers):  # by batch, which saves most of the time
    data = tf.numpy_function(get, [numbers], tf.string, stateful=False)
    example = tf.io.parse_example(tf.ensure_shape(data, [None]), _spec(keys))
    return _row(example, keys)

  def decoded(row):
    image = tf.ensure_shape(host_crops.decode(row.pop('encoded')), shape)
    return row | {'image': image}

  rows = tf.data.Dataset.range(records.num_records).batch(_LOADED_AT_ONCE)
  rows = rows.map(parsed).unbatch().map(decoded, tf.data.AUTOTUNE)
  rows = rows.batch(_LOADED_AT_ONCE).prefetch(1).as_numpy_iterator()
  try:
    return _collect(rows, records.num_records, name)
  except tf.errors.InvalidArgumentError as error:
    sources.log.info('%s is read by record: %s', name, error.message)
    return None


def _collect(batches, count: int, name: str) -> list[np.ndarray]:
  parts = []
  for batch in batches:
    parts.append(batch)
    done = min(len(parts) * _LOADED_AT_ONCE, count)
    sources.report(done, count, f'{name} loaded')
  keys = [key for key in ('image', 'label') if key in parts[0]]
  return [np.concatenate([part[key] for part in parts]) for key in keys]
