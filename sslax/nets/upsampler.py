"""A convolutional decoder of feature maps."""

from typing import Any

import flax.linen as nn

from sslax import shapes
from sslax.nets import check
from sslax.nets.net import Net, from_linen
from sslax.nets.norm import BatchNorm, compute_dtype, param_dtype


def upsampler(
  *,
  num_doublings: int = 1,
  width: int = 256,
  channels: int = 3,
  dtype: str = 'float32',
) -> Net:
  """Enlarges feature maps, and gives every place of them its channels.

  (Transposed convolution 4x4 of stride 2, batch normalization, ReLU) for each
  doubling, then a convolution 1x1: [B, h, w, C] -> [B, h·2ⁿ, w·2ⁿ, channels],
  in at least float32.

  Args:
    num_doublings: n, how often height and width are doubled.
    width: channels in between.
    channels: of the output.
    dtype: compute dtype: 'float32', 'bfloat16' or 'float64'.

  Returns:
    A Net whose apply takes one array.

  Raises:
    BadInputError: for a number out of range or an unknown dtype.
  """
  check.whole(least=0, num_doublings=num_doublings)
  check.whole(width=width, channels=channels)
  return from_linen(
    _Upsampler(num_doublings, width, channels, compute_dtype(dtype))
  )


class _Upsampler(nn.Module):
  num_doublings: int
  width: int
  channels: int
  dtype: Any

  @nn.compact
  def __call__(self, inputs, train):
    shapes.check(inputs=(inputs, 'B h w C'))
    wide = param_dtype(self.dtype)
    types = {'dtype': self.dtype, 'param_dtype': wide}
    x = inputs.astype(self.dtype)
    for i in range(1, self.num_doublings + 1):
      x = nn.ConvTranspose(
        self.width, (4, 4), (2, 2), use_bias=False, name=f'deconv{i}', **types
      )(x)
      x = nn.relu(BatchNorm(self.dtype, name=f'bn{i}')(x, train))
    x = nn.Conv(self.channels, (1, 1), name='final', **types)(x)
    return x.astype(wide)
