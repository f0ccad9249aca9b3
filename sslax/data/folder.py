"""A folder of images, with or without labels."""

import concurrent.futures
import hashlib
import os
import pathlib
import threading

import numpy as np
from PIL import ExifTags, Image, ImageOps

from sslax.data import arrays, host_crops
from sslax.data import source as sources
from sslax.errors import BadInputError, nearest

EXTENSIONS = ('bmp', 'gif', 'jpeg', 'jpg', 'png', 'tif', 'tiff', 'webp')
_TEST_FOLDERS = ('test', 'val', 'validation')
_HELD_OUT = 10  # without a test folder, one image in ten
_LEAST_LIMIT, _BAD_SHARE = 10, 0.01  # files that may be unreadable
_NUM_THREADS = 8
_ROTATED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
# Pillow says that a file is no image, or a broken one, in all these ways.
_UNREADABLE = (
  OSError,
  SyntaxError,
  ValueError,
  EOFError,
  Image.DecompressionBombError,
)


def load(
  *,
  split: str,
  image_size: int,
  path: str | None,
  labels: str | None = None,
) -> sources.Source:
  """Opens a folder of images, found at any depth, in sorted order.

  If it has a sub-folder `train`, that is the train split, and `test` (or
  `val`, or `validation`) beside it the test split. Where there is no test
  folder, one image in ten is held out for testing, chosen by a hash of its
  relative path, so that the choice stays as images are added.

  Images become RGB: EXIF rotation is applied, 16 bits are scaled to 8,
  transparent images are laid on white, of an animation the first frame is
  taken. A file that is no image is named and skipped, up to 1 % of the files
  or 10, whichever is more; one whose content turns out broken later is
  replaced by the next good one, and counts too. Images smaller than a crop are
  enlarged.

  Args:
    split: 'train', 'test', or 'all' for every image.
    image_size: side that evaluation sees, in pixels.
    path: the folder.
    labels: None, or 'folders': the name of the first sub-folder is the label.

  Raises:
    BadInputError: the folder is missing, empty or unreadable, or too many of
      its files are no images.
  """
  if split != 'all':
    sources.check_split(split)
  root = _checked(path, labels)
  names = _class_names(root) if labels else None
  paths = _split_paths(root, split)
  skipped = _Skipped(path, len(paths))
  paths, sizes = _probed(paths, skipped)
  held = _in_memory(paths, sizes, skipped)
  paths = held[0] if held else paths
  classes = _labels(root, split, paths, names) if labels else None
  options = {'class_names': names, 'image_size': image_size, 'name': 'folder'}
  if held:
    source = arrays.load(held[1], classes, **options)
  else:
    read = _reader(paths, classes, skipped)
    source = sources.Source(
      num_examples=len(paths),
      fetch=host_crops.fetcher(read, image_size),
      fingerprint='',
      read=read,
      **options,
    )
  return source._replace(
    fingerprint=sources.fingerprint(f'folder {path}', split, len(paths)),
    paths=tuple(map(str, paths)),
  )


def decode(path: str | os.PathLike) -> np.ndarray:
  """Reads an image file as RGB uint8 [h, w, 3].

  16-bit and 32-bit integer grey values are divided by 257; grey floats are
  taken to lie in 0 to 1, or in 0 to 255 where one exceeds 1. What is
  transparent is laid on white.
  """
  with Image.open(path) as opened:
    image = ImageOps.exif_transpose(opened)
    if image.mode.startswith('I') or image.mode == 'F':
      image = Image.fromarray(_to_8_bits(np.asarray(image)))
    if image.has_transparency_data:
      image = image.convert('RGBA')
      white = Image.new('RGBA', image.size, 'white')
      image = Image.alpha_composite(white, image)
    return np.asarray(image.convert('RGB'))


def _to_8_bits(values: np.ndarray) -> np.ndarray:
  if np.issubdtype(values.dtype, np.floating):
    values = values * (255 if values.max(initial=0) <= 1 else 1)
  else:
    values = values / 257
  return np.clip(np.round(values), 0, 255).astype(np.uint8)


class _Skipped:
  """Counts the files that are no images, and refuses too many of them."""

  def __init__(self, path: str, num_files: int):
    self.path, self._num_files = path, num_files
    self._limit = max(_LEAST_LIMIT, int(num_files * _BAD_SHARE))
    self._seen: dict[str, str] = {}
    self._lock = threading.Lock()

  def add(self, path: pathlib.Path, error: BaseException) -> None:
    with self._lock:
      if len(self._seen) > self._limit:  # another thread has just said so
        self._refuse()
      if str(path) in self._seen:
        return
      self._seen[str(path)] = str(error)
      sources.log.warning(
        'skipped %s, which is not a readable image (%d so far, at most %d)',
        path,
        len(self._seen),
        self._limit,
      )
      if len(self._seen) > self._limit:
        self._refuse()

  def _refuse(self):
    some = ', '.join(sorted(self._seen)[:3])
    raise BadInputError(
      f'data.path is {self.path!r}: {len(self._seen)} of {self._num_files}'
      f' files are not readable images (more than the {self._limit} allowed),'
      f' such as {some}'
    )


def _checked(path: str | None, labels: str | None) -> pathlib.Path:
  if not path:
    raise BadInputError(
      'data.name is folder, but data.path is not set; the folder that holds'
      ' the images would be right'
    )
  if labels not in (None, 'folders'):
    raise BadInputError(
      f'data.labels is {labels!r}' + nearest(labels, ['folders'])
    )
  root = pathlib.Path(path).expanduser()
  if not root.is_dir():
    what = 'a file' if root.exists() else 'missing'
    raise BadInputError(
      f'data.path is {path!r}, which is {what}; a folder of images would be'
      ' right'
    )
  return root


def _split_folder(root: pathlib.Path, split: str) -> tuple[pathlib.Path, bool]:
  """Returns the folder of a split, and whether test is held out of it."""
  if split == 'all':
    return root, False
  train = root / 'train'
  if not train.is_dir():
    return root, True
  tests = [root / n for n in _TEST_FOLDERS if (root / n).is_dir()]
  if not tests:
    return train, True
  return (train if split == 'train' else tests[0]), False


def _split_paths(root: pathlib.Path, split: str) -> list[pathlib.Path]:
  folder, held_out = _split_folder(root, split)
  paths, others = _walk(folder)
  if others:
    sources.log.warning(
      'ignored %d files without an extension of images, such as %s',
      len(others),
      min(others),
    )
  if not held_out:
    return paths
  key = lambda p: hashlib.sha256(p.relative_to(folder).as_posix().encode())  # noqa: E731
  rank = {path: int(key(path).hexdigest()[:15], 16) for path in paths}
  test = {path for path in paths if rank[path] % _HELD_OUT == 0}
  test = test or {min(paths, key=rank.get)}  # never none
  chosen = [path for path in paths if (path in test) == (split == 'test')]
  if not chosen:
    raise BadInputError(
      f'{folder} holds {len(paths)} image, too few to hold one out for'
      ' testing; at least two would be right'
    )
  return chosen


def _walk(folder: pathlib.Path) -> tuple[list[pathlib.Path], ...]:
  """Lists the image files below a folder, sorted, and others; none hidden."""

  def refuse(error):
    raise BadInputError(
      f'{error.filename} cannot be read ({error.strerror}); a readable folder'
      ' would be right'
    ) from error

  images, others = [], []
  for where, folders, files in os.walk(
    folder, onerror=refuse, followlinks=True
  ):
    folders[:] = [name for name in folders if not name.startswith('.')]
    for name in files:
      path = pathlib.Path(where, name)
      if not name.startswith('.'):
        is_image = path.suffix[1:].lower() in EXTENSIONS
        (images if is_image else others).append(path)
  if not images:
    raise BadInputError(
      f'{folder} holds no images; files ending in {", ".join(EXTENSIONS)}'
      ' would be right'
    )
  return sorted(images), others


def _class_names(root: pathlib.Path) -> tuple[str, ...]:
  """Returns the first sub-folders' names, of train and test together."""
  folders = {_split_folder(root, split)[0] for split in sources.SPLITS}
  names = set()
  for folder in folders:
    names |= {_class_name(folder, path) for path in _walk(folder)[0]}
  return tuple(sorted(names))


def _class_name(folder: pathlib.Path, path: pathlib.Path) -> str:
  parts = path.relative_to(folder).parts
  if len(parts) < 2:
    raise BadInputError(
      f"data.labels is 'folders', but {path} lies in no sub-folder of {folder};"
      ' one sub-folder a class would be right'
    )
  return parts[0]


def _labels(root, split, paths, names) -> np.ndarray:
  folder, _ = _split_folder(root, split)
  number = {name: k for k, name in enumerate(names)}
  classes = [number[_class_name(folder, path)] for path in paths]
  return np.array(classes, np.int32)


def _attempt(function, paths, skipped: _Skipped, what: str) -> list:
  """Maps a function over files in threads; None for those it cannot read."""

  def one(path):
    try:
      return function(path), None
    except _UNREADABLE as error:
      return None, error

  results = []
  with concurrent.futures.ThreadPoolExecutor(_NUM_THREADS) as pool:
    for path, (result, error) in zip(paths, pool.map(one, paths), strict=True):
      if error is not None:
        skipped.add(path, error)
      results.append(result)
      sources.report(len(results), len(paths), what)
  if all(result is None for result in results):
    raise BadInputError(
      f'{skipped.path} holds no readable image among {len(paths)} files such'
      f' as {paths[0]}'
    )
  return results


def _probed(paths, skipped: _Skipped):
  """Checks every file's header; returns the good ones and their sizes."""
  sizes = _attempt(_size, paths, skipped, 'images checked')
  good = [(p, s) for p, s in zip(paths, sizes, strict=True) if s is not None]
  return [p for p, _ in good], [s for _, s in good]


def _size(path: pathlib.Path) -> tuple[int, int]:
  """Returns (height, width) as decoded, without decoding."""
  with Image.open(path) as image:
    width, height = image.size
    # Of a PNG, asking for EXIF would decode the whole file.
    exif = {} if image.format == 'PNG' else image.getexif()
    rotated = exif.get(ExifTags.Base.Orientation) in _ROTATED
    image.verify()
  return (width, height) if rotated else (height, width)


def _in_memory(paths, sizes, skipped: _Skipped):
  """Returns good paths and pixels, or None if large or of different shapes."""
  if len(set(sizes)) > 1 or not sources.fits_in_memory(len(sizes), *sizes[0]):
    return None
  decoded = _attempt(decode, paths, skipped, 'images loaded')
  good = [i for i, image in enumerate(decoded) if image is not None]
  if len({decoded[i].shape for i in good}) > 1:  # despite equal headers
    return None
  return [paths[i] for i in good], np.stack([decoded[i] for i in good])


def _reader(paths, classes, skipped: _Skipped):
  tf = sources.tensorflow()

  def content(index):
    """Decodes a file, or the next good one in its place."""
    for step in range(len(paths)):
      i = (int(index) + step) % len(paths)
      try:
        return decode(paths[i]), np.int64(i)
      except _UNREADABLE as error:
        skipped.add(paths[i], error)
    raise BadInputError(f'{skipped.path} holds no readable image')

  def read(index):
    image, index = tf.numpy_function(
      content, [index], (tf.uint8, tf.int64), stateful=False
    )
    image = tf.ensure_shape(image, [None, None, 3])
    row = {'image': image, 'index': tf.ensure_shape(index, [])}
    if classes is not None:
      row['label'] = tf.gather(classes, row['index'])
    return row

  return read
