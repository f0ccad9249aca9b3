"""Square blocks of images: where, hidden, cut out and put back."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.errors import BadInputError

PLACES = ('center', 'random')


def corners_of(rng, images, size: int, place: str = 'center'):
  """Chooses a block in each image.

  Args:
    rng: key of random places.
    images: [B, H, W, C].
    size: side of the block, in pixels.
    place: 'center', or 'random' for anywhere.

  Returns:
    [B, 2] int32, row and column of the upper left pixel.

  Raises:
    BadInputError: another place, or a block that is larger than the image.
  """
  sizes = shapes.check(images=(images, 'B H W C'))
  room = jnp.array([[sizes['H'] - size, sizes['W'] - size]], jnp.int32)
  if place not in PLACES:
    raise BadInputError(
      f'method.place is {place!r}; one of {", ".join(PLACES)} would be right'
    )
  if not 1 <= size <= min(sizes['H'], sizes['W']):
    raise BadInputError(
      f'method.block_size is {size} in views of {sizes["H"]} x {sizes["W"]};'
      ' half of a side would be right'
    )
  if place == 'center':
    return jnp.tile(room // 2, (sizes['B'], 1))
  return jax.random.randint(rng, (sizes['B'], 2), 0, room + 1)


def cut(images, corners, size: int):
  """Cuts the blocks out.

  Args:
    images: [B, H, W, C].
    corners: [B, 2] int.
    size: side of a block.

  Returns:
    [B, size, size, C].
  """

  def one(image, corner):
    start = (corner[0], corner[1], jnp.zeros_like(corner[0]))
    return jax.lax.dynamic_slice(image, start, (size, size, image.shape[-1]))

  return jax.vmap(one)(images, corners)


def paste(images, corners, blocks):
  """Puts blocks in their places.

  Args:
    images: [B, H, W, C].
    corners: [B, 2] int.
    blocks: [B, S, S, C].

  Returns:
    [B, H, W, C].
  """

  def one(image, corner, block):
    start = (corner[0], corner[1], jnp.zeros_like(corner[0]))
    return jax.lax.dynamic_update_slice(image, block, start)

  return jax.vmap(one)(images, corners, blocks.astype(images.dtype))


def inside(size: int, margin: int):
  """Returns [size, size] bool: which pixels are off the edge by the margin."""
  at = jnp.arange(size)
  line = (at >= margin) & (at < size - margin)
  return line[:, None] & line[None, :]
