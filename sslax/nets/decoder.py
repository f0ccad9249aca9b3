"""The decoder of masked autoencoders."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.errors import BadInputError
from sslax.nets import check
from sslax.nets.initializers import initializers
from sslax.nets.net import Net, from_linen
from sslax.nets.norm import compute_dtype, param_dtype
from sslax.nets.positions import sincos
from sslax.nets.transformer import Options, Stack, dense, layer_norm


def decoder(
  *,
  grid: int | Sequence[int] = 14,
  patch_size: int = 16,
  width: int = 512,
  depth: int = 8,
  num_heads: int = 16,
  remat: bool = False,
  dtype: str = 'float32',
) -> Net:
  """Decodes visible tokens and mask tokens to the pixels of every patch.

  Inputs are `tokens` [B, M, D], the encoder's outputs for the visible patches;
  `visible`, int32 [B, M], which patches they are; and, where the encoder has
  one, `class_token` [B, D], which is decoded along. Outputs are [B, N, p·p·3]
  in at least float32, N patches row by row, the pixels of a patch row by row,
  channels last, as `sslax.ops.patches.patchify` cuts them.

  Args:
    grid: rows and columns of patches, or one number for both.
    patch_size: side p of a patch in pixels.
    width: D of the decoder.
    depth: number of blocks.
    num_heads: attention heads.
    remat: recomputes each block's activations in the backward pass.
    dtype: compute dtype: 'float32', 'bfloat16' or 'float64'.

  Returns:
    A Net whose apply takes tokens, visible and, optionally, class_token.

  Raises:
    BadInputError: for numbers that do not fit together or an unknown dtype.

  References:
    He et al., Masked autoencoders are scalable vision learners,
    https://arxiv.org/abs/2111.06377, 2021;
    https://github.com/facebookresearch/mae/blob/main/models_mae.py.
  """
  grid = (grid, grid) if isinstance(grid, int) else tuple(grid)
  if len(grid) != 2 or any(not isinstance(n, int) or n < 1 for n in grid):
    raise BadInputError(
      f'net.grid={grid} must be rows and columns of patches, such as (14, 14)'
    )
  check.width(width, num_heads)
  check.whole(patch_size=patch_size, depth=depth)
  options = Options(
    num_heads=num_heads,
    init=initializers('mae', width=width, depth=depth),
    dtype=compute_dtype(dtype),
  )
  return from_linen(_Decoder(options, grid, patch_size, width, depth, remat))


class _Decoder(nn.Module):
  """Parameter names are the official ones without 'decoder_'."""

  options: Options
  grid: tuple[int, int]
  patch_size: int
  width: int
  depth: int
  remat: bool

  @nn.compact
  def __call__(self, tokens, visible, class_token=None, *, train):
    shapes.check(tokens=(tokens, 'B M D'), visible=(visible, 'B M'))
    o, extra = self.options, class_token is not None
    tokens = tokens.astype(o.dtype)
    if extra:
      shapes.check(tokens=(tokens, 'B M D'), class_token=(class_token, 'B D'))
      first = class_token[:, None].astype(o.dtype)
      tokens = jnp.concatenate([first, tokens], axis=1)
    x = dense(self.width, o.dtype, o.init.dense, 'embed')(tokens)
    table = jnp.asarray(sincos(self.grid, self.width), o.dtype)[None]
    patches = self._fill(x[:, int(extra) :], visible) + table
    x = jnp.concatenate([x[:, : int(extra)], patches], axis=1)
    stack = Stack(o, self.depth, remat=self.remat, name='blocks')
    x, _ = stack(x, None, train)
    x = layer_norm(x, o.dtype, 'norm')[:, int(extra) :]
    x = dense(3 * self.patch_size**2, o.dtype, o.init.dense, 'pred')(x)
    return x.astype(param_dtype(o.dtype))

  def _fill(self, tokens, visible):
    """[B, N, D]: tokens in their places, the mask token in all others."""
    o = self.options
    wide = param_dtype(o.dtype)
    token = self.param('mask_token', o.init.token, (1, 1, self.width), wide)
    batch, num_patches = tokens.shape[0], math.prod(self.grid)
    full = jnp.broadcast_to(
      token.astype(o.dtype), (batch, num_patches, self.width)
    )
    return jax.vmap(lambda x, i, new: x.at[i].set(new))(full, visible, tokens)
