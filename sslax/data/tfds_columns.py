"""Sources of TFDS sets without images: videos, sounds and texts in memory."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from sslax.data import arrays, host_crops, tokenizer
from sslax.data import source as sources
from sslax.data.tfds_fields import Fields
from sslax.data.tfrecord import Records
from sslax.errors import BadInputError

_MOST_BYTES = 2**30  # of decoded frames
_TRAIN_SHARE = 0.75  # of a video's time, where one split serves both
_READ_AT_ONCE = 1000  # records
_DETAIL = 2  # frames are kept at this many times the side that networks see


class Opened(NamedTuple):
  """A split of a set that was found, and what is asked of it.

  Attributes:
    name: as in `data.name`.
    split: 'train' or 'test'.
    records: serialized examples of the split that serves.
    features: FeaturesDict of the set.
    fields: from tfds_fields.find.
    image_size: side that the networks see, in pixels.
    clip_frames: frames of a window of a video.
    by_time: whether records are those of both splits, to be split by time.
    tokens: Tokenizer learned from the train split, where there is text.
  """

  name: str
  split: str
  records: Records
  features: Any
  fields: Fields
  image_size: int | None
  clip_frames: int
  by_time: bool = False
  tokens: tokenizer.Tokenizer | None = None

  @property
  def about(self) -> dict[str, Any]:
    """What every source is told."""
    names = self.fields.class_names
    return {'name': self.name, 'split': self.split, 'class_names': names}

  def rows(self, keys: Iterable[str], batch_size: int | None = None):
    """Yields what each record, or batch, has under the keys, decoded."""
    import tensorflow_datasets as tfds

    tf = sources.tensorflow()
    wanted = tfds.features.FeaturesDict({k: self.features[k] for k in keys})

    def get(i):
      return self.records.get(int(i))

    def parse(i):
      data = tf.numpy_function(get, [i], tf.string, stateful=False)
      return wanted.deserialize_example(tf.ensure_shape(data, []))

    rows = tf.data.Dataset.range(self.records.num_records)
    rows = rows.map(parse, tf.data.AUTOTUNE, deterministic=True)
    rows = rows if batch_size is None else rows.batch(batch_size)
    return rows.prefetch(1).as_numpy_iterator()

  def columns(self, keys: Iterable[str | None]) -> dict[str | None, Any]:
    """Returns the rows of all records for each key; None has None."""
    keys = [key for key in keys if key]
    ragged = any(None in self.features[key].shape for key in keys)
    rows = list(self.rows(keys, None if ragged else _READ_AT_ONCE))
    columns = {key: [row[key] for row in rows] for key in keys}
    if not ragged:  # by batch, which saves most of the time
      columns = {key: np.concatenate(parts) for key, parts in columns.items()}
    return {None: None, **columns}

  def texts(self, keys: Iterable[str] | None = None) -> list[str]:
    """Returns the texts under some keys, or all texts."""
    keys = keys or self.fields.texts
    columns = self.columns(keys)
    return [text for key in keys for text in _strings(columns[key])]


def sounds(opened: Opened) -> sources.Source:
  """A source of sounds: int16 of one channel, silence after the shorter ones.

  Args:
    opened: a set with audio.
  """
  fields = opened.fields
  columns = opened.columns([fields.audio, fields.label])
  waves = [_one_channel(x) for x in columns[fields.audio]]
  audio = np.zeros((len(waves), max(map(len, waves))), np.int16)
  for row, wave in zip(audio, waves, strict=True):
    row[: len(wave)] = wave
  return arrays.of_columns(
    {'audio': audio},
    columns[fields.label],
    sample_rate=getattr(opened.features[fields.audio], 'sample_rate', None),
    **opened.about,
  )


def _one_channel(wave: np.ndarray) -> np.ndarray:
  wave = wave if wave.ndim == 1 else wave.mean(-1)
  return np.clip(np.round(wave), -32768, 32767).astype(np.int16)


def videos(opened: Opened) -> sources.Source:
  """A source of windows of videos, each half a window after the one before.

  Frames are center squares of twice image_size, or of their own shorter side
  where that is less. Where one split serves both, the first three quarters of
  each video are for training and the rest for testing; no frame is in both.

  Args:
    opened: a set with video.

  Raises:
    BadInputError: no video is long enough, or there are too many frames.
  """
  fields, window = opened.fields, opened.clip_frames
  frames, starts, labels, total = [], [], [], 0
  for row in opened.rows([key for key in (fields.video, fields.label) if key]):
    video = row[fields.video]
    first, last = _part(len(video), opened)
    own = np.arange(first, last - window + 1, max(1, window // 2))
    starts.append(total + own)
    labels.append(np.full(len(own), row.get(fields.label, -1), np.int32))
    side = min(_DETAIL * opened.image_size, *video.shape[1:3])
    frames.append(host_crops.center_squares(video, side, share=1.0).numpy())
    total += len(video)
    _check_memory(total * frames[0][0].nbytes, opened.name)
  starts = np.concatenate(starts)
  if not len(starts):
    raise BadInputError(
      f'data.clip_frames is {window}, but no video of {opened.name} is that'
      ' long' + (', twice for train and test' if opened.by_time else '')
    )
  return arrays.of_windows(
    np.concatenate(frames),
    starts,
    window,
    np.concatenate(labels) if fields.label else None,
    image_size=opened.image_size,
    **opened.about,
  )


def _part(length: int, opened: Opened) -> tuple[int, int]:
  """The frames [first, last) of a video that windows may come from."""
  if not opened.by_time:
    return 0, length
  # At least one window is for testing, as long as one is left for training.
  window = opened.clip_frames
  cut = max(0, min(round(_TRAIN_SHARE * length), length - window))
  if cut < window:
    return 0, 0
  return (0, cut) if opened.split == 'train' else (cut, length)


def _check_memory(num_bytes: int, name: str) -> None:
  if num_bytes > _MOST_BYTES:
    raise BadInputError(
      f'data.name is {name!r}, whose frames need more than'
      f' {_MOST_BYTES / 2**30:.0f} GiB of memory, where videos are held; a'
      ' smaller views.size would be right'
    )


def texts(opened: Opened) -> sources.Source:
  """A source of texts, or of pairs of texts with their score.

  Pairs with scores are for testing; for training, their different texts are a
  corpus without labels.

  Args:
    opened: a set with text, and its tokens.
  """
  fields, encode = opened.fields, opened.tokens.encode
  about = {**opened.about, 'tokenizer': opened.tokens}
  if len(fields.texts) == 1:
    columns = opened.columns([*fields.texts, fields.label])
    text = encode(_strings(columns[fields.texts[0]]))
    return arrays.of_columns({'text': text}, columns[fields.label], **about)
  if opened.split == 'train' or fields.score is None:
    corpus = encode(dict.fromkeys(opened.texts()))
    return arrays.of_columns({'text': corpus}, **about)
  columns = opened.columns([*fields.texts, fields.score])
  first, second = (encode(_strings(columns[key])) for key in fields.texts)
  score = np.array(columns[fields.score], np.float32)
  return arrays.of_columns(
    {'text': first, 'text2': second, 'score': score}, **about
  )


def _strings(values) -> list[str]:
  return [value.decode('utf-8', 'replace') for value in values]
