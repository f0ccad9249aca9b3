"""Pictures of what a transformer sees, for the report: attention and masks."""

import jax.numpy as jnp

from sslax.method import Picture
from sslax.nets.net import Net

_MOST_HEADS = 6  # shown


def lit(images, weights):
  """Images whose brightness is a map of weights.

  Args:
    images: [B, H, W, 3], any range, such as views.
    weights: [B, h, w] in [0, 1]; h and w divide H and W. 1 leaves the image as
      it is, 0 is black, or the images' lowest value.

  Returns:
    [B, H, W, 3].

  >>> image = jnp.array([[[[0.0, 1.0, 2.0]]]])
  >>> lit(image, jnp.full((1, 1, 1), 0.5)).ravel().tolist()
  [0.0, 0.5, 1.0]
  """
  for axis in (1, 2):
    repeats = images.shape[axis] // weights.shape[axis]
    weights = jnp.repeat(weights, repeats, axis)
  low = images.min()
  return low + (images - low) * weights[..., None].astype(images.dtype)


def attention_maps(encoder: Net, params, stats, images):
  """What the class token of the last block attends to, by head.

  Args:
    encoder: a `vit` on square images, with a class token.
    params: its parameters.
    stats: its batch statistics.
    images: [B, H, H, 3].

  Returns:
    [B, heads, h, h] weights of the patches, each map's largest being 1.
  """
  seen, _ = encoder.apply(
    params, stats, images, train=False, taps=('attention', 'tokens')
  )
  side = round(seen['tokens'].shape[1] ** 0.5)
  weights = seen['attention'][:, :, 0, -(side**2) :]
  weights = weights / weights.max(-1, keepdims=True)
  return weights.reshape(*weights.shape[:2], side, side)


def of_mask(images, mask) -> Picture:
  """Images beside what a mask leaves of them.

  Args:
    images: views [B, H, H, 3].
    mask: bool [B, N], 1 = hidden, square patches row by row.
  """
  side = round(mask.shape[1] ** 0.5)
  seen = lit(images, 1 - mask.reshape(-1, side, side).astype(images.dtype))
  caption = 'Black patches are hidden from the student.'
  names = ('teacher', 'student')
  return Picture('Masks', caption, (images, seen), names, is_view=True)


def pictures(encoder: Net, params, stats, images) -> tuple[Picture, ...]:
  """Images lit by the attention of each head; none of a network without blocks.

  Args:
    encoder: any network.
    params: its parameters.
    stats: its batch statistics.
    images: views [B, H, H, 3].
  """
  if 'blocks' not in params or 'cls_token' not in params:
    return ()
  maps = attention_maps(encoder, params, stats, images)
  heads = range(min(maps.shape[1], _MOST_HEADS))
  columns = (images, *(lit(images, maps[:, i]) for i in heads))
  caption = 'Bright is where the class token looks in the last block.'
  names = ('view', *(f'head {i + 1}' for i in heads))
  return (Picture('Attention', caption, columns, names, is_view=True),)
