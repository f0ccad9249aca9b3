"""How the parameters of transformers start, by the name of an official code."""

import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax

from sslax.nets import check

INITIALIZERS = ('dino', 'mae', 'moco_v3', 'data2vec', 'bert', 'clip')


class Init(NamedTuple):
  """How the parameters of a transformer start.

  Attributes:
    qkv: kernel of queries, keys and values, [D, 3·D].
    fc1: kernel of the first layer of the MLP.
    out: index of a block -> initializer of its two last kernels.
    dense: kernels outside the blocks.
    patch: kernel of the patch projection.
    patch_bias: its fan-in -> initializer of its bias.
    token: class token, mask token, word embeddings.
    position: learned positions.
  """

  qkv: Callable
  fc1: Callable
  out: Callable[[int], Callable]
  dense: Callable
  patch: Callable
  patch_bias: Callable[[int], Callable]
  token: Callable
  position: Callable


def initializers(name: str, *, width: int, depth: int) -> Init:
  """Returns the initializers of an official code.

  The truncated normal of DINO and data2vec has its cut at 2 with a deviation of
  0.02, so it is a normal one. Where the official code leaves the patch
  projection alone, it starts as torch starts a convolution.

  Args:
    name: 'dino' (normal 0.02; iBOT too), 'mae' (Xavier uniform), 'moco_v3'
      (the same, with queries, keys and values as three kernels), 'data2vec'
      (DINO's, with each branch's last kernel shrunk with depth), 'bert'
      (normal 0.02), or 'clip' (normal, scaled by width and depth).
    width: D.
    depth: number of blocks.

  Raises:
    BadInputError: for another name.

  References:
    https://github.com/facebookresearch/dino/blob/main/vision_transformer.py;
    https://github.com/facebookresearch/mae/blob/main/models_mae.py;
    https://github.com/facebookresearch/moco-v3/blob/main/vits.py;
    https://github.com/facebookresearch/fairseq/blob/main/examples/data2vec/models/data2vec_vision.py;
    https://github.com/openai/CLIP/blob/main/clip/model.py.
  """
  check.one_of('initializer', name, INITIALIZERS)
  normal, zeros = nn.initializers.normal, nn.initializers.zeros
  common = normal(0.02)
  init = Init(
    qkv=common,
    fc1=common,
    out=lambda i: common,
    dense=common,
    patch=common,
    patch_bias=lambda fan_in: zeros,
    token=common,
    position=common,
  )
  if name in ('dino', 'data2vec'):
    init = init._replace(patch=_torch_conv, patch_bias=_torch_conv_bias)
  if name == 'data2vec':
    return init._replace(out=lambda i: normal(0.02 / math.sqrt(2 * (i + 1))))
  if name in ('mae', 'moco_v3'):
    xavier = nn.initializers.xavier_uniform()
    moco = name == 'moco_v3'
    return init._replace(
      qkv=_split_xavier if moco else xavier,
      fc1=xavier,
      out=lambda i: xavier,
      dense=xavier,
      patch=_patch_xavier,
      patch_bias=init.patch_bias if moco else _torch_conv_bias,
      token=normal(1e-6) if moco else common,
    )
  if name == 'clip':
    out = normal(1 / math.sqrt(2 * width * depth))
    return init._replace(
      qkv=normal(1 / math.sqrt(width)),
      fc1=normal(1 / math.sqrt(2 * width)),
      out=lambda i: out,
      position=normal(0.01),
    )
  return init


def _uniform(bound):
  return lambda rng, shape, dtype: jax.random.uniform(
    rng, shape, dtype, -bound, bound
  )


def _torch_conv(rng, shape, dtype):
  return _uniform(1 / math.sqrt(math.prod(shape[:-1])))(rng, shape, dtype)


def _torch_conv_bias(fan_in):
  return _uniform(1 / math.sqrt(fan_in))


def _patch_xavier(rng, shape, dtype):
  """A patch projection counts as a linear layer on p·p·3 numbers."""
  fans = math.prod(shape[:-1]) + shape[-1]
  return _uniform(math.sqrt(6 / fans))(rng, shape, dtype)


def _split_xavier(rng, shape, dtype):
  fans = shape[0] + shape[1] // 3
  return _uniform(math.sqrt(6 / fans))(rng, shape, dtype)
