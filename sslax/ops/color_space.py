"""CIE Lab, in which distances of colors are as they look."""

import jax.numpy as jnp
import numpy as np

from sslax import shapes
from sslax.ops.precision import at_least_float32

_XYZ_OF_RGB = np.array([
  [0.412453, 0.357580, 0.180423],
  [0.212671, 0.715160, 0.072169],
  [0.019334, 0.119193, 0.950227],
])  # fmt: skip
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65, seen at 2 degrees
_LINEAR_BELOW = 0.008856  # of a share of white; the cube root above
_SLOPE = 7.787


def rgb_to_lab(rgb):
  """Turns sRGB colors into CIE Lab under the white D65.

  Args:
    rgb: [..., 3] in [0, 1].

  Returns:
    [..., 3], in at least float32: lightness L in [0, 100], a (green to red) in
    about [-86, 98], b (blue to yellow) in about [-108, 94].

  References:
    IEC 61966-2-1:1999 (sRGB), and CIE 1976 L*a*b*, with the constants of
    skimage.color in https://github.com/scikit-image/scikit-image.

  >>> [round(float(x), 2) for x in rgb_to_lab(jnp.array([1.0, 0.0, 0.0]))]
  [53.24, 80.09, 67.2]
  """
  shapes.check(rgb=(rgb, '... 3'))
  rgb = at_least_float32(rgb)
  curved = ((jnp.maximum(rgb, 0.04045) + 0.055) / 1.055) ** 2.4
  linear = jnp.where(rgb > 0.04045, curved, rgb / 12.92)
  xyz = _times(linear, _XYZ_OF_RGB / _WHITE[:, None])
  root = jnp.cbrt(jnp.maximum(xyz, _LINEAR_BELOW))
  f = jnp.where(xyz > _LINEAR_BELOW, root, _SLOPE * xyz + 16 / 116)
  x, y, z = (f[..., i] for i in range(3))
  return jnp.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def lab_to_rgb(lab):
  """Turns CIE Lab into sRGB; colors that sRGB does not have are clipped.

  Args:
    lab: [..., 3], as `rgb_to_lab` gives them.

  Returns:
    [..., 3] in [0, 1], in at least float32.
  """
  shapes.check(lab=(lab, '... 3'))
  lab = at_least_float32(lab)
  y = (lab[..., 0] + 16) / 116
  x, z = y + lab[..., 1] / 500, y - lab[..., 2] / 200
  f = jnp.stack([x, y, jnp.maximum(z, 0)], -1)
  xyz = jnp.where(f**3 > _LINEAR_BELOW, f**3, (f - 16 / 116) / _SLOPE)
  linear = _times(xyz, np.linalg.inv(_XYZ_OF_RGB / _WHITE[:, None]))
  curved = 1.055 * jnp.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
  rgb = jnp.where(linear > 0.0031308, curved, 12.92 * linear)
  return jnp.clip(rgb, 0, 1)


def _times(colors, matrix):
  """Applies a matrix to each color; a sum, which no device rounds coarsely."""
  matrix = jnp.asarray(matrix, colors.dtype)
  rows = [jnp.sum(colors * row.reshape((1,) * (colors.ndim - 1) + (3,)), -1)
          for row in matrix]  # fmt: skip
  return jnp.stack(rows, -1)
