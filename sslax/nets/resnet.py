"""Residual networks, version 1.5, as torchvision and timm have them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from sslax import shapes
from sslax.nets import check
from sslax.nets.net import Net, from_linen
from sslax.nets.norm import BatchNorm, compute_dtype, param_dtype

_STAGE_SIZES = {
  18: (2, 2, 2, 2),
  34: (3, 4, 6, 3),
  50: (3, 4, 6, 3),
  101: (3, 4, 23, 3),
  152: (3, 8, 36, 3),
  200: (3, 24, 36, 3),
}
_BASIC_DEPTHS = (18, 34)
_STEMS = {  # name: (kernel size, stride, whether a 3x3 max pool follows)
  'imagenet': (7, 2, True),
  'small': (3, 1, False),
  'small_stride2': (3, 2, False),
}
_kaiming = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')


def resnet(
  *,
  depth: int = 50,
  width: int = 64,
  width_multiplier: int = 1,
  stem: str = 'imagenet',
  stage_sizes: Sequence[int] | None = None,
  zero_init_last: bool = True,
  batch_groups: int = 1,
  remat: bool = False,
  taps: Sequence[str] = (),
  dtype: str = 'float32',
) -> Net:
  """Deep residual network: images [B, H, W, C] -> features [B, D].

  Inputs are floating-point in any dtype, already normalized by the caller. D is
  width · width_multiplier · 2^(stages - 1), times 4 with bottleneck blocks.
  Parameters, batch statistics and features are in float32, or in float64 where
  dtype is. Batch statistics are those of the global batch, or of its groups.

  Args:
    depth: 18 or 34 (basic blocks), 50, 101, 152 or 200 (bottleneck blocks).
    width: channels of the first stage; each later stage doubles them.
    width_multiplier: multiplies every number of channels, the stem's too (as
      in BYOL's ResNet-50 (2x); torchvision's wide_resnet is another network).
    stem: 'imagenet' (7x7 stride 2, then 3x3 max pool stride 2), 'small' (3x3
      stride 1), or 'small_stride2' (3x3 stride 2).
    stage_sizes: basic blocks in each stage, instead of what depth says; for
      small networks such as (1, 1, 1).
    zero_init_last: starts each block as the identity, by a zero scale in its
      last normalization.
    batch_groups: groups of consecutive examples whose batch statistics are
      taken apart, as by devices that do not share them (MoCo's shuffled batch
      normalization); 1 is the global batch.
    remat: recomputes each block's activations in the backward pass.
    taps: names among 'stem', 'stage1', ..., 'features'. With any, the output
      is a dict of those: feature maps [B, h, w, C] in dtype, features [B, D].
    dtype: compute dtype: 'float32', 'bfloat16' or 'float64'.

  Returns:
    A Net whose apply takes one array.

  Raises:
    BadInputError: for an unknown depth, stem, tap or dtype.

  References:
    He et al., Deep residual learning for image recognition,
    https://arxiv.org/abs/1512.03385, 2015.
    Goyal et al., Accurate, large minibatch SGD,
    https://arxiv.org/abs/1706.02677, 2017 (zero-initialized last scale).

  Deviations:
    From He et al.: a bottleneck strides in its 3x3 convolution, not in its
    first 1x1 (version 1.5), as in torchvision, whose outputs these are.
  """
  sizes = check.stage_sizes(depth, stage_sizes, _STAGE_SIZES)
  check.one_of('stem', stem, _STEMS)
  check.whole(
    width=width, width_multiplier=width_multiplier, batch_groups=batch_groups
  )
  names = ['stem', *(f'stage{i + 1}' for i in range(len(sizes))), 'features']
  return from_linen(
    _ResNet(
      sizes=sizes,
      bottleneck=stage_sizes is None and depth not in _BASIC_DEPTHS,
      width=width * width_multiplier,
      stem=stem,
      zero_init_last=zero_init_last,
      batch_groups=batch_groups,
      remat=remat,
      taps=check.taps(taps, names),
      dtype=compute_dtype(dtype),
    )
  )


def _conv(channels, size, stride, dtype, name):
  """Convolution without bias, padded the same on all sides."""
  return nn.Conv(
    channels,
    (size, size),
    (stride, stride),
    padding=((size // 2, size // 2),) * 2,
    use_bias=False,
    dtype=dtype,
    param_dtype=param_dtype(dtype),
    kernel_init=_kaiming,
    name=name,
  )


class _Block(nn.Module):
  """One residual block; parameter names are timm's."""

  channels: int  # between the convolutions
  stride: int
  bottleneck: bool
  zero_init_last: bool
  dtype: Any
  batch_groups: int = 1

  def _layers(self):
    """Channels, kernel size and stride of each convolution."""
    c, s = self.channels, self.stride
    if self.bottleneck:
      return (c, 1, 1), (c, 3, s), (4 * c, 1, 1)
    return (c, 3, s), (c, 3, 1)

  @nn.compact
  def __call__(self, inputs, train):
    x, layers = inputs, self._layers()
    for i, (channels, size, stride) in enumerate(layers, start=1):
      last = i == len(layers)
      zero = last and self.zero_init_last
      x = _conv(channels, size, stride, self.dtype, f'conv{i}')(x)
      x = BatchNorm(
        self.dtype,
        scale_init=nn.initializers.zeros if zero else nn.initializers.ones,
        num_groups=self.batch_groups,
        name=f'bn{i}',
      )(x, train)
      x = x if last else nn.relu(x)
    shortcut = inputs
    if inputs.shape != x.shape:
      shortcut = _conv(
        x.shape[-1], 1, self.stride, self.dtype, 'downsample_conv'
      )(inputs)
      shortcut = BatchNorm(
        self.dtype, num_groups=self.batch_groups, name='downsample_bn'
      )(shortcut, train)
    return nn.relu(x + shortcut)


class _ResNet(nn.Module):
  """Stem, stages of blocks, global average pool."""

  sizes: tuple[int, ...]
  bottleneck: bool
  width: int
  stem: str
  zero_init_last: bool
  batch_groups: int
  remat: bool
  taps: tuple[str, ...]
  dtype: Any

  @nn.compact
  def __call__(self, inputs, train):
    shapes.check(inputs=(inputs, 'B H W C'))
    if not jnp.issubdtype(inputs.dtype, jnp.floating):
      raise ValueError(
        f'inputs have dtype {inputs.dtype}; expected normalized floats'
      )
    seen = {}
    seen['stem'] = x = self._stem(inputs.astype(self.dtype), train)
    for i in range(len(self.sizes)):
      seen[f'stage{i + 1}'] = x = self._stage(x, i, train)
    pooled = x.astype(param_dtype(self.dtype)).mean((1, 2))
    seen['features'] = pooled
    return {tap: seen[tap] for tap in self.taps} if self.taps else pooled

  def _stem(self, x, train):
    size, stride, pool = _STEMS[self.stem]
    x = _conv(self.width, size, stride, self.dtype, 'conv1')(x)
    norm = BatchNorm(self.dtype, num_groups=self.batch_groups, name='bn1')
    x = nn.relu(norm(x, train))
    if pool:  # flax pads with -inf
      x = nn.max_pool(x, (3, 3), (2, 2), padding=((1, 1), (1, 1)))
    return x

  def _stage(self, x, i, train):
    block = nn.remat(_Block, static_argnums=(2,)) if self.remat else _Block
    block = partial(
      block,
      channels=self.width * 2**i,
      bottleneck=self.bottleneck,
      zero_init_last=self.zero_init_last,
      batch_groups=self.batch_groups,
      dtype=self.dtype,
    )
    for j in range(self.sizes[i]):
      stride = 2 if i > 0 and j == 0 else 1
      x = block(stride=stride, name=f'layer{i + 1}_{j}')(x, train)
    return x
