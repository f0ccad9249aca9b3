"""`photos`: crops of openly licensed photographs, with no download.

The photographs ship inside scikit-image's wheel; the label is which of them a
crop was taken from. Train crops come from the left three quarters of each,
test crops from the right quarter, so no pixel is in both. It is a smoke test of
learning, not a benchmark.

Licences, in the words of `skimage.data`:

* astronaut (NASA): released into the public domain
* chelsea: CC0 by the photographer (Stefan van der Walt)
* coffee: CC0 by the photographer (Rachel Michetti)
* hubble_deep_field (NASA): may be freely used in the public domain
* immunohistochemistry (CMMI): no known copyright restrictions
* retina: Creative Commons CC0 1.0 Universal
* rocket (SpaceX): released in the public domain
"""

import importlib.util
import pathlib

import numpy as np
from PIL import Image

from sslax.data import arrays
from sslax.data import source as sources
from sslax.errors import BadInputError

FILES = {
  'astronaut': 'astronaut.png',
  'chelsea': 'chelsea.png',
  'coffee': 'coffee.png',
  'hubble_deep_field': 'hubble_deep_field.jpg',
  'immunohistochemistry': 'ihc.png',
  'retina': 'retina.jpg',
  'rocket': 'rocket.jpg',
}
COUNTS = {'train': 512, 'test': 128}  # crops of each photograph
SIZE = 32  # side of a crop as it is stored, in pixels
SCALE = (24, 96)  # side of a window in the photograph, in pixels


def load(*, split: str, image_size: int, seed: int = 0) -> sources.Source:
  """Cuts the crops: 512 of each photograph for training, 128 for testing.

  A window is a square with a log-uniform side of 24 to 96 pixels anywhere in
  its part of the photograph, resized to 32 x 32 with Pillow's antialiased
  bicubic filter.

  Args:
    split: 'train' or 'test'.
    image_size: side that evaluation sees, in pixels.
    seed: of the windows.

  Raises:
    BadInputError: scikit-image's photographs are not installed.
  """
  sources.check_split(split)
  rng = np.random.default_rng([seed, sources.SPLITS.index(split)])
  images = np.stack(
    [
      cut(part, window)
      for part in parts(split)
      for window in windows(part, COUNTS[split], rng)
    ]
  )
  labels = np.repeat(np.arange(len(FILES)), COUNTS[split])
  return arrays.load(
    images,
    labels,
    class_names=tuple(FILES),
    image_size=image_size,
    name='photos',
    split=split,
  )


def parts(split: str) -> list[Image.Image]:
  """Returns of each photograph the part that a split may see.

  Args:
    split: 'train' or 'test'.

  Raises:
    BadInputError: scikit-image's photographs are not installed.
  """
  folder = _folder()
  return [_part(folder / file, split) for file in FILES.values()]


def _folder() -> pathlib.Path:
  spec = importlib.util.find_spec('skimage')  # finds without importing
  if spec is None:
    raise BadInputError(
      'data.name is photos, whose photographs ship in scikit-image, which is'
      ' not installed; pip install scikit-image==0.26.* would be right'
    )
  return pathlib.Path(spec.submodule_search_locations[0]) / 'data'


def _part(path: pathlib.Path, split: str) -> Image.Image:
  """Returns the left three quarters, or the right quarter."""
  try:
    photograph = Image.open(path).convert('RGB')
  except OSError as error:
    raise BadInputError(
      f'data.name is photos, but {path} cannot be read ({error});'
      ' scikit-image==0.26.* brings it'
    ) from error
  width, height = photograph.size
  cut = width * 3 // 4
  left, right = (0, cut) if split == 'train' else (cut, width)
  return photograph.crop((left, 0, right, height))


def windows(image: Image.Image, count: int, rng) -> list[tuple[int, ...]]:
  """Draws squares of random size anywhere in an image.

  Args:
    image: to cut from.
    count: how many.
    rng: numpy Generator.

  Returns:
    (left, top, side) of each, in pixels.
  """
  sides = np.exp(rng.uniform(*np.log(SCALE), size=count)).round().astype(int)
  xs = rng.integers(0, image.width - sides + 1)
  ys = rng.integers(0, image.height - sides + 1)
  return list(zip(xs.tolist(), ys.tolist(), sides.tolist(), strict=True))


def cut(image: Image.Image, window) -> np.ndarray:
  """Resizes a window (left, top, side) to uint8 [32, 32, 3], antialiased."""
  x, y, side = window
  box = (x, y, x + side, y + side)
  resized = image.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box)
  return np.asarray(resized)
