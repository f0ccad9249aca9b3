"""Masked convolutions over a grid, which see no row below."""

from typing import Any

import flax.linen as nn

from sslax import shapes
from sslax.nets import check
from sslax.nets.net import Net, from_linen
from sslax.nets.norm import compute_dtype, param_dtype


def pixelcnn(
  *, num_blocks: int = 5, width: int = 256, dtype: str = 'float32'
) -> Net:
  """Residual masked convolutions: a context for each place of a grid.

  Each block is convolution 1x1, ReLU, convolution 1x3, convolution 2x1 of a
  place and the one above it, ReLU, convolution 1x1, and is added to its input:
  [B, rows, columns, D] -> [B, rows, columns, D], in at least float32. What
  comes out at a place depends on its own row and the num_blocks rows above.

  Args:
    num_blocks: how many blocks.
    width: channels inside a block.
    dtype: compute dtype: 'float32', 'bfloat16' or 'float64'.

  Returns:
    A Net whose apply takes one array.

  Raises:
    BadInputError: for a number out of range or an unknown dtype.

  References:
    van den Oord et al., Conditional image generation with PixelCNN decoders,
    https://arxiv.org/abs/1606.05328, 2016; the layers are those of the
    pseudo-code of Hénaff et al., Data-efficient image recognition with
    contrastive predictive coding, https://arxiv.org/abs/1905.09272, 2019.
  """
  check.whole(num_blocks=num_blocks, width=width)
  return from_linen(_PixelCNN(num_blocks, width, compute_dtype(dtype)))


class _PixelCNN(nn.Module):
  num_blocks: int
  width: int
  dtype: Any

  @nn.compact
  def __call__(self, inputs, train):
    del train
    shapes.check(inputs=(inputs, 'B _ _ D'))
    wide = param_dtype(self.dtype)
    x = inputs.astype(self.dtype)

    def conv(x, channels, kernel, padding, name):
      return nn.Conv(
        channels, kernel, padding=padding, dtype=self.dtype, param_dtype=wide,
        name=name,
      )(x)  # fmt: skip

    above = ((1, 0), (0, 0))
    for i in range(1, self.num_blocks + 1):
      y = nn.relu(conv(x, self.width, (1, 1), 'SAME', f'block{i}_in'))
      y = conv(y, self.width, (1, 3), 'SAME', f'block{i}_row')
      y = nn.relu(conv(y, self.width, (2, 1), above, f'block{i}_column'))
      x = x + conv(y, x.shape[-1], (1, 1), 'SAME', f'block{i}_out')
    return nn.relu(x).astype(wide)
