"""Images cut into a grid of overlapping patches."""

import jax
import jax.numpy as jnp
import numpy as np

from sslax import shapes
from sslax.errors import BadInputError


def patch_grid(images, size: int, stride: int):
  """Cuts images into patches that start every `stride` pixels.

  Args:
    images: [B, H, W, C].
    size: side p of a patch, in pixels.
    stride: pixels between the starts of two neighbors.

  Returns:
    [B, rows, columns, p, p, C]; pixels that do not fill a patch are left out.

  Raises:
    BadInputError: no patch fits.
  """
  sizes = shapes.check(images=(images, 'B H W C'))
  if not 1 <= size <= min(sizes['H'], sizes['W']) or stride < 1:
    raise BadInputError(
      f'method.patch_size is {size} and method.stride is {stride} in views of'
      f' {sizes["H"]} x {sizes["W"]}; a quarter and an eighth of them would be'
      ' right'
    )
  rows, columns = (
    np.arange(0, sizes[side] - size + 1, stride)[:, None] + np.arange(size)
    for side in 'HW'
  )
  x = images[:, rows][:, :, :, columns]  # [B, rows, p, columns, p, C]
  return jnp.swapaxes(x, 2, 3)


def jittered(rng, patches, jitter: int):
  """Takes of each patch a random smaller one, and fills it up with zeros.

  Args:
    rng: key of the places.
    patches: [B, ..., p, p, C].
    jitter: pixels by which the smaller ones are smaller.

  Returns:
    Array of the shape of patches; zeros are around the middle.
  """
  if not jitter:
    return patches
  *batch, size, _, channels = patches.shape
  flat = patches.reshape(-1, size, size, channels)
  starts = jax.random.randint(rng, (len(flat), 2), 0, jitter + 1)
  smaller = (size - jitter, size - jitter, channels)

  def cut(patch, start):
    start = (start[0], start[1], jnp.zeros_like(start[0]))
    return jax.lax.dynamic_slice(patch, start, smaller)

  edge = (jitter // 2, jitter - jitter // 2)
  padded = jnp.pad(jax.vmap(cut)(flat, starts), ((0, 0), edge, edge, (0, 0)))
  return padded.reshape(*batch, size, size, channels)
