"""Residual networks for video, as torchvision has them."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.nets import check
from sslax.nets.net import Net, from_linen
from sslax.nets.norm import BatchNorm, compute_dtype, param_dtype

_KINDS = ('r3d', 'r2plus1d')
_STAGE_SIZES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
_BASIC_DEPTHS = (18, 34)
_STEMS = {  # name: (spatial kernel size, spatial stride)
  'kinetics': (7, 2),
  'small': (3, 1),
  'small_stride2': (3, 2),
}
_kaiming = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')


def resnet3d(
  *,
  kind: str = 'r3d',
  depth: int = 18,
  width: int = 64,
  stem: str = 'kinetics',
  stage_sizes: Sequence[int] | None = None,
  zero_init_last: bool = True,
  remat: bool = False,
  taps: Sequence[str] = (),
  dtype: str = 'float32',
) -> Net:
  """3D residual network: clips [B, T, H, W, C] -> features [B, D].

  Inputs are floating-point in any dtype, already normalized by the caller. D is
  width · 2^(stages - 1), times 4 with bottleneck blocks. Every stage but the
  first halves time, height and width. Parameters, batch statistics and features
  are in float32, or in float64 where dtype is.

  Args:
    kind: 'r3d' (3x3x3 convolutions) or 'r2plus1d' (1x3x3, normalization, ReLU,
      3x1x1, with as many parameters).
    depth: 18 or 34 (basic blocks), or 50 (bottleneck blocks).
    width: channels of the first stage; each later stage doubles them.
    stem: 'kinetics' (3x7x7, spatial stride 2), 'small' (3x3x3, stride 1) or
      'small_stride2' (3x3x3, spatial stride 2).
    stage_sizes: basic blocks in each stage, instead of what depth says; for
      small networks such as (1, 1, 1).
    zero_init_last: starts each block as the identity, by a zero scale in its
      last normalization.
    remat: recomputes each block's activations in the backward pass.
    taps: names among 'stem', 'stage1', ..., 'features'. With any, the output is
      a dict of those: feature maps [B, t, h, w, C] in dtype, features [B, D].
    dtype: compute dtype: 'float32', 'bfloat16' or 'float64'.

  Returns:
    A Net whose apply takes one array.

  Raises:
    BadInputError: for an unknown kind, depth, stem, tap or dtype.

  References:
    Tran et al., A closer look at spatiotemporal convolutions for action
    recognition, https://arxiv.org/abs/1711.11248, 2018;
    https://github.com/pytorch/vision/blob/main/torchvision/models/video/resnet.py.

  Deviations:
    From torchvision: zero_init_last is on unless said otherwise. With another
    width, the inner channels of the (2+1)D stem are its 45 in proportion.
  """
  check.one_of('kind', kind, _KINDS)
  check.one_of('stem', stem, _STEMS)
  check.whole(width=width)
  sizes = check.stage_sizes(depth, stage_sizes, _STAGE_SIZES)
  names = ['stem', *(f'stage{i + 1}' for i in range(len(sizes))), 'features']
  options = _Options(
    split=kind == 'r2plus1d',
    bottleneck=stage_sizes is None and depth not in _BASIC_DEPTHS,
    zero_init_last=zero_init_last,
    dtype=compute_dtype(dtype),
  )
  return from_linen(
    _ResNet3d(options, sizes, width, stem, remat, check.taps(taps, names))
  )


class _Options(NamedTuple):
  """What all blocks share; `split` is (2+1)D."""

  split: bool
  bottleneck: bool
  zero_init_last: bool
  dtype: Any


class _Conv(nn.Module):
  """Convolution over time and space, in one or, if split, in two.

  Attributes:
    options: of the network.
    channels: of the output.
    size: of the kernel, (time, space).
    stride: (time, space).
    inner: channels between the two, if split.
  """

  options: _Options
  channels: int
  size: tuple[int, int]
  stride: tuple[int, int] = (1, 1)
  inner: int = 0

  @nn.compact
  def __call__(self, x, train):
    (time, space), (by_time, by_space) = self.size, self.stride
    if not (self.options.split and time > 1):
      return self._conv(self.channels, self.size, self.stride, 'conv')(x)
    x = self._conv(self.inner, (1, space), (1, by_space), 'spatial')(x)
    x = nn.relu(BatchNorm(self.options.dtype, name='bn')(x, train))
    return self._conv(self.channels, (time, 1), (by_time, 1), 'temporal')(x)

  def _conv(self, channels, size, stride, name):
    (time, space), (by_time, by_space) = size, stride
    return nn.Conv(
      channels,
      (time, space, space),
      (by_time, by_space, by_space),
      padding=[(n // 2, n // 2) for n in (time, space, space)],
      use_bias=False,
      dtype=self.options.dtype,
      param_dtype=param_dtype(self.options.dtype),
      kernel_init=_kaiming,
      conv_general_dilated=_conv3d,
      name=name,
    )


def _conv3d(x, kernel, strides, padding, *, precision=None, **unused):
  """[B, T, H, W, C] * [t, h, w, C, D], frame by frame where that is faster."""
  del unused  # dilation and groups, of which there are none
  static = {'strides': strides, 'padding': padding, 'precision': precision}
  return jax.lax.platform_dependent(
    x,
    kernel,
    cpu=partial(_by_frames, **static),
    default=partial(_directly, **static),
  )


def _directly(x, kernel, *, strides, padding, precision):
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    strides,
    padding,
    dimension_numbers=('NDHWC', 'DHWIO', 'NDHWC'),
    precision=precision,
  )


def _by_frames(x, kernel, *, strides, padding, precision):
  """A 2D convolution whose channels are those of t frames.

  XLA has fast 2D convolutions for CPUs, but no fast 3D ones: with gradients the
  direct way took 1.5 to 100 times as long where it was measured.
  """
  size, step = kernel.shape[0], strides[0]
  x = jnp.pad(x, ((0, 0), padding[0], (0, 0), (0, 0), (0, 0)))
  count = (x.shape[1] - size) // step + 1
  frames = [x[:, i:][:, : (count - 1) * step + 1 : step] for i in range(size)]
  x = jnp.concatenate(frames, axis=-1)
  kernel = jnp.moveaxis(kernel, 0, 2)  # [h, w, t, C, D]
  y = jax.lax.conv_general_dilated(
    x.reshape(-1, *x.shape[2:]),
    kernel.reshape(*kernel.shape[:2], -1, kernel.shape[-1]),
    strides[1:],
    padding[1:],
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    precision=precision,
  )
  return y.reshape(-1, count, *y.shape[1:])


class _Block(nn.Module):
  """One residual block."""

  options: _Options
  channels: int
  stride: int

  def _layers(self):
    """Channels, kernel size and stride of each convolution."""
    c, s = self.channels, self.stride
    if self.options.bottleneck:
      return (c, 1, 1), (c, 3, s), (4 * c, 1, 1)
    return (c, 3, s), (c, 3, 1)

  @nn.compact
  def __call__(self, inputs, train):
    o, c = self.options, self.channels
    start = inputs.shape[-1]
    inner = (start * c * 27) // (start * 9 + 3 * c)  # as many parameters
    x, layers = inputs, self._layers()
    for i, (channels, size, stride) in enumerate(layers, start=1):
      conv = _Conv(
        o, channels, (size, size), (stride, stride), inner, name=f'conv{i}'
      )
      last = i == len(layers)
      zero = last and o.zero_init_last
      x = BatchNorm(
        o.dtype,
        scale_init=nn.initializers.zeros if zero else nn.initializers.ones,
        name=f'bn{i}',
      )(conv(x, train), train)
      x = x if last else nn.relu(x)
    shortcut = inputs
    if inputs.shape != x.shape:
      stride = (self.stride, self.stride)
      conv = _Conv(o, x.shape[-1], (1, 1), stride, name='downsample_conv')
      shortcut = conv(inputs, train)
      shortcut = BatchNorm(o.dtype, name='downsample_bn')(shortcut, train)
    return nn.relu(x + shortcut)


class _ResNet3d(nn.Module):
  """Stem, stages of blocks, global average pool."""

  options: _Options
  sizes: tuple[int, ...]
  width: int
  stem: str
  remat: bool
  taps: tuple[str, ...]

  @nn.compact
  def __call__(self, clips, train):
    shapes.check(clips=(clips, 'B T H W C'))
    if not jnp.issubdtype(clips.dtype, jnp.floating):
      raise ValueError(
        f'clips have dtype {clips.dtype}; expected normalized floats'
      )
    dtype, (size, stride) = self.options.dtype, _STEMS[self.stem]
    inner = max(1, self.width * 45 // 64)
    conv = _Conv(
      self.options, self.width, (3, size), (1, stride), inner, name='conv1'
    )
    x = conv(clips.astype(dtype), train)
    x = nn.relu(BatchNorm(dtype, name='bn1')(x, train))
    seen = {'stem': x}
    for i in range(len(self.sizes)):
      seen[f'stage{i + 1}'] = x = self._stage(x, i, train)
    pooled = x.astype(param_dtype(dtype)).mean((1, 2, 3))
    seen['features'] = pooled
    return {tap: seen[tap] for tap in self.taps} if self.taps else pooled

  def _stage(self, x, i, train):
    block = nn.remat(_Block, static_argnums=(2,)) if self.remat else _Block
    for j in range(self.sizes[i]):
      stride = 2 if i > 0 and j == 0 else 1
      name = f'layer{i + 1}_{j}'
      x = block(self.options, self.width * 2**i, stride, name=name)(x, train)
    return x
