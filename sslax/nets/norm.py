"""Normalization whose statistics are in at least float32."""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from sslax.errors import BadInputError, nearest

_DTYPES = ('float32', 'bfloat16', 'float64')


def compute_dtype(name: str) -> jnp.dtype:
  """Returns the compute dtype of that name.

  Args:
    name: 'float32', 'bfloat16' or 'float64'.

  Raises:
    BadInputError: for any other name.
  """
  if name not in _DTYPES:
    raise BadInputError(
      f'dtype={name!r} is no compute dtype{nearest(str(name), _DTYPES)}'
    )
  return jnp.dtype(name)


def param_dtype(dtype: Any) -> jnp.dtype:
  """Returns the dtype of parameters and statistics: float32 or wider."""
  return jnp.dtype('float64' if jnp.dtype(dtype) == 'float64' else 'float32')


class BatchNorm(nn.Module):
  """Batch normalization over every axis but the last.

  Train mode normalizes by the biased variance of the global batch, which needs
  no axis name, and moves the running statistics, the variance unbiased as in
  the paper and in torch. linen's own layer mixes bfloat16 with float32 and
  float64 with float32, which strict dtype promotion refuses.

  Attributes:
    dtype: of the output.
    affine: whether there are a scale and a bias.
    scale_init: initializer of the scale.
    momentum: share of the running statistics kept at each step.
    epsilon: added to the variance.
    num_groups: groups of consecutive examples that are normalized apart, each
      by its own statistics, as devices do whose statistics are not shared. The
      running statistics move by their mean.

  Raises:
    BadInputError: num_groups does not divide the batch.

  References:
    Ioffe and Szegedy, Batch normalization, https://arxiv.org/abs/1502.03167,
    2015.
  """

  dtype: Any
  affine: bool = True
  scale_init: Any = nn.initializers.ones
  momentum: float = 0.9
  epsilon: float = 1e-5
  num_groups: int = 1

  @nn.compact
  def __call__(self, inputs, train):
    """Normalizes [B, ..., C] and returns it in `dtype`."""
    size, dtype = inputs.shape[-1:], param_dtype(self.dtype)
    running_mean = self.variable('batch_stats', 'mean', jnp.zeros, size, dtype)
    running_var = self.variable('batch_stats', 'var', jnp.ones, size, dtype)
    x = (
      self._grouped(inputs.astype(dtype))
      if train
      else inputs.astype(dtype)[None]
    )
    mean, var = running_mean.value[None], running_var.value[None]
    if train:
      mean, var = _moments(x)
      if not self.is_initializing():
        count = x[0].size // x.shape[-1]
        unbiased = var.mean(0) * (count / max(count - 1, 1))
        keep = self.momentum
        running_mean.value = keep * running_mean.value + (1 - keep) * mean.mean(
          0
        )
        running_var.value = keep * running_var.value + (1 - keep) * unbiased
    gain = 1 / jnp.sqrt(var + self.epsilon)
    if self.affine:
      gain = gain * self.param('scale', self.scale_init, size, dtype)[None]
    y = (x - _expand(mean, x)) * _expand(gain, x)
    y = y.reshape(inputs.shape)
    if self.affine:
      bias = self.param('bias', nn.initializers.zeros, size, dtype)
      y = y + _expand(bias[None], y[None])[0]
    return y.astype(self.dtype)

  def _grouped(self, x):
    """[G, B / G, ..., C]."""
    if x.shape[0] % self.num_groups:
      raise BadInputError(
        f'net.batch_groups is {self.num_groups}, which does not divide the'
        f' {x.shape[0]} examples that are normalized'
      )
    return x.reshape(self.num_groups, -1, *x.shape[1:])


def _moments(x):
  """Mean and biased variance, [G, C], in two passes: var ≪ mean² is exact."""
  axes = tuple(range(1, x.ndim - 1))
  mean = x.mean(axes)
  return mean, jnp.square(x - _expand(mean, x)).mean(axes)


def _expand(rows, like):
  """[G, C] -> [G, 1, ..., C]."""
  return rows.reshape(rows.shape[:1] + (1,) * (like.ndim - 2) + rows.shape[1:])


class ExampleNorm(nn.Module):
  """Layer or group normalization: each example by itself, no statistics kept.

  Attributes:
    dtype: of the output.
    kind: 'layer', or 'group' for the largest number of groups up to 32 that
      divides 32 and the number of features.
    affine: whether there are a scale and a bias.
  """

  dtype: Any
  kind: str
  affine: bool = True

  @nn.compact
  def __call__(self, inputs):
    """Normalizes [B, ..., C] and returns it in `dtype`."""
    dtype = param_dtype(self.dtype)
    kwargs = {
      'dtype': dtype,
      'param_dtype': dtype,
      'use_bias': self.affine,
      'use_scale': self.affine,
      'epsilon': 1e-5,
      'use_fast_variance': False,
      'force_float32_reductions': False,  # they are in dtype, which is wider
      'name': 'affine',
    }
    if self.kind == 'layer':
      norm = nn.LayerNorm(**kwargs)
    else:
      norm = nn.GroupNorm(math.gcd(32, inputs.shape[-1]), **kwargs)
    return norm(inputs.astype(dtype)).astype(self.dtype)
