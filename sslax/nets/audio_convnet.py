"""A small convolutional network for spectrograms."""

from collections.abc import Sequence

import jax.numpy as jnp

from sslax import shapes
from sslax.nets import check
from sslax.nets.net import Net
from sslax.nets.resnet import resnet

_POOLS = ('max', 'mean')


def audio_convnet(
  *,
  width: int = 32,
  stage_sizes: Sequence[int] = (1, 1, 1, 1),
  pool: str = 'max',
  dtype: str = 'float32',
) -> Net:
  """Residual network on log-mel spectrograms [B, T, F] -> features [B, D].

  The spectrogram is an image of one channel, [B, T, F] or [B, T, F, 1], as
  `sslax.ops.log_mel` makes it; its first normalization makes up for its scale.
  A 3x3 convolution of stride 2 and stages of basic blocks, all of which but the
  first halve time and frequency, then a global pool. D is
  width · 2^(stages - 1). Features are in float32, or in float64 where dtype is.

  Args:
    width: channels of the first stage; each later stage doubles them.
    stage_sizes: basic blocks in each stage.
    pool: 'max' (as COLA's official code has it) or 'mean', over time and
      frequency.
    dtype: compute dtype: 'float32', 'bfloat16' or 'float64'.

  Returns:
    A Net whose apply takes one array.

  Raises:
    BadInputError: for an unknown pool or dtype, or sizes below 1.

  References:
    Saeed et al., Contrastive learning of general-purpose audio representations,
    https://arxiv.org/abs/2010.10915, 2020;
    https://github.com/google-research/google-research/blob/master/cola/network.py.

  Deviations:
    COLA's encoder is EfficientNet-B0; this one is a small residual network, for
    small data sets and a CPU.
  """
  check.one_of('pool', pool, _POOLS)
  net = resnet(
    width=width,
    stage_sizes=stage_sizes,
    stem='small_stride2',
    taps=(f'stage{len(stage_sizes)}', 'features'),
    dtype=dtype,
  )

  def init(rng, spectrograms):
    return net.init(rng, _images(spectrograms))

  def apply(params, stats, spectrograms, *, train, rng=None):
    outputs, stats = net.apply(
      params, stats, _images(spectrograms), train=train, rng=rng
    )
    if pool == 'mean':
      return outputs['features'], stats
    last = _largest(outputs[f'stage{len(stage_sizes)}'])
    return last.astype(outputs['features'].dtype), stats

  return Net(init, apply)


def _largest(maps):
  """[B, t, f, C] -> [B, C].

  By its place: the gradient of a maximum is found by comparing values, which a
  compiler may have computed twice, with another rounding.
  """
  rows = maps.reshape(len(maps), -1, maps.shape[-1])
  place = jnp.argmax(rows, axis=1, keepdims=True)
  return jnp.take_along_axis(rows, place, axis=1)[:, 0]


def _images(spectrograms):
  """[B, T, F, 1]."""
  if spectrograms.ndim == 3:
    return spectrograms[..., None]
  shapes.check(spectrograms=(spectrograms, 'B T F 1'))
  return spectrograms
