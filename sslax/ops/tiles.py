"""Images cut into tiles that do not touch, and put together again."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.errors import BadInputError
from sslax.ops.precision import at_least_float32


def jittered_tiles(rng, images, *, num_side: int = 3, gap: int):
  """Cuts each image into a grid of cells, and of each cell a random tile.

  A tile is `gap` pixels smaller than its cell and lies anywhere in it, so that
  the edges of neighbors cannot be continued by what they show.

  Args:
    rng: key of the places.
    images: [B, H, H, C]; pixels that H // num_side leaves over are not used.
    num_side: cells in a row of the grid.
    gap: pixels by which a tile is smaller than its cell.

  Returns:
    [B, num_side², S, S, C], row by row, with S = H // num_side - gap.

  Raises:
    BadInputError: nothing is left of a cell.
  """
  sizes = shapes.check(images=(images, 'B H H C'))
  cell = sizes['H'] // num_side
  if not 0 <= gap < cell:
    raise BadInputError(
      f'method.gap is {gap}, but {num_side} tiles in {sizes["H"]} pixels have'
      f' {cell} each; 0 to {cell - 1} would be right'
    )
  corners = jnp.stack(
    jnp.meshgrid(*[jnp.arange(num_side)] * 2, indexing='ij'), -1
  )
  corners = cell * corners.reshape(-1, 2)[None]
  jitter = jax.random.randint(
    rng, (sizes['B'], num_side**2, 2), 0, gap + 1, corners.dtype
  )
  size = (cell - gap, cell - gap, sizes['C'])

  def cut(image, corner):
    start = (corner[0], corner[1], jnp.zeros_like(corner[0]))
    return jax.lax.dynamic_slice(image, start, size)

  of_image = jax.vmap(cut, in_axes=(None, 0))
  return jax.vmap(of_image)(images, corners + jitter)


def standardized(tiles, eps=1e-5):
  """Takes from every channel of every tile its mean, and divides by its std.

  Args:
    tiles: [..., S, S, C].
    eps: added to the variance.

  Returns:
    [..., S, S, C], in at least float32.
  """
  x = at_least_float32(tiles)
  axes = (-3, -2)
  x = x - jnp.mean(x, axes, keepdims=True)
  return x / jnp.sqrt(jnp.mean(x * x, axes, keepdims=True) + eps)


def laid_out(tiles, border: int = 1):
  """Puts the tiles of each image side by side, with lines of zeros between.

  Args:
    tiles: [B, N, S, S, C], N a square number, row by row.
    border: half the width of a line, in pixels.

  Returns:
    [B, √N·(S + 2·border), √N·(S + 2·border), C].
  """
  b, n, s, _, c = tiles.shape
  side, s = round(n**0.5), s + 2 * border
  edge, none = (border, border), (0, 0)
  x = jnp.pad(tiles, (none, none, edge, edge, none))
  x = jnp.swapaxes(x.reshape(b, side, side, s, s, c), 2, 3)
  return x.reshape(b, side * s, side * s, c)
