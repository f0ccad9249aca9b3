"""Positions of patches on a grid: sine-cosine tables and interpolation."""

import jax.numpy as jnp
import numpy as np

_CUBIC = -0.75  # the a of torch's bicubic kernel
_OFFSET = 0.1  # DINO adds it to the new grid's sides


def sincos(grid: tuple[int, int], width: int) -> np.ndarray:
  """Sine-cosine table: row by row, the column in the first half of D.

  Args:
    grid: rows and columns of patches.
    width: D, a multiple of 4.

  Returns:
    [N, D] float64: sin and cos of the column, then of the row, times
    10000^(-4k/D).

  References:
    https://github.com/facebookresearch/mae/blob/main/util/pos_embed.py.

  Deviations:
    Chen et al.'s MoCo v3 has the row first, which only permutes the features.
  """
  omega = 10000.0 ** -(np.arange(width // 4) / (width / 4))
  rows, columns = np.indices(grid).reshape(2, -1, 1) * omega
  return np.concatenate(
    [np.sin(columns), np.cos(columns), np.sin(rows), np.cos(rows)], axis=1
  )


def interpolate(table, old: tuple[int, int], new: tuple[int, int]):
  """Bicubic interpolation of a table of positions, as DINO does it.

  Args:
    table: [N, D], row by row over the old grid.
    old: rows and columns of the table.
    new: rows and columns wanted.

  Returns:
    [M, D], row by row over the new grid, in the table's dtype.

  References:
    https://github.com/facebookresearch/dino/blob/main/vision_transformer.py
    (interpolate_pos_encoding), with torch's bicubic kernel.
  """
  if old == new:
    return table
  rows, columns = (
    jnp.asarray(_cubic_weights(*sides), table.dtype)
    for sides in zip(old, new, strict=True)
  )
  grid = table.reshape(*old, -1)
  grid = jnp.einsum('ia,jb,abd->ijd', rows, columns, grid)
  return grid.reshape(-1, table.shape[-1])


def _cubic_weights(old, new):
  """[new, old] weights of torch's bicubic with DINO's scale factor."""
  centers = (np.arange(new) + 0.5) * old / (new + _OFFSET) - 0.5
  first = np.floor(centers).astype(int)
  weights = np.zeros((new, old))
  for shift in range(-1, 3):
    x = np.abs(centers - first - shift)
    a = _CUBIC
    near = ((a + 2) * x - (a + 3)) * x**2 + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    places = np.clip(first + shift, 0, old - 1)
    weights[np.arange(new), places] += np.where(x <= 1, near, far)
  return weights
