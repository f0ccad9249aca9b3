"""Sets prepared by TensorFlow Datasets, by name and directory."""

import os
import pathlib

from sslax.data import source as sources
from sslax.data import tfrecord
from sslax.errors import BadInputError, nearest

# Their `test` split has no labels (all are -1).
_HIDDEN_TEST_LABELS = ('imagenet2012',)


def load(
  name: str, *, split: str, image_size: int, dir: str | None = None
) -> sources.Source:
  """Opens a set that TFDS has prepared; nothing is ever downloaded.

  array_record files are read at random as they are; TFRecord files get an
  offset index, built once and cached.

  Args:
    name: `cifar10`, `cifar10:3.0.2` or `name/config`; a prefix `tfds:` is
      allowed. Without a version the newest is taken.
    split: 'train' or 'test'; for sets without a labeled test split, test is
      their validation split.
    image_size: side that evaluation sees, in pixels.
    dir: the directory that holds `name/version`, or the version's own folder;
      default the variable TFDS_DATA_DIR, then ~/tensorflow_datasets.

  Raises:
    BadInputError: there is no such set, or it holds no images.
  """
  sources.check_split(split)
  sources.tensorflow()
  import tensorflow_datasets as tfds

  name = name.removeprefix('tfds:')
  folder = _locate(name, dir)
  builder = tfds.builder_from_directory(folder)
  keys, names = _fields(builder, name)
  chosen = _split(builder, name, split)
  return tfrecord.from_records(
    _records(builder, chosen, name),
    keys,
    names,
    split=chosen,
    image_size=image_size,
    name=name,
  )


def _locate(name: str, dir: str | None):
  """Returns the folder that holds features.json."""
  from etils import epath

  default = os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets'
  root = epath.Path(dir or default).expanduser()
  base, _, version = name.partition(':')
  if (root / 'features.json').exists():
    if base.partition('/')[0] not in pathlib.Path(root).parts[-3:]:
      raise BadInputError(
        f'data.name is {name!r}, but data.dir={root} is the folder of another'
        ' set; the directory that holds all sets would be right'
      )
    return root
  folder = root / base
  versions = _versions(folder) if folder.exists() else []
  if version:
    versions = [v for v in versions if v.name == version]
  if not versions:
    raise BadInputError(_missing(name, root, dir))
  return versions[-1]


def _versions(folder) -> list:
  """Returns the version folders, oldest first."""
  found = [f for f in folder.iterdir() if (f / 'features.json').exists()]
  number = lambda f: [int(n) for n in f.name.split('.') if n.isdigit()]  # noqa: E731
  return sorted(found, key=number)


def _missing(name: str, root, dir: str | None) -> str:
  """Says what is missing: the directory, the set in it, or such a name."""
  import tensorflow_datasets as tfds

  pass_dir = 'pass the directory of your TFDS sets as data.dir'
  if not root.exists():
    which = 'data.dir' if dir else 'TFDS_DATA_DIR or its default'
    prefix = f'data.name is {name!r}, but {which}={root} does not exist'
    base = name.partition(':')[0].partition('/')[0]
    known = {*sources.builtin_names(), *tfds.list_builders()}
    if not dir and base not in known:
      return f'data.name is {name!r}, which is no source' + nearest(base, known)
    return f'{prefix}; {pass_dir}'
  base = name.partition(':')[0]
  if (root / base).exists():
    inside = sorted(f.name for f in (root / base).iterdir() if f.is_dir())
    return (
      f'data.name is {name!r}, but {root / base} holds no such prepared'
      f' version; it holds {", ".join(inside) or "nothing"} (name:version, or'
      ' name/config for a set with configurations)'
    )
  here = {f.name for f in root.iterdir() if f.is_dir()}
  if base.partition('/')[0] in tfds.list_builders():
    return (
      f'data.name is {name!r}, which is not prepared in {root}; sslax does not'
      f' download: run `tfds build {base} --data_dir={root}`, or {pass_dir}'
    )
  known = {*here, *sources.builtin_names(), *tfds.list_builders()}
  return (
    f'data.name is {name!r}, which is neither a source nor a set in {root}'
    + nearest(base, known)
  )


def _fields(builder, name: str):
  """Finds the image and its label among the features."""
  import tensorflow_datasets as tfds

  features = builder.info.features
  images = [
    key
    for key, feature in features.items()
    if isinstance(feature, tfds.features.Image)
    and not isinstance(feature, tfds.features.LabeledImage)
  ]
  image = 'image' if 'image' in images else images[0] if images else None
  if image is None:
    raise BadInputError(
      f'data.name is {name!r}, which has no image among its features'
      f' {", ".join(sorted(features))}'
    )
  label = dict(features.items()).get('label')
  if not isinstance(label, tfds.features.ClassLabel):
    return tfrecord.Keys(image, None), None
  return tfrecord.Keys(image, 'label'), tuple(label.names)


def _split(builder, name: str, split: str) -> str:
  hidden = name.partition(':')[0] in _HIDDEN_TEST_LABELS
  wanted = {'train': ['train'], 'test': ['test', 'validation'][hidden:]}[split]
  available = builder.info.splits
  for candidate in wanted:
    if candidate in available and available[candidate].num_examples:
      return candidate
  raise BadInputError(
    f'data.name is {name!r}, which has no split {" or ".join(wanted)}; it has'
    f' {", ".join(sorted(available))}'
  )


def _records(builder, split: str, name: str) -> tfrecord.Records:
  """Opens the files of a split, in the order of the shards."""
  paths = [str(path) for path in builder.info.splits[split].filepaths]
  file_format = builder.info.file_format.value
  if file_format == 'tfrecord':
    return tfrecord.open_files(paths)
  if file_format == 'array_record':
    from array_record.python import array_record_data_source

    data = array_record_data_source.ArrayRecordDataSource(paths)
    return tfrecord.Records(len(data), lambda i: data[i])
  raise BadInputError(
    f'data.name is {name!r}, prepared as {file_format}; tfrecord or'
    ' array_record would be right'
  )
