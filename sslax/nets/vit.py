"""Vision transformers, as timm and the official DINO and MAE have them."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from sslax import shapes
from sslax.errors import BadInputError
from sslax.nets import check
from sslax.nets.initializers import initializers
from sslax.nets.net import Net, from_linen
from sslax.nets.norm import compute_dtype, param_dtype
from sslax.nets.positions import interpolate, sincos
from sslax.nets.transformer import Options, Stack, layer_norm

_SIZES = {  # name: (width, depth, num_heads)
  'tiny': (192, 12, 3),
  'small': (384, 12, 6),
  'base': (768, 12, 12),
  'large': (1024, 24, 16),
  'huge': (1280, 32, 16),
}
_POOLS = ('class', 'mean')
_POSITIONS = ('sincos', 'learned')
_MASKINGS = ('none', 'token', 'drop')
_TAPS = ('features', 'tokens', 'class', 'blocks', 'ffn', 'attention')


def vit(
  *,
  size: str = 'small',
  width: int | None = None,
  depth: int | None = None,
  num_heads: int | None = None,
  patch_size: int = 16,
  image_size: int = 224,
  class_token: bool = True,
  pool: str = 'class',
  positions: str = 'sincos',
  registers: int = 0,
  masking: str = 'none',
  drop_path: float = 0.0,
  layer_scale: float | None = None,
  qkv_bias: bool = True,
  final_norm: bool = True,
  initializer: str = 'dino',
  remat: bool = False,
  taps: Sequence[str] = (),
  dtype: str = 'float32',
) -> Net:
  """Vision transformer: images [B, H, W, 3] -> features [B, D].

  Inputs are floating-point in any dtype, already normalized by the caller; H
  and W are any multiples of patch_size. The N patches go row by row. A second
  input, which may be left out, says what the network does not see:

  - masking='token': `mask`, bool [B, N], 1 = hidden; a hidden patch becomes the
    learned mask token before positions are added.
  - masking='drop': `visible`, int32 [B, M], the indices of the patches that the
    network sees; only their tokens enter, after positions are added. Indices
    and not a mask, since M must be known when the network is compiled
    (`sslax.data.masks.indices` gives them). N is then M in what comes out.

  Parameters and features are in float32, or in float64 where dtype is.

  Args:
    size: 'tiny' (D = 192, 12 blocks, 3 heads), 'small' (384, 12, 6), 'base'
      (768, 12, 12), 'large' (1024, 24, 16) or 'huge' (1280, 32, 16).
    width: D, instead of what size says.
    depth: number of blocks, instead of what size says.
    num_heads: attention heads, instead of what size says.
    patch_size: side of a patch in pixels.
    image_size: side of the square images whose grid learned positions have.
    class_token: whether there is a class token.
    pool: 'class' (the class token) or 'mean' (mean of the patch tokens), after
      the final normalization.
    positions: 'sincos' (fixed, computed for the grid at hand) or 'learned'
      (interpolated bicubically to another grid).
    registers: number of learned tokens that are read by nobody.
    masking: 'none', 'token' or 'drop', see above.
    drop_path: probability that the last block's branches are dropped for an
      example, in [0, 1); linearly less in earlier blocks.
    layer_scale: start of a learned scale of each branch, or None for none.
    qkv_bias: whether queries, keys and values have a bias.
    final_norm: whether tokens are normalized at the end.
    initializer: whose initial parameters: 'dino' (iBOT's too), 'mae',
      'moco_v3', 'data2vec', 'bert' or 'clip'.
    remat: recomputes each block's activations in the backward pass.
    taps: names of outputs. With any, the output is a dict of those, among
      'features' [B, D]; 'tokens' [B, N, D], the patches' tokens after the final
      normalization; 'class' [B, D], the class token after it; 'blocks'
      [L, B, 1 + R + N, D] in dtype, each block's output, R registers; 'ffn', of
      the same shape, what each block's MLP added; 'attention'
      [B, heads, 1 + R + N, 1 + R + N], the last block's weights. The order is
      class token, registers, patches.
    dtype: compute dtype: 'float32', 'bfloat16' or 'float64'.

  Returns:
    A Net whose apply takes the images and, unless masking is 'none', may take
    the mask or the visible indices; rng is needed in train mode where drop_path
    is above 0.

  Raises:
    BadInputError: for an unknown name, or numbers that do not fit together.

  References:
    Dosovitskiy et al., An image is worth 16x16 words,
    https://arxiv.org/abs/2010.11929, 2020.
    Caron et al., Emerging properties in self-supervised vision transformers,
    https://arxiv.org/abs/2104.14294, 2021;
    https://github.com/facebookresearch/dino/blob/main/vision_transformer.py.
    He et al., Masked autoencoders are scalable vision learners,
    https://arxiv.org/abs/2111.06377, 2021;
    https://github.com/facebookresearch/mae/blob/main/models_mae.py.
    Darcet et al., Vision transformers need registers,
    https://arxiv.org/abs/2309.16588, 2023.

  Deviations:
    MoCo v3's ViT-S has 12 heads: num_heads=12. BEiT and data2vec have relative
    positions; here they are absolute. With pool='mean', timm and MAE's
    fine-tuning normalize after the mean, not before. The mask token starts as
    'initializer' says, where iBOT's is zero.
  """
  width, depth, num_heads = _sized(size, width, depth, num_heads)
  _check_names(pool, positions, masking, class_token)
  check.rate(drop_path=drop_path)
  check.whole(least=0, registers=registers)
  names = [tap for tap in _TAPS if tap != 'class' or class_token]
  options = Options(
    num_heads=num_heads,
    init=initializers(initializer, width=width, depth=depth),
    dtype=compute_dtype(dtype),
    qkv_bias=qkv_bias,
    layer_scale=layer_scale,
  )
  return from_linen(
    _ViT(
      options=options,
      width=width,
      depth=depth,
      patch_size=patch_size,
      side=_side(image_size, patch_size),
      class_token=class_token,
      pool=pool,
      positions=positions,
      registers=registers,
      masking=masking,
      drop_path=drop_path,
      remat=remat,
      final_norm=final_norm,
      taps=check.taps(taps, names),
    )
  )


def _check_names(pool, positions, masking, class_token):
  check.one_of('pool', pool, _POOLS)
  check.one_of('positions', positions, _POSITIONS)
  check.one_of('masking', masking, _MASKINGS)
  if pool == 'class' and not class_token:
    raise BadInputError(
      "net.pool='class' needs a class token; take net.pool='mean' or"
      ' net.class_token=True'
    )


def _sized(size, width, depth, num_heads):
  """Width, depth and number of heads; what is given goes before the size."""
  check.one_of('size', size, _SIZES)
  given = (width, depth, num_heads)
  width, depth, num_heads = (
    default if value is None else value
    for value, default in zip(given, _SIZES[size], strict=True)
  )
  check.width(width, num_heads)
  check.whole(depth=depth)
  return width, depth, num_heads


def _side(image_size, patch_size):
  """Patches along each side of the grid of the learned positions."""
  check.whole(image_size=image_size, patch_size=patch_size)
  side, left = divmod(image_size, patch_size)
  if left:
    raise BadInputError(
      f'net.image_size={image_size} is no multiple of'
      f' net.patch_size={patch_size}'
    )
  return side


class _ViT(nn.Module):
  """Patch projection, prefix tokens, positions, blocks, normalization, pool."""

  options: Options
  width: int
  depth: int
  patch_size: int
  side: int
  class_token: bool
  pool: str
  positions: str
  registers: int
  masking: str
  drop_path: float
  remat: bool
  final_norm: bool
  taps: tuple[str, ...]

  @nn.compact
  def __call__(self, images, masked=None, *, train):
    o = self.options
    grid = self._grid(images)
    if masked is not None:
      self._check_masked(masked, images.shape[0], math.prod(grid))
    patches = self._hide(self._project(images), masked)
    first, rest = self._positions(grid)
    patches = patches + rest
    if self.masking == 'drop' and masked is not None:
      patches = jnp.take_along_axis(patches, masked[..., None], axis=1)
    tokens = [*self._prefix(first, images.shape[0]), patches]
    stack = Stack(o, self.depth, self.drop_path, self.remat, name='blocks')
    x, seen = stack(jnp.concatenate(tokens, axis=1), None, train)
    x = layer_norm(x, o.dtype, 'norm') if self.final_norm else x
    return self._outputs(x.astype(param_dtype(o.dtype)), seen)

  def _grid(self, images):
    """Rows and columns of patches of well-formed images."""
    shapes.check(images=(images, 'B H W 3'))
    if not jnp.issubdtype(images.dtype, jnp.floating):
      raise ValueError(
        f'images have dtype {images.dtype}; expected normalized floats'
      )
    grid = [divmod(n, self.patch_size) for n in images.shape[1:3]]
    if any(left for _, left in grid):
      raise ValueError(
        f'images have shape {list(images.shape)}; expected H and W multiples'
        f' of {self.patch_size}'
      )
    return tuple(n for n, _ in grid)

  def _check_masked(self, masked, batch, num_patches):
    if self.masking == 'none':
      raise ValueError("a second input came, but net.masking is 'none'")
    if self.masking == 'token':
      shapes.check(mask=(masked, f'{batch} {num_patches}'))
    else:
      shapes.check(visible=(masked, f'{batch} _'))
    kind = jnp.bool_ if self.masking == 'token' else jnp.integer
    if not jnp.issubdtype(masked.dtype, kind):
      raise ValueError(
        f'the second input has dtype {masked.dtype}; net.masking='
        f'{self.masking!r} expects {kind.__name__}'
      )

  def _project(self, images):
    """[B, N, D] linear projections of the patches."""
    init, dtype, size = self.options.init, self.options.dtype, self.patch_size
    x = nn.Conv(
      self.width,
      (size, size),
      (size, size),
      padding='VALID',
      dtype=dtype,
      param_dtype=param_dtype(dtype),
      kernel_init=init.patch,
      bias_init=init.patch_bias(3 * size**2),
      name='patch_embed',
    )(images.astype(dtype))
    return x.reshape(x.shape[0], -1, self.width)

  def _hide(self, patches, masked):
    """Puts the mask token in the place of hidden patches."""
    if self.masking != 'token':
      return patches
    token = self._learned('mask_token', 1, self.options.init.token)
    if masked is None:  # the token is there all the same, so params are alike
      return patches
    token = jnp.broadcast_to(token, patches.shape)
    return jnp.where(masked[..., None], token, patches)

  def _positions(self, grid):
    """[1, 1, D] position of the class token and [1, N, D] of the patches."""
    dtype = self.options.dtype
    if self.positions == 'sincos':
      table = jnp.asarray(sincos(grid, self.width), dtype)[None]
      return jnp.zeros((1, 1, self.width), dtype), table
    old, extra = (self.side, self.side), int(self.class_token)
    table = self._learned(
      'pos_embed', extra + math.prod(old), self.options.init.position
    )
    patches = interpolate(table[0, extra:], old, grid)
    return table[:, :extra], patches[None]

  def _prefix(self, position, batch):
    """Class token and registers, where there are any."""
    prefix, init = [], self.options.init.token
    if self.class_token:
      prefix.append(self._learned('cls_token', 1, init) + position)
    if self.registers:
      prefix.append(self._learned('reg_token', self.registers, init))
    return [jnp.broadcast_to(p, (batch, *p.shape[1:])) for p in prefix]

  def _learned(self, name, count, init):
    """[1, count, D] learned tokens, in the compute dtype."""
    dtype = self.options.dtype
    shape = (1, count, self.width)
    return self.param(name, init, shape, param_dtype(dtype)).astype(dtype)

  def _outputs(self, x, seen):
    tokens = x[:, int(self.class_token) + self.registers :]
    pooled = x[:, 0] if self.pool == 'class' else tokens.mean(1)
    outputs = {
      'features': lambda: pooled,
      'tokens': lambda: tokens,
      'class': lambda: x[:, 0],
      'blocks': lambda: jnp.stack(seen.blocks),
      'ffn': lambda: jnp.stack(seen.ffn),
      'attention': lambda: seen.attention,
    }
    return {tap: outputs[tap]() for tap in self.taps} if self.taps else pooled
