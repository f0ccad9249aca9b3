"""`photo_clips`: videos of a camera over photographs, with no download.

A window pans and zooms over one of the photographs of `photos`; nothing in the
picture moves by itself. The label is the photograph. As in `photos`, train
videos come from the left three quarters of each, test videos from the right
quarter. It is a smoke test of learning, not a benchmark.
"""

import numpy as np

from sslax.data import arrays, photos
from sslax.data import source as sources
from sslax.errors import BadInputError

COUNTS = {'train': 96, 'test': 32}  # videos of each photograph
_ZOOM = 1.5  # largest ratio of the window's sides at the end and the beginning
_PAN = 0.75  # largest way along each axis, in sides of the first window


def load(
  *, split: str, image_size: int, clip_frames: int = 16, seed: int = 0
) -> sources.Source:
  """Makes the videos: 96 of each photograph for training, 32 for testing.

  The first window is one of `photos`; the last is up to 1.5 times larger or
  smaller and up to 0.75 sides away along each axis; between them place and side
  change evenly. Frames are 32 x 32.

  Args:
    split: 'train' or 'test'.
    image_size: side that evaluation sees, in pixels.
    clip_frames: frames of a video.
    seed: of the windows.

  Raises:
    BadInputError: there are fewer than two frames, or scikit-image's
      photographs are not installed.
  """
  sources.check_split(split)
  if clip_frames < 2:
    raise BadInputError(
      f'data.clip_frames is {clip_frames}; it must be at least 2'
    )
  rng = np.random.default_rng([seed, sources.SPLITS.index(split)])
  videos = [
    np.stack([photos.cut(part, window) for window in path])
    for part in photos.parts(split)
    for first in photos.windows(part, COUNTS[split], rng)
    for path in [camera(part.size, first, clip_frames, rng)]
  ]
  return arrays.of_columns(
    {'video': np.stack(videos)},
    np.repeat(np.arange(len(photos.FILES)), COUNTS[split]),
    class_names=tuple(photos.FILES),
    image_size=image_size,
    name='photo_clips',
    split=split,
  )


def camera(size, first, num_frames: int, rng) -> np.ndarray:
  """The windows of a video, from the first to a last that is drawn.

  Args:
    size: (width, height) of the image, in pixels.
    first: (left, top, side), in pixels.
    num_frames: T.
    rng: numpy Generator.

  Returns:
    [T, 3] float64: left, top and side of each, within the image.
  """
  first = np.array(first, np.float64)
  side = first[2] * np.exp(rng.uniform(-1, 1) * np.log(_ZOOM))
  side = min(side, *size)
  corner = first[:2] + rng.uniform(-_PAN, _PAN, 2) * first[2]
  corner = np.clip(corner, 0, np.array(size) - side)
  return np.linspace(first, [*corner, side], num_frames)
