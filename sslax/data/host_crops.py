"""Crops made on the host, before large images cross to the device."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from sslax.data.source import tensorflow

_TRIES = 10  # windows drawn before the middle one is taken
_EVAL_SHARE = 224 / 256  # of the shorter side that evaluation keeps


class HostCrops(NamedTuple):
  """Random resized crops of large images, of one kind.

  Attributes:
    num_views: V, crops of each image.
    size: S, side of a crop in pixels.
    scale: least and largest share of the image's area.
    ratio: least and largest width / height, drawn log-uniformly.
  """

  num_views: int
  size: int
  scale: tuple[float, float] = (0.08, 1.0)
  ratio: tuple[float, float] = (3 / 4, 4 / 3)


def random_crops(record: dict, kinds: Sequence[HostCrops], seed):
  """Cuts V random resized crops of each kind; small images are enlarged.

  Args:
    record: `image`, uint8 [h, w, 3], or `encoded`, the bytes of an image file.
    kinds: how many, how large.
    seed: tf int64 [2].

  Returns:
    A tuple with uint8 [V, S, S, 3] for each kind.
  """
  tf = tensorflow()
  height, width, window = _opened(record)
  numbers = itertools.count()

  def cut(crops):
    key = tf.random.experimental.stateless_fold_in(seed, next(numbers))
    return _resized(window(*random_box(height, width, crops, key)), crops.size)

  return tuple(
    tf.stack([cut(crops) for _ in range(crops.num_views)]) for crops in kinds
  )


def random_box(height, width, crops: HostCrops, seed):
  """Draws a window: area uniform, ratio log-uniform, place uniform.

  Of ten draws the first that fits is taken; if none does, the largest middle
  window with a valid ratio. (TensorFlow's `sample_distorted_bounding_box` draws
  the height uniformly, not the area, and falls back to the whole image.)

  Args:
    height: tf int32 [], of the image.
    width: tf int32 [], of the image.
    crops: scale and ratio.
    seed: tf int64 [2].

  Returns:
    Top, left, height and width: tf int32 [].
  """
  tf = tensorflow()
  sizes, place = _drawn(height, width, crops, seed)
  h, w = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
  fits = (sizes[0] <= h) & (sizes[1] <= w)
  first = tf.argmax(tf.cast(fits, tf.int32))
  ratio = tf.clip_by_value(w / h, *crops.ratio)
  middle = (
    tf.minimum(h, tf.round(w / ratio)),
    tf.minimum(w, tf.round(h * ratio)),
  )
  found = tf.reduce_any(fits)
  size = tf.where(found, sizes[:, first], tf.stack(middle))
  size = tf.cast(tf.maximum(size, 1), tf.int32)
  free = tf.stack([height, width]) - size
  place = tf.where(found, place, 0.5) * tf.cast(free + 1, tf.float32)
  corner = tf.minimum(tf.cast(place, tf.int32), free)
  return corner[0], corner[1], size[0], size[1]


def _drawn(height, width, crops: HostCrops, seed):
  """Returns candidate sizes [2, tries], in whole pixels, and a place [2]."""
  tf = tensorflow()
  area_seed, ratio_seed, place_seed = tf.unstack(
    tf.random.experimental.stateless_split(seed, 3)
  )
  uniform = tf.random.stateless_uniform
  area = tf.cast(height, tf.float32) * tf.cast(width, tf.float32)
  area *= uniform([_TRIES], area_seed, *crops.scale)
  log_ratio = uniform([_TRIES], ratio_seed, *map(float, np.log(crops.ratio)))
  ratio = tf.exp(log_ratio)
  sizes = tf.round(tf.sqrt(tf.stack([area / ratio, area * ratio])))
  return sizes, uniform([2], place_seed)


def center_square(record: dict, size: int):
  """Crops the middle and resizes it to uint8 [size, size, 3].

  The side kept is 224 / 256 of the shorter one: what resizing the shorter side
  to size * 256 / 224 and cropping the middle keeps, but with no intermediate
  image, which would be huge where the longer side is. An image of the right
  size stays as it is; small ones are enlarged.

  Args:
    record: as for `random_crops`.
    size: S, in pixels.
  """
  height, width, window = _opened(record)
  return _resized(window(*_center_box(height, width, size)), size)


def center_squares(images, size: int, share: float = _EVAL_SHARE):
  """Does what `center_square` does for uint8 [..., H, W, 3].

  Args:
    images: of one shape.
    size: S, in pixels.
    share: of the shorter side that is kept.
  """
  height, width = images.shape[-3:-1]
  if height == width == size:
    return images
  tf = tensorflow()
  top, left, side, _ = _center_box(tf.constant(height), width, size, share)
  kept = images[..., top : top + side, left : left + side, :]
  frames = _resized(tf.reshape(kept, [-1, *kept.shape[-3:]]), size)
  return tf.reshape(frames, [*images.shape[:-3], size, size, 3])


def fetcher(read: Callable, image_size: int) -> Callable:
  """Makes a Source's `fetch` from its `read`: center-cropped, batched."""

  def one(index):
    record = read(index)
    kept = {k: v for k, v in record.items() if k not in ('image', 'encoded')}
    return kept | {'image': center_square(record, image_size)}

  def fetch(indices):
    tf = tensorflow()
    rows = [one(index) for index in tf.unstack(indices)]
    return {key: tf.stack([row[key] for row in rows]) for key in rows[0]}

  return fetch


def _center_box(height, width, size: int, share: float = _EVAL_SHARE):
  tf = tensorflow()
  shorter = tf.minimum(height, width)
  side = tf.cast(tf.round(tf.cast(shorter, tf.float32) * share), tf.int32)
  exact = (height == size) & (width == size)
  side = tf.where(exact, size, tf.maximum(side, 1))
  return (height - side) // 2, (width - side) // 2, side, side


def _opened(record: dict):
  """Returns height, width and window(top, left, height, width) -> pixels.

  Of a JPEG only the window is decoded.
  """
  tf = tensorflow()
  if 'image' in record:
    image = record['image']
    shape = tf.shape(image)
    return shape[0], shape[1], _slicer(image)
  data = record['encoded']
  jpeg = tf.io.is_jpeg(data)
  image = tf.cond(
    jpeg, lambda: tf.zeros([0, 0, 3], tf.uint8), lambda: decode(data)
  )
  shape = tf.cond(
    jpeg, lambda: tf.io.extract_jpeg_shape(data), lambda: tf.shape(image)
  )

  def window(*box):
    return tf.cond(
      jpeg,
      lambda: tf.io.decode_and_crop_jpeg(data, tf.stack(box), channels=3),
      lambda: _slicer(image)(*box),
    )

  return shape[0], shape[1], window


def decode(data):
  """Decodes the bytes of an image file to RGB uint8 [h, w, 3]."""
  tf = tensorflow()
  image = tf.io.decode_image(data, channels=3, expand_animations=False)
  return tf.ensure_shape(image, [None, None, 3])


def _slicer(image):
  return lambda top, left, height, width: image[
    top : top + height, left : left + width
  ]


def _resized(pixels, size: int):
  """Resizes with an antialiased bicubic filter to uint8 [..., S, S, 3]."""
  tf = tensorflow()
  resized = tf.image.resize(
    pixels, [size, size], method='bicubic', antialias=True
  )
  resized = tf.cast(tf.round(tf.clip_by_value(resized, 0, 255)), tf.uint8)
  return tf.ensure_shape(resized, [*pixels.shape[:-3], size, size, 3])
