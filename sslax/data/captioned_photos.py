"""`captioned_photos`: crops of photographs with made-up captions, no download.

The images are those of `photos`. The captions are synthetic: nobody wrote them.
A program puts together what the photograph shows, where in it the crop lies,
how close it is and what color it mostly has. It is a smoke test of learning
from pairs, not a benchmark.
"""

import numpy as np

from sslax.data import arrays, photos, tokenizer
from sslax.data import source as sources

NAMES = {
  'astronaut': 'an astronaut',
  'chelsea': 'a cat',
  'coffee': 'a cup of coffee',
  'hubble_deep_field': 'deep space',
  'immunohistochemistry': 'stained tissue',
  'retina': 'a retina',
  'rocket': 'a rocket',
}
PROMPTS = ('a photo of {}', 'a close-up of {}', 'this is {}')
_TEMPLATES = (
  'a photo of {name}, the {place}, mostly {color}',
  '{distance} of {name}: {color}, at the {place}',
  'this is the {place} of {name} in {color}',
  'mostly {color}, {distance} of {name}',
)
_CLOSE = 48  # pixels; smaller windows are close-ups
_ROWS = ('upper', 'middle', 'lower')
_COLUMNS = ('left', 'center', 'right')
_COLORS = {
  'black': (20, 20, 20),
  'gray': (120, 120, 120),
  'white': (230, 230, 230),
  'red': (190, 50, 40),
  'orange': (220, 130, 40),
  'brown': (120, 80, 50),
  'beige': (200, 175, 145),
  'yellow': (220, 200, 60),
  'green': (80, 130, 60),
  'blue': (70, 100, 170),
  'purple': (130, 80, 150),
}


def load(
  *,
  split: str,
  image_size: int,
  vocabulary: int = 4096,
  text_length: int = 32,
  seed: int = 0,
) -> sources.Source:
  """Cuts the crops, as many as `photos` has, and captions each.

  Args:
    split: 'train' or 'test'.
    image_size: side that evaluation sees, in pixels.
    vocabulary: tokens at most, learned from the training captions.
    text_length: tokens of a caption at most.
    seed: of the windows and of the captions.

  Raises:
    BadInputError: scikit-image's photographs are not installed.
  """
  sources.check_split(split)
  _, captions = _pairs('train', seed)
  tokens = tokenizer.train(captions, vocabulary=vocabulary, length=text_length)
  images, captions = _pairs(split, seed)
  return arrays.of_columns(
    {'image': images, 'text': tokens.encode(captions)},
    np.repeat(np.arange(len(NAMES)), photos.COUNTS[split]),
    class_names=tuple(NAMES),
    image_size=image_size,
    name='captioned_photos',
    split=split,
    tokenizer=tokens,
    prompts=tuple(
      tuple(prompt.format(name) for prompt in PROMPTS)
      for name in NAMES.values()
    ),
  )


def _pairs(split: str, seed: int) -> tuple[np.ndarray, list[str]]:
  rng = np.random.default_rng([seed, sources.SPLITS.index(split)])
  images, captions = [], []
  for part, name in zip(photos.parts(split), NAMES.values(), strict=True):
    for window in photos.windows(part, photos.COUNTS[split], rng):
      images.append(photos.cut(part, window))
      captions.append(caption(name, window, part.size, images[-1], rng))
  return np.stack(images), captions


def caption(name: str, window, size, image: np.ndarray, rng) -> str:
  """Says what a crop shows, in one of four templates.

  Args:
    name: of what the photograph shows.
    window: (left, top, side) of the crop, in pixels.
    size: (width, height) of what it was cut from, in pixels.
    image: the crop, [S, S, 3] uint8.
    rng: numpy Generator.
  """
  left, top, side = window
  row, column = (
    min(2, int(3 * (start + side / 2) / length))
    for start, length in ((top, size[1]), (left, size[0]))
  )
  gaps = [np.abs(image.mean((0, 1)) - c).sum() for c in _COLORS.values()]
  return _TEMPLATES[rng.integers(len(_TEMPLATES))].format(
    name=name,
    place=f'{_ROWS[row]} {_COLUMNS[column]}',
    distance='a close-up' if side < _CLOSE else 'a wider view',
    color=tuple(_COLORS)[int(np.argmin(gaps))],
  )
