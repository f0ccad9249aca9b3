"""Augmentations of one image, as pure functions of fixed shape.

Every function takes one image [H, W, 3], RGB in [0, 1], float32 or float64,
and gives one of the same dtype; `jax.vmap` makes batches. Functions with an
`rng` draw their parameters, the others are given them. All draws are float32
whatever the image's dtype, so that float64 sees the same crops and colors.

Colors and crops follow torchvision, which most papers' recipes mean. Inside,
an image is three planes [3, H, W]: on a CPU the innermost axis is the one that
is vectorized, and three channels would leave most of a vector empty.
"""

import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sslax import shapes

_LUMA = (0.2989, 0.587, 0.114)
_NUM_TRIES = 10  # torchvision's
NUM_CROP_UNIFORMS = 2 * _NUM_TRIES + 2
NUM_JITTER_UNIFORMS = 5
_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(4)
_ORDERS = np.array(list(itertools.permutations(range(4))), np.int32)


class Box(NamedTuple):
  """A crop in whole pixels, like torchvision's (i, j, h, w)."""

  top: jax.Array
  left: jax.Array
  height: jax.Array
  width: jax.Array


class Jitter(NamedTuple):
  """What one color jitter does.

  Attributes:
    brightness: factor, at least 0.
    contrast: factor, at least 0.
    saturation: factor, at least 0.
    hue: share of the color circle in [-0.5, 0.5], or None for no rotation.
    order: [4], a permutation; 0 brightness, 1 contrast, 2 saturation, 3 hue.
  """

  brightness: jax.Array
  contrast: jax.Array
  saturation: jax.Array
  hue: jax.Array | None
  order: jax.Array


def planes(image):
  """[H, W, 3] -> [3, H, W]."""
  return jnp.transpose(image, (2, 0, 1))


def from_planes(x):
  """[3, H, W] -> [H, W, 3]."""
  return jnp.transpose(x, (1, 2, 0))


def materialize(x):
  """Asks XLA to keep x apart from what reads it (see decision 0004)."""
  return jax.lax.optimization_barrier(x)


def _between(uniform, low, high):
  return low + (high - low) * uniform


# Crops.


def central_box(height: int, width: int, ratio=(1.0, 1.0)) -> Box:
  """The largest central box of an aspect ratio (width / height) within `ratio`.

  Args:
    height: of the image, in pixels.
    width: of the image, in pixels.
    ratio: smallest and largest aspect ratio.
  """
  h, w = height, width
  if w / h < min(ratio):
    h = round(w / min(ratio))
  elif w / h > max(ratio):
    w = round(h * max(ratio))
  return Box((height - h) // 2, (width - w) // 2, h, w)


def crop_box(uniforms, height: int, width: int, scale, ratio) -> Box:
  """Draws a box: the first of ten tries that fits, else the central one.

  A try has an area uniform in `scale` and an aspect ratio log-uniform in
  `ratio`, sides rounded to whole pixels; the place is uniform among all.

  Args:
    uniforms: [NUM_CROP_UNIFORMS] float32 in [0, 1).
    height: of the image, in pixels.
    width: of the image, in pixels.
    scale: smallest and largest share of the image's area.
    ratio: smallest and largest width / height.

  Returns:
    A Box of int32 scalars within the image.

  References:
    torchvision.transforms.RandomResizedCrop.get_params.
  """
  shapes.check(uniforms=(uniforms, f'{NUM_CROP_UNIFORMS}'))
  tries = uniforms[: 2 * _NUM_TRIES].reshape(2, _NUM_TRIES)
  area = _between(tries[0], *(s * height * width for s in scale))
  aspect = jnp.exp(_between(tries[1], *(math.log(r) for r in ratio)))
  w = jnp.round(jnp.sqrt(area * aspect)).astype(jnp.int32)
  h = jnp.round(jnp.sqrt(area / aspect)).astype(jnp.int32)
  fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
  first, found = jnp.argmax(fits), jnp.any(fits)
  top, left = (
    jnp.floor(u * (n + 1).astype(u.dtype)).astype(jnp.int32)
    for u, n in zip(
      uniforms[-2:], (height - h[first], width - w[first]), strict=True
    )
  )
  drawn = Box(top, left, h[first], w[first])
  central = central_box(height, width, ratio)
  return Box(
    *(jnp.where(found, a, b) for a, b in zip(drawn, central, strict=True))
  )


def _triangle(x):
  return jnp.maximum(1 - x, 0)


def _cubic(x):
  """Keys' cubic with a = -1/2, as in Pillow and antialiased torchvision."""
  near = 1 + x * x * (1.5 * x - 2.5)
  far = 2 + x * (-4 + x * (2.5 - 0.5 * x))
  return jnp.where(x < 1, near, jnp.where(x < 2, far, jnp.zeros_like(x)))


_KERNELS = {'bilinear': _triangle, 'bicubic': _cubic}
INTERPOLATIONS = tuple(_KERNELS)


def _resampling(start, length, num_pixels, size, interpolation, dtype):
  """[size, num_pixels]: what each new pixel takes from each old one."""
  start, length = (jnp.asarray(n).astype(dtype) for n in (start, length))
  step = length / size
  centers = start + (jnp.arange(size, dtype=dtype) + 0.5) * step
  pixels = jnp.arange(num_pixels, dtype=dtype)[None, :]
  # Where the image shrinks the kernel widens: this is the antialiasing.
  distance = jnp.abs(pixels + 0.5 - centers[:, None]) / jnp.maximum(step, 1)
  weights = _KERNELS[interpolation](distance)
  inside = (pixels >= start) & (pixels < start + length)
  weights = jnp.where(inside, weights, jnp.zeros_like(weights))
  return weights / jnp.sum(weights, axis=1, keepdims=True)


def resized_crop(image, box: Box, size: int, interpolation='bilinear'):
  """Cuts out a box and resizes it to a square, antialiased where it shrinks.

  Two products with small weight matrices, [size, H] and [size, W]: of fixed
  shape whatever the box. Pixels outside the box have no weight, so the result
  is that of cropping first, as in torchvision.

  Args:
    image: [H, W, 3] in [0, 1].
    box: whole pixels within the image.
    size: side of the result, in pixels.
    interpolation: 'bilinear' or 'bicubic'; cubic overshoots are clipped.

  Returns:
    [size, size, 3] in [0, 1].
  """
  sizes = shapes.check(image=(image, 'H W 3'))
  rows = _resampling(
    box.top, box.height, sizes['H'], size, interpolation, image.dtype
  )
  columns = _resampling(
    box.left, box.width, sizes['W'], size, interpolation, image.dtype
  )
  exact = jax.lax.Precision.HIGHEST  # elsewhere float32 products are rounded
  x = jnp.matmul(rows[None], planes(image), precision=exact)
  x = jnp.matmul(x, columns.T[None], precision=exact)
  return from_planes(jnp.clip(x, 0, 1))


def random_resized_crop(
  rng,
  image,
  size,
  scale=(0.08, 1.0),
  ratio=(3 / 4, 4 / 3),
  interpolation='bilinear',
):
  """A random box of the image, resized to a square.

  Args:
    rng: one key.
    image: [H, W, 3] in [0, 1].
    size: side of the result, in pixels.
    scale: smallest and largest share of the image's area.
    ratio: smallest and largest width / height, drawn log-uniformly.
    interpolation: 'bilinear' or 'bicubic'.

  Returns:
    [size, size, 3] in [0, 1].
  """
  sizes = shapes.check(image=(image, 'H W 3'))
  uniforms = jax.random.uniform(rng, (NUM_CROP_UNIFORMS,), jnp.float32)
  box = crop_box(uniforms, sizes['H'], sizes['W'], scale, ratio)
  return resized_crop(image, box, size, interpolation)


def flip(image):
  """The image mirrored left to right.

  Args:
    image: [H, W, 3].
  """
  return from_planes(planes(image)[:, :, ::-1])


# Colors.


def _gray(x):
  return _LUMA[0] * x[0] + _LUMA[1] * x[1] + _LUMA[2] * x[2]


def _blend(x, factor, gray_share, mean_share):
  """clip(factor·x + gray_share·gray(x) + mean_share·mean gray(x)).

  With (f, 0, 0) it is brightness, with (f, 0, 1 - f) contrast, with
  (f, 1 - f, 0) saturation, and with (1, 0, 0) it changes nothing.
  """
  gray = _gray(x)
  added = gray_share * gray + mean_share * jnp.mean(gray)
  return jnp.clip(factor * x + added[None], 0, 1)


def brightness(image, factor):
  """clip(factor · image).

  Args:
    image: [H, W, 3] in [0, 1].
    factor: 0 gives black, 1 the image.
  """
  return jnp.clip(factor * image, 0, 1)


def contrast(image, factor):
  """clip(factor · image + (1 - factor) · mean of the gray image).

  Args:
    image: [H, W, 3] in [0, 1].
    factor: 0 gives one gray, 1 the image.
  """
  return from_planes(_blend(planes(image), factor, 0, 1 - factor))


def saturation(image, factor):
  """clip(factor · image + (1 - factor) · the gray image).

  Args:
    image: [H, W, 3] in [0, 1].
    factor: 0 gives the gray image, 1 the image.
  """
  return from_planes(_blend(planes(image), factor, 1 - factor, 0))


def _rotate(x, shift):
  """Rotates the hue, from sextants of the circle instead of HSV tables.

  A channel is min + chroma · trapezoid(hue), which needs one division where
  the way through HSV and back needs several.
  """
  r, g, b = x[0], x[1], x[2]
  top, low = jnp.max(x, axis=0), jnp.min(x, axis=0)
  chroma = top - low
  inverse = 1 / jnp.where(chroma > 0, chroma, jnp.ones_like(chroma))
  sextant = jnp.where(
    top == r,
    (g - b) * inverse,
    jnp.where(top == g, 2 + (b - r) * inverse, 4 + (r - g) * inverse),
  )
  sextant = sextant + 6 * shift
  sextant = sextant - 6 * jnp.floor(sextant / 6)
  ramps = jnp.stack(
    [
      jnp.abs(sextant - 3) - 1,
      2 - jnp.abs(sextant - 2),
      2 - jnp.abs(sextant - 4),
    ]
  )
  return jnp.clip(low[None] + chroma[None] * jnp.clip(ramps, 0, 1), 0, 1)


def hue(image, shift):
  """Rotates the hue, keeping HSV's value and saturation.

  Args:
    image: [H, W, 3] in [0, 1].
    shift: share of the color circle, in [-0.5, 0.5].
  """
  return from_planes(_rotate(planes(image), shift))


def draw_jitter(uniforms, brightness, contrast, saturation, hue) -> Jitter:
  """Draws what a color jitter does, from torchvision's ranges.

  Args:
    uniforms: [NUM_JITTER_UNIFORMS] float32 in [0, 1).
    brightness: b; the factor is uniform in [max(0, 1 - b), 1 + b].
    contrast: likewise.
    saturation: likewise.
    hue: h in [0, 0.5]; the shift is uniform in [-h, h], and 0 leaves it out.
  """
  shapes.check(uniforms=(uniforms, f'{NUM_JITTER_UNIFORMS}'))
  ranges = brightness, contrast, saturation
  factors = (
    _between(u, max(0, 1 - r), 1 + r)
    for u, r in zip(uniforms[:3], ranges, strict=True)
  )
  shift = _between(uniforms[3], -hue, hue) if hue else None
  which = jnp.floor(uniforms[4] * len(_ORDERS)).astype(jnp.int32)
  return Jitter(*factors, shift, jnp.asarray(_ORDERS)[which])


def _blend_of(jitter: Jitter, operation, enabled, dtype):
  """Factor and shares of the blend that stands at one place of the order."""
  one, zero = jnp.ones((), dtype), jnp.zeros((), dtype)
  is_contrast = enabled & (operation == _CONTRAST)
  is_saturation = enabled & (operation == _SATURATION)
  factor = jnp.where(enabled & (operation == _BRIGHTNESS), jitter[0], one)
  factor = jnp.where(is_contrast, jitter[1], factor)
  factor = jnp.where(is_saturation, jitter[2], factor)
  rest = 1 - factor
  gray_share = jnp.where(is_saturation, rest, zero)
  return factor, gray_share, jnp.where(is_contrast, rest, zero)


def apply_jitter(image, jitter: Jitter):
  """Brightness, contrast, saturation and hue, in the jitter's own order.

  Under vmap a branch on the order would compute every operation at every
  place. Here the costly one, hue, stands once, with three places before it
  and three after, each a blend that changes nothing when it is not its turn.

  Args:
    image: [H, W, 3] in [0, 1].
    jitter: factors and order.

  Returns:
    [H, W, 3] in [0, 1].
  """
  dtype = image.dtype
  jitter = Jitter(
    *(v if v is None else jnp.asarray(v).astype(dtype) for v in jitter[:4]),
    jitter.order,
  )
  hue_place = jnp.argmax(jitter.order == _HUE)
  x = planes(image)
  for place in (0, 1, 2):
    shares = _blend_of(jitter, jitter.order[place], place < hue_place, dtype)
    x = materialize(_blend(x, *shares))
  if jitter.hue is not None:
    x = materialize(_rotate(x, jitter.hue))
  for place in (1, 2, 3):
    shares = _blend_of(jitter, jitter.order[place], place > hue_place, dtype)
    x = materialize(_blend(x, *shares))
  return from_planes(x)


def color_jitter(rng, image, brightness, contrast, saturation, hue):
  """Random brightness, contrast, saturation and hue in random order.

  Args:
    rng: one key.
    image: [H, W, 3] in [0, 1].
    brightness: b; the factor is uniform in [max(0, 1 - b), 1 + b].
    contrast: likewise.
    saturation: likewise.
    hue: h in [0, 0.5]; the shift is uniform in [-h, h].

  Returns:
    [H, W, 3] in [0, 1], clipped after each operation.

  Deviations:
    BYOL's official code adds to the brightness, takes the contrast channel by
    channel and the saturation in HSV (as TensorFlow does); these are
    torchvision's blends, which the later papers' recipes use.
  """
  uniforms = jax.random.uniform(rng, (NUM_JITTER_UNIFORMS,), jnp.float32)
  jitter = draw_jitter(uniforms, brightness, contrast, saturation, hue)
  return apply_jitter(image, jitter)


def grayscale(image):
  """0.2989 R + 0.587 G + 0.114 B in all three channels.

  Args:
    image: [H, W, 3] in [0, 1].
  """
  x = planes(image)
  return from_planes(jnp.broadcast_to(_gray(x)[None], x.shape))


# Filters.


def blur_radius(size: int) -> int:
  """Radius of the blur's kernel, whose width is a tenth of the image's.

  11 at 224 pixels (23 wide), 1 at 32, and 0, no blur, below 20.

  Args:
    size: of the image, in pixels.
  """
  return size // 20


def blur(image, sigma):
  """Gaussian blur with a separable kernel, a tenth of the image wide.

  The image is reflected at its edges (the edge pixel is not repeated).
  Written as x + Σ_j w_j (x_{+j} + x_{-j} - 2 x), so that a constant image
  stays exactly what it is.

  Args:
    image: [H, W, 3] in [0, 1].
    sigma: standard deviation in pixels, above 0.

  Returns:
    [H, W, 3] in [0, 1].

  Deviations:
    The official code of SimCLR and BYOL pads with zeros, which darkens the
    edges.
  """
  sizes = shapes.check(image=(image, 'H W 3'))
  radius = blur_radius(sizes['H'])
  offsets = np.arange(-radius, radius + 1)
  sigma = jnp.asarray(sigma).astype(image.dtype)
  kernel = jnp.exp(-0.5 * (jnp.asarray(offsets, image.dtype) / sigma) ** 2)
  kernel = materialize((kernel / jnp.sum(kernel))[radius:])
  x = planes(image)
  for axis in (1, 2) if radius else ():
    x = materialize(_filter(x, kernel, axis))
  return from_planes(jnp.clip(x, 0, 1))


def _filter(x, kernel, axis):
  """Filters one axis of [3, H, W]; kernel [radius + 1] starts at its middle."""
  radius, length = kernel.shape[0] - 1, x.shape[axis]
  # A gather, as XLA would compute x anew for each part of a padding.
  mirrored = np.pad(np.arange(length), radius, mode='reflect')
  padded = jnp.take(x, mirrored, axis=axis)

  def shifted(offset):
    start = radius + offset
    return jax.lax.slice_in_dim(padded, start, start + length, axis=axis)

  return x + sum(
    kernel[j] * (shifted(j) + shifted(-j) - 2 * x) for j in range(1, radius + 1)
  )


def gaussian_blur(rng, image, sigma=(0.1, 2.0)):
  """Gaussian blur of random standard deviation.

  Args:
    rng: one key.
    image: [H, W, 3] in [0, 1].
    sigma: smallest and largest standard deviation, in pixels; drawn uniformly.

  Returns:
    [H, W, 3] in [0, 1].
  """
  uniform = jax.random.uniform(rng, (), jnp.float32)
  return blur(image, _between(uniform, *sigma))


def solarize(image, threshold=0.5):
  """Keeps x where x < threshold and inverts it, 1 - x, elsewhere.

  Args:
    image: [H, W, 3] in [0, 1].
    threshold: in [0, 1].
  """
  return jnp.where(image < threshold, image, 1 - image)
