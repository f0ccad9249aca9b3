"""What happens to one kind of view, and one view of one image."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.data import augment
from sslax.errors import BadInputError


class ViewPolicy(NamedTuple):
  """What happens to one kind of view, in this order.

  Attributes:
    size: side of the view, in pixels.
    num_crops: how many independent views of this kind.
    crop_scale: smallest and largest share of the image's area.
    crop_ratio: smallest and largest width / height.
    interpolation: of the crop, 'bilinear' or 'bicubic'.
    flip_prob: chance of a left-right flip.
    jitter_prob: chance of the color jitter.
    brightness: b; its factor is uniform in [max(0, 1 - b), 1 + b].
    contrast: likewise.
    saturation: likewise.
    hue: h; the shift is uniform in [-h, h] of the color circle.
    grayscale_prob: chance of losing the colors.
    blur_prob: chance of a Gaussian blur.
    blur_sigma: its smallest and largest standard deviation, in pixels.
    solarize_prob: chance of solarization at 0.5.
  """

  size: int
  num_crops: int = 1
  crop_scale: tuple[float, float] = (0.08, 1.0)
  crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
  interpolation: str = 'bicubic'
  flip_prob: float = 0.5
  jitter_prob: float = 0.8
  brightness: float = 0.4
  contrast: float = 0.4
  saturation: float = 0.2
  hue: float = 0.1
  grayscale_prob: float = 0.2
  blur_prob: float = 0.5
  blur_sigma: tuple[float, float] = (0.1, 2.0)
  solarize_prob: float = 0.0


# One draw gives a view all its random numbers: threefry's cost is mostly the
# number of calls. The places are fixed, so that a change of one probability
# leaves all other draws as they were.
_CROP = slice(0, augment.NUM_CROP_UNIFORMS)
_JITTER = slice(_CROP.stop, _CROP.stop + augment.NUM_JITTER_UNIFORMS)
_FLIPS, _JITTERS, _GRAYS, _BLURS, _SIGMA, _SOLARIZES = range(
  _JITTER.stop, _JITTER.stop + 6
)
_NUM_UNIFORMS = _SOLARIZES + 1


def _sometimes(uniform, prob, change, image):
  """Changes the image where uniform < prob; certainties cost nothing."""
  if prob == 0:
    return image
  # On planes, so that the transpositions between augmentations cancel out.
  x = augment.planes(change(image))
  if prob < 1:
    x = jnp.where(uniform < prob, x, augment.planes(image))
  return augment.from_planes(augment.materialize(x))


def augmented(rng, image, policy: ViewPolicy):
  """One view of one image.

  Args:
    rng: one key.
    image: [H, W, 3] in [0, 1], float32 or float64.
    policy: what to do.

  Returns:
    [size, size, 3] in [0, 1], of the image's dtype.
  """
  sizes = shapes.check(image=(image, 'H W 3'))
  u = jax.random.uniform(rng, (_NUM_UNIFORMS,), jnp.float32)
  box = augment.crop_box(
    u[_CROP], sizes['H'], sizes['W'], policy.crop_scale, policy.crop_ratio
  )
  jitter = augment.draw_jitter(
    u[_JITTER],
    policy.brightness,
    policy.contrast,
    policy.saturation,
    policy.hue,
  )
  low, high = policy.blur_sigma
  sigma = low + (high - low) * u[_SIGMA]
  x = augment.resized_crop(image, box, policy.size, policy.interpolation)
  for uniform, prob, change in (
    (u[_FLIPS], policy.flip_prob, augment.flip),
    (
      u[_JITTERS],
      policy.jitter_prob,
      functools.partial(augment.apply_jitter, jitter=jitter),
    ),
    (u[_GRAYS], policy.grayscale_prob, augment.grayscale),
    (
      u[_BLURS],
      policy.blur_prob,
      functools.partial(augment.blur, sigma=sigma),
    ),
    (u[_SOLARIZES], policy.solarize_prob, augment.solarize),
  ):
    x = _sometimes(uniform, prob, change, x)
  return x


def require(holds, key, value, right):
  """Raises BadInputError on `views.key` unless something holds.

  Args:
    holds: whether the value is right.
    key: the argument's name.
    value: what was given.
    right: what it must be, in words.
  """
  if not holds:
    raise BadInputError(f'views.{key} is {value!r}; it must be {right}')


def _check_range(value, key, high=float('inf')):
  bound = 'above 0' if high == float('inf') else f'in (0, {high}]'
  right = f'two numbers {bound}, the smaller first'
  pair = isinstance(value, (tuple, list)) and len(value) == 2
  require(pair and 0 < value[0] <= value[1] <= high, key, value, right)


def check(policy: ViewPolicy):
  """Refuses values that no view can have.

  Args:
    policy: to look at.

  Raises:
    BadInputError: naming the argument.
  """
  for key in ('size', 'num_crops'):
    value = getattr(policy, key)
    whole = isinstance(value, int) and value >= 1
    require(whole, key, value, 'a whole number of at least 1')
  for key in ('flip', 'jitter', 'grayscale', 'blur', 'solarize'):
    value = getattr(policy, f'{key}_prob')
    require(0 <= value <= 1, f'{key}_prob', value, 'in [0, 1]')
  for key in ('brightness', 'contrast', 'saturation'):
    require(getattr(policy, key) >= 0, key, getattr(policy, key), 'at least 0')
  require(0 <= policy.hue <= 0.5, 'hue', policy.hue, 'in [0, 0.5]')
  _check_range(policy.crop_scale, 'crop_scale', high=1)
  _check_range(policy.crop_ratio, 'crop_ratio')
  _check_range(policy.blur_sigma, 'blur_sigma')
  known = augment.INTERPOLATIONS
  interpolation = policy.interpolation
  right = f'one of {", ".join(known)}'
  require(interpolation in known, 'interpolation', interpolation, right)
