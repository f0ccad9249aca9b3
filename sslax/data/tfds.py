"""Sets prepared by TensorFlow Datasets, by name and directory."""

import os
import pathlib

from sslax.data import (
  arrays,
  captions,
  tfds_columns,
  tfds_fields,
  tfrecord,
  tokenizer,
)
from sslax.data import source as sources
from sslax.errors import BadInputError, nearest

# Their `test` split has no labels (all are -1).
_HIDDEN_TEST_LABELS = ('imagenet2012',)


def load(
  name: str,
  *,
  split: str,
  image_size: int | None,
  dir: str | None = None,
  labels: str | None = None,
  vocabulary: int = 4096,
  text_length: int = 32,
  clip_frames: int = 16,
) -> sources.Source:
  """Opens a set that TFDS has prepared; nothing is ever downloaded.

  The types of its features say whether it holds images, videos, sounds or
  texts; a caption beside images comes along as text. array_record files are
  read at random as they are; TFRecord files get an offset index, built once and
  cached. Videos, sounds and texts are held in memory.

  Args:
    name: `cifar10`, `cifar10:3.0.2` or `name/config`; a prefix `tfds:` is
      allowed. Without a version the newest is taken.
    split: 'train' or 'test'; for sets without a labeled test split, test is
      their validation split. Videos of a single split are split by time.
    image_size: side that evaluation sees, in pixels.
    dir: the directory that holds `name/version`, or the version's own folder;
      default the variable TFDS_DATA_DIR, then ~/tensorflow_datasets.
    labels: the class label to take; default `label`.
    vocabulary: tokens at most, learned from the train split.
    text_length: tokens of a text at most.
    clip_frames: frames of a video.

  Raises:
    BadInputError: there is no such set, or it holds nothing to learn from.
  """
  sources.check_split(split)
  sources.tensorflow()
  import tensorflow_datasets as tfds

  name = name.removeprefix('tfds:')
  builder = tfds.builder_from_directory(_locate(name, dir))
  fields = tfds_fields.find(builder.info.features, name, labels)
  if fields.kind in ('image', 'video') and image_size is None:
    raise BadInputError(
      f'data.name is {name!r}, which holds {sources.WORDS[fields.kind]}, but'
      ' these views have no size; views of images or videos would be right'
    )
  chosen, by_time = _split(builder, name, split, fields.kind)
  opened = tfds_columns.Opened(
    name=name,
    split=split,
    records=_records(builder, chosen, name),
    features=builder.info.features,
    fields=fields,
    image_size=image_size,
    clip_frames=clip_frames,
    by_time=by_time,
  )
  if fields.texts:
    train, _ = _split(builder, name, 'train', fields.kind)
    corpus = opened._replace(records=_records(builder, train, name)).texts()
    tokens = tokenizer.train(corpus, vocabulary=vocabulary, length=text_length)
    opened = opened._replace(tokens=tokens)
  return _MAKERS[fields.kind](opened)


def _images(opened: tfds_columns.Opened) -> sources.Source:
  fields = opened.fields
  source = tfrecord.from_records(
    opened.records,
    tfrecord.Keys(fields.image, fields.label),
    fields.class_names,
    split=opened.split,
    image_size=opened.image_size,
    name=opened.name,
  )
  if not fields.texts:
    return source
  return arrays.beside(
    source,
    {'text': opened.tokens.encode(opened.texts(fields.texts[:1]))},
    tokenizer=opened.tokens,
    prompts=fields.class_names and captions.prompts(fields.class_names),
  )


_MAKERS = {  # first key that a source holds: what makes it
  'image': _images,
  'video': tfds_columns.videos,
  'audio': tfds_columns.sounds,
  'text': tfds_columns.texts,
}


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


def _split(builder, name: str, split: str, kind: str) -> tuple[str, bool]:
  """Returns the split that serves, and whether it is to be split by time."""
  hidden = name.partition(':')[0] in _HIDDEN_TEST_LABELS
  wanted = {'train': ['train'], 'test': ['test', 'validation'][hidden:]}[split]
  available = builder.info.splits
  filled = [key for key, found in available.items() if found.num_examples]
  if kind == 'video' and len(filled) == 1:
    return filled[0], True
  for candidate in wanted:
    if candidate in filled:
      return candidate, False
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
