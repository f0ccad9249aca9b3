"""Frames around pictures, whose color says to which group they belong."""

import jax
import jax.numpy as jnp


def framed(images, groups, *, share: float = 1 / 16):
  """Draws a frame around each image; one group has one color.

  Args:
    images: [B, H, W, 3], any range, such as views.
    groups: int32 [B], of any number of groups.
    share: of the height that the frame is wide; at least one pixel.

  Returns:
    [B, H, W, 3]; each channel of a frame is the lowest or highest value of the
    images, or one between.

  >>> shown = framed(jnp.zeros((1, 4, 4, 3)).at[0, 0].set(1), jnp.array([7]))
  >>> float(jnp.abs(shown[0, 0, 0] - shown[0, -1, 1]).sum())
  0.0
  """
  color = jax.vmap(_color)(groups).astype(images.dtype)
  low, high = images.min(), images.max()
  color = low + (high - low) * color
  width = max(1, round(share * images.shape[1]))
  places = [jnp.arange(n) for n in images.shape[1:3]]
  rows, columns = ((p < width) | (p >= len(p) - width) for p in places)
  edge = rows[:, None] | columns[None, :]
  return jnp.where(edge[None, :, :, None], color[:, None, None], images)


def _color(group):
  return jax.random.uniform(jax.random.key(group), (3,), jnp.float32)
