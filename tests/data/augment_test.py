import colorsys
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from sslax.data import augment

_RNG = np.random.default_rng(0)
_PHOTO = _RNG.integers(0, 256, (13, 21, 3), dtype=np.uint8)
_FLAT = np.full((13, 21, 3), 0.3, np.float32)


def _unit(picture):
  return np.asarray(picture).astype(np.float32) / 255


def _uniforms(*shape, seed=0):
  return jax.random.uniform(jax.random.key(seed), shape, jnp.float32)


def _pillow_crop(image, box, size, interpolation):
  """Pillow's resize of a crop, in floating point, channel by channel."""
  top, left, height, width = box
  method = getattr(Image.Resampling, interpolation.upper())
  crop = image[top : top + height, left : left + width]
  channels = [
    np.asarray(Image.fromarray(c).resize((size, size), method))
    for c in np.moveaxis(crop, -1, 0)
  ]
  return np.stack(channels, -1).clip(0, 1)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _crop(image, box, size, interpolation):
  return augment.resized_crop(image, box, size, interpolation)


BOXES = [
  (0, 0, 13, 21),  # the whole image, not square
  (3, 5, 1, 1),
  (12, 20, 1, 1),
  (2, 0, 11, 3),
  (0, 4, 9, 17),
]


@pytest.mark.parametrize('interpolation', augment.INTERPOLATIONS)
@pytest.mark.parametrize('size', [4, 24])
def test_resized_crop_equals_pillow(size, interpolation):
  image = _unit(_PHOTO)
  for box in BOXES:
    actual = _crop(image, augment.Box(*box), size, interpolation)
    expected = _pillow_crop(image, box, size, interpolation)
    np.testing.assert_allclose(actual, expected, atol=2e-6)


@pytest.mark.parametrize('interpolation', augment.INTERPOLATIONS)
def test_the_whole_image_at_its_size_is_itself(interpolation):
  image = _unit(_PHOTO[:, :13])
  box = augment.Box(0, 0, 13, 13)
  np.testing.assert_array_equal(_crop(image, box, 13, interpolation), image)


def _reference_box(uniforms, height, width, scale, ratio):
  """torchvision's loop, with its draws given."""
  u = np.asarray(uniforms, np.float64)
  for i in range(10):
    area = height * width * (scale[0] + (scale[1] - scale[0]) * u[i])
    low, high = map(math.log, ratio)
    aspect = math.exp(low + (high - low) * u[10 + i])
    w = round(math.sqrt(area * aspect))
    h = round(math.sqrt(area / aspect))
    if 0 < w <= width and 0 < h <= height:
      top, left = int(u[20] * (height - h + 1)), int(u[21] * (width - w + 1))
      return top, left, h, w
  w, h = width, height
  if width / height < min(ratio):
    h = round(width / min(ratio))
  elif width / height > max(ratio):
    w = round(height * max(ratio))
  return (height - h) // 2, (width - w) // 2, h, w


@pytest.mark.parametrize(
  ('height', 'width', 'scale'),
  [
    (32, 32, (0.08, 1.0)),
    (20, 90, (0.6, 1.0)),  # mostly too wide: many tries and fallbacks
    (90, 20, (0.6, 1.0)),
    (4, 4, (0.001, 0.2)),  # sides that round to nothing
  ],
)
def test_crop_box_is_torchvisions(height, width, scale):
  ratio = (3 / 4, 4 / 3)
  uniforms = _uniforms(200, augment.NUM_CROP_UNIFORMS)
  draw = functools.partial(
    augment.crop_box, height=height, width=width, scale=scale, ratio=ratio
  )
  boxes = np.stack(jax.jit(jax.vmap(draw))(uniforms), -1)
  assert boxes.dtype == np.int32
  expected = [_reference_box(u, height, width, scale, ratio) for u in uniforms]
  np.testing.assert_array_equal(boxes, expected)


def test_crop_boxes_cover_scale_ratio_and_place():
  uniforms = _uniforms(4000, augment.NUM_CROP_UNIFORMS)
  draw = functools.partial(
    augment.crop_box, height=200, width=200, scale=(0.1, 0.3), ratio=(0.5, 2)
  )
  top, left, h, w = (np.asarray(v) for v in jax.jit(jax.vmap(draw))(uniforms))
  area = h * w / 200**2
  assert 0.095 < area.min() < 0.105
  assert 0.295 < area.max() < 0.305
  assert abs(area.mean() - 0.2) < 0.005
  assert abs(np.log(w / h).mean()) < 0.03
  assert abs(np.log(w / h).std() - math.log(2) / math.sqrt(3)) < 0.02
  for start, length in ((top, h), (left, w)):
    assert start.min() == 0
    assert (start + length).max() == 200
    assert abs((start / (200 - length)).mean() - 0.5) < 0.02


def test_flip_mirrors_left_and_right():
  expected = np.asarray(ImageOps.mirror(Image.fromarray(_PHOTO)))
  np.testing.assert_array_equal(augment.flip(_unit(_PHOTO)), _unit(expected))


@pytest.mark.parametrize('factor', [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize(
  ('change', 'enhance'),
  [
    (augment.brightness, ImageEnhance.Brightness),
    (augment.contrast, ImageEnhance.Contrast),
    (augment.saturation, ImageEnhance.Color),
  ],
)
def test_blends_equal_pillow(change, enhance, factor):
  actual = jax.jit(change)(_unit(_PHOTO), factor)
  expected = enhance(Image.fromarray(_PHOTO)).enhance(factor)
  # Pillow rounds the gray, its mean and the result to whole levels.
  np.testing.assert_allclose(actual, _unit(expected), atol=2.1 / 255)


def _reference_hue(image, shift):
  rotated = [
    colorsys.hsv_to_rgb((h + shift) % 1, s, v)
    for h, s, v in (
      colorsys.rgb_to_hsv(*map(float, p)) for p in image.reshape(-1, 3)
    )
  ]
  return np.reshape(rotated, image.shape)


@pytest.mark.parametrize('shift', [-0.5, -0.21, 0.0, 0.1, 0.5])
def test_hue_equals_colorsys(shift):
  image = _unit(_PHOTO).copy()
  image[0, :8] = [  # black, white, gray, pure and tied colors
    *[(0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5), (1, 0, 0)],
    *[(0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1)],
  ]
  actual = jax.jit(augment.hue)(image, shift)
  np.testing.assert_allclose(actual, _reference_hue(image, shift), atol=2e-6)


_CHANGES = (
  augment.brightness,
  augment.contrast,
  augment.saturation,
  augment.hue,
)


def test_jitter_applies_its_operations_in_its_order():
  image = _unit(_PHOTO)
  apply = jax.jit(augment.apply_jitter)
  settings = jnp.asarray([1.3, 0.6, 1.4, 0.08], jnp.float32)
  changes = [jax.jit(c) for c in _CHANGES]
  results = []
  for order in augment._ORDERS:
    expected = image
    for operation in order:
      expected = changes[operation](expected, settings[operation])
    results.append(apply(image, augment.Jitter(*settings, jnp.asarray(order))))
    np.testing.assert_allclose(results[-1], expected, atol=2e-6)
  # The orders differ, so that the comparison above can tell them apart.
  assert np.abs(np.diff(results, axis=0)).max((1, 2, 3)).min() > 1e-3


def test_jitter_draws_torchvisions_ranges_and_every_order():
  uniforms = _uniforms(12000, augment.NUM_JITTER_UNIFORMS)
  draw = functools.partial(
    augment.draw_jitter, brightness=0.4, contrast=1.5, saturation=0.2, hue=0.1
  )
  drawn = jax.jit(jax.vmap(draw))(uniforms)
  bounds = [(0.6, 1.4), (0.0, 2.5), (0.8, 1.2), (-0.1, 0.1)]
  for values, (low, high) in zip(drawn[:4], bounds, strict=True):
    assert low <= values.min() < low + 0.01
    assert high - 0.01 < values.max() <= high
    assert abs(values.mean() - (low + high) / 2) < 0.03
  orders, counts = np.unique(drawn.order, axis=0, return_counts=True)
  assert len(orders) == 24
  assert np.abs(counts - 500).max() < 5 * math.sqrt(500)


def test_no_hue_leaves_the_rotation_out():
  jitter = augment.draw_jitter(_uniforms(5), 0, 0, 0, 0)
  image = _unit(_PHOTO)
  np.testing.assert_array_equal(augment.apply_jitter(image, jitter), image)


def test_grayscale_is_the_luma_in_every_channel():
  gray = augment.grayscale(_unit(_PHOTO))
  expected = Image.fromarray(_PHOTO).convert('L').convert('RGB')
  np.testing.assert_allclose(gray, _unit(expected), atol=1 / 255)
  np.testing.assert_allclose(augment.grayscale(_FLAT), 0.3 * 0.9999, rtol=1e-6)


@pytest.mark.parametrize('sigma', [0.1, 0.7, 2.0])
def test_blur_equals_scipy(sigma):
  image = _RNG.random((45, 45, 3), dtype=np.float32)
  radius = augment.blur_radius(45)
  assert radius == 2
  expected = ndimage.gaussian_filter(
    image, (sigma, sigma, 0), mode='mirror', radius=(radius, radius, 0)
  )
  actual = jax.jit(augment.blur)(image, sigma)
  np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_the_kernel_is_a_tenth_of_the_image():
  widths = {s: 2 * augment.blur_radius(s) + 1 for s in (16, 32, 96, 224)}
  assert widths == {16: 1, 32: 3, 96: 9, 224: 23}


def test_a_constant_image_stays_exactly_constant():
  flat = np.full((40, 40, 3), 0.3, np.float32)
  np.testing.assert_array_equal(augment.blur(flat, 1.3), flat)
  np.testing.assert_array_equal(augment.hue(flat, 0.2), flat)
  crop = augment.resized_crop(flat, augment.Box(3, 4, 11, 7), 8, 'bicubic')
  np.testing.assert_allclose(crop, flat[:8, :8], rtol=1e-6)


@pytest.mark.parametrize('threshold', [0, 128, 255])
def test_solarize_equals_pillow(threshold):
  expected = ImageOps.solarize(Image.fromarray(_PHOTO), threshold)
  actual = augment.solarize(_unit(_PHOTO), threshold / 255)
  np.testing.assert_allclose(actual, _unit(expected), atol=1e-6)


def _everything(rng, image):
  keys = jax.random.split(rng, 3)
  x = augment.random_resized_crop(keys[0], image, 24)
  x = augment.color_jitter(keys[1], x, 0.8, 0.8, 0.8, 0.2)
  return augment.solarize(augment.gaussian_blur(keys[2], x))


def test_float64_sees_the_same_augmentation(x64):
  run = jax.jit(_everything)
  image = _unit(_PHOTO)
  single = run(jax.random.key(3), image)
  double = run(jax.random.key(3), image.astype(np.float64))
  assert single.dtype == np.float32
  assert double.dtype == np.float64
  # Near the threshold of the solarization x and 1 - x are both 0.5.
  np.testing.assert_allclose(single, double, atol=1e-4)
  assert 0 <= double.min() < double.max() <= 1
