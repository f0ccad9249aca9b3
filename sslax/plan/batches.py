"""The shapes of a batch, from the config alone: no data is opened."""

from typing import Any

import jax

from sslax import experiment, recipes, sharding
from sslax.data import photos, sounds

# Side of the images of small sets, which the pipeline holds in memory.
_SIDES = {
  'photos': 32, 'captioned_photos': 32, 'photo_clips': 32, 'cifar10': 32,
  'cifar100': 32, 'svhn_cropped': 32, 'mnist': 28, 'fashion_mnist': 28,
  'tiny_imagenet': 64, 'stl10': 96,
}  # fmt: skip
_COUNTS = {
  'imagenet2012': recipes.IMAGENET_TRAIN,
  'cifar10': 50_000,
  'cifar100': 50_000,
  'photos': len(photos.FILES) * photos.COUNTS['train'],
}
_SAMPLES = {'sounds': sounds.LENGTH, 'esc10': 5 * 8000}
_MOST_SAMPLES = 10 * 16_000  # of a sound of any other source


def num_examples(config) -> int:
  """Returns the training examples of the source, 0 where unknown."""
  return config.data.num_examples or _COUNTS.get(config.data.name, 0)


def shapes(config, parts, mesh) -> dict[str, Any]:
  """Returns the global batch that the loop would feed, as shapes.

  Small sets are images of their own size; all others are read from disk and
  cropped on the host, to uint8 crops of each kind. Texts have
  `data.text_length` tokens, videos `data.clip_frames` frames as large as the
  views (or as the source's), sounds the samples that the source has, ten
  seconds at 16 kHz where that is unknown.

  Args:
    config: complete ConfigDict.
    parts: from sslax.build.
    mesh: from sharding.make_mesh.
  """
  rows = sharding.split_rows(mesh)
  keys = {parts.views.reads, *parts.method.towers}

  def array(dtype, *row):
    shape = (config.batch_size, *row)
    return jax.ShapeDtypeStruct(shape, dtype, sharding=rows)

  made = {key: _MAKERS[key](config, parts, array) for key in sorted(keys)}
  return {**made, 'index': array('int32'), 'label': array('int32')}


def _images(config, parts, array):
  """Images of a small set, or a tuple with the host's crops of each kind."""
  side = _SIDES.get(config.data.name)
  if side:
    return array('uint8', side, side, 3)
  return tuple(
    array('uint8', crops.num_views, crops.size, crops.size, 3)
    for crops in experiment.host_crops(parts.views)
  )


def _texts(config, parts, array):
  del parts
  return array('int32', config.data.text_length)


def _videos(config, parts, array):
  side = _SIDES.get(config.data.name, parts.views.size)
  return array('uint8', config.data.clip_frames, side, side, 3)


def _sounds(config, parts, array):
  del parts
  return array('int16', _SAMPLES.get(config.data.name, _MOST_SAMPLES))


_MAKERS = {  # key of a batch: what makes its shapes
  'image': _images, 'text': _texts, 'video': _videos, 'audio': _sounds
}  # fmt: skip
