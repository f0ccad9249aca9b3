"""Images as sequences of patches."""

import jax.numpy as jnp

from sslax import shapes
from sslax.ops.precision import at_least_float32


def patchify(images, patch_size):
  """Cuts images into patches, row by row.

  Args:
    images: [B, H, W, C]; H and W multiples of `patch_size`.
    patch_size: side of a patch in pixels.

  Returns:
    [B, N, D] with N = H·W / patch_size² and D = patch_size²·C, the pixels of
    a patch row by row, channels last.

  Raises:
    ValueError: the shape is wrong or not a multiple of the patch.
  """
  sizes = shapes.check(images=(images, 'B H W C'))
  for letter in 'HW':
    if sizes[letter] % patch_size:
      raise ValueError(
        f'images have {letter}={sizes[letter]}; expected a multiple of'
        f' {patch_size}'
      )
  rows, columns = sizes['H'] // patch_size, sizes['W'] // patch_size
  grid = jnp.reshape(
    images, (sizes['B'], rows, patch_size, columns, patch_size, sizes['C'])
  )
  grid = jnp.swapaxes(grid, 2, 3)
  return jnp.reshape(grid, (sizes['B'], rows * columns, -1))


def normalized_patches(patches, *, eps=1e-6):
  """Standardizes every patch by its own mean and unbiased variance.

  Args:
    patches: [B, N, D].
    eps: added to the variance.

  Returns:
    [B, N, D], in at least float32.

  References:
    He et al., Masked autoencoders are scalable vision learners,
    https://arxiv.org/abs/2111.06377, 2021.
  """
  patches = at_least_float32(patches)
  mean = jnp.mean(patches, -1, keepdims=True)
  variance = jnp.var(patches, -1, ddof=1, keepdims=True)
  return (patches - mean) / jnp.sqrt(variance + eps)


def color_tokens(images, patch_size, *, num_bits=3):
  """The mean color of every patch as one token: what ViT predicts of it.

  Each channel's mean is cut to `num_bits` bits; the channels' numbers are the
  digits of the token, the first channel's the highest.

  Args:
    images: [B, H, W, C] in [0, 1]; H and W multiples of `patch_size`.
    patch_size: side of a patch in pixels.
    num_bits: bits a channel, 1 to 8; 3 gives 512 tokens of three channels.

  Returns:
    [B, N] int32 in [0, 2^(num_bits·C)), the targets of `sslax.losses.beit`.

  Raises:
    ValueError: the shape is wrong or not a multiple of the patch.

  References:
    Dosovitskiy et al., An image is worth 16x16 words: transformers for image
    recognition at scale, https://arxiv.org/abs/2010.11929, 2021.

  >>> gray = jnp.full((1, 2, 2, 3), 0.5)  # 4 of 8 levels: 4·64 + 4·8 + 4
  >>> color_tokens(gray, 2).tolist()
  [[292]]
  """
  patches = patchify(at_least_float32(images), patch_size)
  num_channels, num_levels = images.shape[-1], 2**num_bits
  pixels = jnp.reshape(patches, (*patches.shape[:2], -1, num_channels))
  levels = jnp.floor(jnp.mean(pixels, 2) * num_levels).astype(jnp.int32)
  levels = jnp.clip(levels, 0, num_levels - 1)
  digits = num_levels ** jnp.arange(num_channels)[::-1]
  return jnp.sum(levels * digits[None, None, :].astype(jnp.int32), -1)
