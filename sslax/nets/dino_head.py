"""The projection head of DINO and iBOT."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from sslax.nets import check
from sslax.nets.net import Net, from_linen
from sslax.nets.norm import compute_dtype, param_dtype
from sslax.nets.transformer import dense
from sslax.ops.distance import normalize


def dino_head(
  *,
  hidden: Sequence[int] = (2048, 2048),
  bottleneck_size: int = 256,
  features: int = 65536,
  learned_gain: bool = False,
  dtype: str = 'float32',
) -> Net:
  """DINO's head: an MLP to unit vectors, and their products with K prototypes.

  (linear, GELU) for each hidden layer, linear, normalization; output k is
  gain_k·z·w_k / ‖w_k‖, the gain being 1 unless learned. Inputs are [..., D];
  outputs [..., K], in dtype.

  Args:
    hidden: size of each hidden layer.
    bottleneck_size: size of the unit vectors.
    features: number K of prototypes, the rows of the last layer.
    learned_gain: whether each prototype has a learned gain, which starts at 1
      (`--norm_last_layer false` of the official code).
    dtype: compute dtype: 'float32', 'bfloat16' or 'float64'.

  Returns:
    A Net whose apply takes one array; its parts are linear1, linear2, ... and
    last_layer.

  Raises:
    BadInputError: an unknown dtype, or a size below 1.

  References:
    Caron et al., Emerging properties in self-supervised vision transformers,
    https://arxiv.org/abs/2104.14294, 2021; DINOHead of vision_transformer.py
    in https://github.com/facebookresearch/dino.
  """
  sizes = {f'hidden[{i}]': size for i, size in enumerate(hidden)}
  check.whole(**sizes, bottleneck_size=bottleneck_size, features=features)
  return from_linen(
    _DinoHead(
      sizes=(*hidden, bottleneck_size),
      features=features,
      learned_gain=learned_gain,
      dtype=compute_dtype(dtype),
    )
  )


class _DinoHead(nn.Module):
  sizes: tuple[int, ...]
  features: int
  learned_gain: bool
  dtype: Any

  @nn.compact
  def __call__(self, inputs, train):
    del train
    x, init = inputs.astype(self.dtype), nn.initializers.normal(0.02)
    for i, size in enumerate(self.sizes, start=1):
      x = nn.gelu(x, approximate=False) if i > 1 else x
      x = dense(size, self.dtype, init, f'linear{i}')(x)
    last = _Prototypes(
      self.features, self.learned_gain, self.dtype, name='last_layer'
    )
    return last(normalize(x).astype(self.dtype))


class _Prototypes(nn.Module):
  """A linear layer whose columns are normalized, with a gain or without."""

  features: int
  learned_gain: bool
  dtype: Any

  @nn.compact
  def __call__(self, x):
    dtype, size = param_dtype(self.dtype), x.shape[-1]
    shape = (size, self.features)
    kernel = self.param('kernel', _uniform(size**-0.5), shape, dtype)
    kernel = normalize(kernel, axis=0)
    if self.learned_gain:  # of two axes: it decays, as in the official code
      one = nn.initializers.ones
      kernel = kernel * self.param('gain', one, (1, self.features), dtype)
    return x @ kernel.astype(self.dtype)


def _uniform(bound):
  return lambda rng, shape, dtype: jax.random.uniform(
    rng, shape, dtype, -bound, bound
  )
