"""The discriminator of deep convolutional GANs, also of pairs."""

from typing import Any

import flax.linen as nn

from sslax import shapes
from sslax.nets import check
from sslax.nets.net import Net, from_linen
from sslax.nets.norm import BatchNorm, compute_dtype, param_dtype

_END = 4  # side of the last feature map
_normal = nn.initializers.normal(0.02)


def discriminator(*, width: int = 64, dtype: str = 'float32') -> Net:
  """Convolutional discriminator: images, or pairs -> logits [B] of being real.

  Convolutions 4x4 of stride 2, each doubling the channels, until four pixels
  are left of the side; batch normalization in all but the first, leaky ReLU.
  Where there are codes, a linear function of them is added to the output of
  every convolution but the first, before the normalization.

  Args:
    width: channels of the first feature map.
    dtype: compute dtype: 'float32', 'bfloat16' or 'float64'.

  Returns:
    A Net whose apply takes images [B, S, S, C] and, optionally, codes [B, D];
    logits are in at least float32.

  Raises:
    BadInputError: for a number out of range or an unknown dtype.

  References:
    Radford et al., Unsupervised representation learning with deep
    convolutional generative adversarial networks,
    https://arxiv.org/abs/1511.06434, 2015; netD of train.lua in
    https://github.com/pathak22/context-encoder, and, for codes, convnet of
    net.py in https://github.com/jeffdonahue/bigan.
  """
  check.whole(width=width)
  return from_linen(_Discriminator(width, compute_dtype(dtype)))


class _Discriminator(nn.Module):
  width: int
  dtype: Any

  @nn.compact
  def __call__(self, images, codes=None, *, train):
    shapes.check(images=(images, 'B S S C'))
    wide = param_dtype(self.dtype)
    types = {
      'dtype': self.dtype, 'param_dtype': wide, 'kernel_init': _normal
    }  # fmt: skip
    x, channels, i = images.astype(self.dtype), self.width, 1
    while i == 1 or x.shape[1] > _END:
      first = i == 1
      x = nn.Conv(
        channels, (4, 4), (2, 2), padding=((1, 1), (1, 1)), use_bias=first,
        name=f'conv{i}', **types,
      )(x)  # fmt: skip
      if codes is not None and not first:
        code = nn.Dense(channels, use_bias=False, name=f'code{i}', **types)
        x = x + code(codes.astype(self.dtype))[:, None, None]
      x = x if first else BatchNorm(self.dtype, name=f'bn{i}')(x, train)
      x, channels, i = nn.leaky_relu(x, 0.2), 2 * channels, i + 1
    x = x.reshape(len(x), -1)
    return nn.Dense(1, name='final', **types)(x)[:, 0].astype(wide)
