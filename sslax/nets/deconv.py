"""The generator of deep convolutional GANs."""

import functools
import math
from typing import Any

import flax.linen as nn

from sslax.errors import BadInputError
from sslax.nets import check
from sslax.nets.net import Net, from_linen
from sslax.nets.norm import BatchNorm, compute_dtype, param_dtype

_START = 4  # side of the first feature map
_normal = nn.initializers.normal(0.02)


def deconv(
  *,
  size: int = 64,
  width: int = 64,
  channels: int = 3,
  bottleneck: int = 0,
  dtype: str = 'float32',
) -> Net:
  """Deconvolutional network: codes [B, ...] -> images in [-1, 1].

  A linear layer to 4x4 places, then transposed convolutions 4x4 of stride 2,
  each doubling the side and halving the channels, to [B, size, size, channels],
  in at least float32. Batch normalization and ReLU in between, tanh at the end.

  Args:
    size: side of the images, 4 times a power of two.
    width: channels of the last feature map.
    channels: of the images.
    bottleneck: size of a linear layer before all others, with batch
      normalization and a leaky ReLU; 0 is none.
    dtype: compute dtype: 'float32', 'bfloat16' or 'float64'.

  Returns:
    A Net whose apply takes one array [B, ...], which is flattened.

  Raises:
    BadInputError: for a number out of range or an unknown dtype.

  References:
    Radford et al., Unsupervised representation learning with deep
    convolutional generative adversarial networks,
    https://arxiv.org/abs/1511.06434, 2015; netG of train.lua in
    https://github.com/pathak22/context-encoder.
  """
  check.whole(size=size, width=width, channels=channels)
  check.whole(least=0, bottleneck=bottleneck)
  num_doublings = round(math.log2(max(size / _START, 1)))
  if size != _START * 2**num_doublings or not num_doublings:
    raise BadInputError(
      f'net.size={size} must be {_START} times a power of two, such as 64'
    )
  return from_linen(
    _Deconv(num_doublings, width, channels, bottleneck, compute_dtype(dtype))
  )


class _Deconv(nn.Module):
  num_doublings: int
  width: int
  channels: int
  bottleneck: int
  dtype: Any

  @nn.compact
  def __call__(self, inputs, train):
    wide = param_dtype(self.dtype)
    types = {
      'dtype': self.dtype, 'param_dtype': wide, 'kernel_init': _normal
    }  # fmt: skip
    linear = functools.partial(nn.Dense, use_bias=False, **types)
    double = functools.partial(
      nn.ConvTranspose, kernel_size=(4, 4), strides=(2, 2), **types
    )

    def norm(x, name):
      return BatchNorm(self.dtype, name=name)(x, train)

    x = inputs.astype(self.dtype).reshape(len(inputs), -1)
    if self.bottleneck:
      x = linear(self.bottleneck, name='bottleneck')(x)
      x = nn.leaky_relu(norm(x, 'bn_bottleneck'), 0.2)
    channels = self.width * 2 ** (self.num_doublings - 1)
    x = linear(_START**2 * channels, name='linear')(x)
    x = nn.relu(norm(x.reshape(len(x), _START, _START, channels), 'bn0'))
    for i in range(1, self.num_doublings):
      x = double(channels // 2**i, use_bias=False, name=f'deconv{i}')(x)
      x = nn.relu(norm(x, f'bn{i}'))
    x = double(self.channels, name='final')(x)
    return nn.tanh(x.astype(wide))
