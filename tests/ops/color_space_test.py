"""CIE Lab, against scikit-image."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
from skimage import color

from sslax.ops.color_space import lab_to_rgb, rgb_to_lab


def _colors():
  """Corners, grays, dark and random colors, [N, 3]."""
  rng = np.random.default_rng(0)
  corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3), -1).reshape(-1, 3)
  grays = np.linspace(0, 1, 16)[:, None].repeat(3, 1)
  dark = rng.uniform(0, 0.05, (32, 3))
  return np.concatenate([corners, grays, dark, rng.uniform(size=(64, 3))])


def test_equals_scikit_image(x64):
  rgb = _colors()
  lab = jax.jit(rgb_to_lab)(rgb)
  np.testing.assert_allclose(lab, color.rgb2lab(rgb), atol=1e-9)
  assert lab.dtype == jnp.float64


def test_back_equals_scikit_image_also_outside_of_the_gamut(x64):
  rng = np.random.default_rng(1)
  lab = rng.uniform((0, -110, -110), (100, 110, 110), (256, 3))
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # scikit-image warns of such colors
    expected = color.lab2rgb(lab)
  np.testing.assert_allclose(jax.jit(lab_to_rgb)(lab), expected, atol=1e-9)


def test_there_and_back_is_the_same_color():
  rgb = _colors().astype(np.float32)
  np.testing.assert_allclose(lab_to_rgb(rgb_to_lab(rgb)), rgb, atol=2e-5)
