"""Normalization whose statistics are in at least float32."""

import functools
import math
from typing import Any

import flax.linen as nn
import jax
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
    mean = self.variable('batch_stats', 'mean', jnp.zeros, size, dtype)
    var = self.variable('batch_stats', 'var', jnp.ones, size, dtype)
    scale = jnp.ones(size, dtype)
    if self.affine:
      scale = self.param('scale', self.scale_init, size, dtype)
    x = inputs.astype(dtype)
    if train:
      x, *moments = _normalized(self._grouped(x), scale, self.epsilon)
      x = x.reshape(inputs.shape)
      if not self.is_initializing():
        count = inputs.size // inputs.shape[-1] // self.num_groups
        self._move(mean, moments[0])
        self._move(var, moments[1] * (count / max(count - 1, 1)))
    else:
      gain = scale / jnp.sqrt(var.value + self.epsilon)
      x = (x - _along(mean.value, x)) * _along(gain, x)
    if self.affine:
      bias = self.param('bias', nn.initializers.zeros, size, dtype)
      x = x + _along(bias, x)
    return x.astype(self.dtype)

  def _move(self, running, moments):
    """Moves a running statistic by the mean of those of the groups."""
    moved = (1 - self.momentum) * moments.mean(0)
    running.value = self.momentum * running.value + moved

  def _grouped(self, x):
    """[G, B / G, ..., C]."""
    if x.shape[0] % self.num_groups:
      raise BadInputError(
        f'net.batch_groups is {self.num_groups}, which does not divide the'
        f' {x.shape[0]} examples that are normalized'
      )
    return x.reshape(self.num_groups, -1, *x.shape[1:])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _normalized(x, scale, epsilon):
  """Normalizes [G, ..., C] by its own moments, and returns them, [G, C].

  Differentiated by itself, the gradient passes through the mean and the
  variance one after the other, and devices that share a batch exchange sums for
  each; written out it needs two sums, at once. The moments carry no gradient.
  """
  return _normalize(x, scale, epsilon)[0]


def _normalize(x, scale, epsilon):
  mean, var = _moments(x)
  inverse = 1 / jnp.sqrt(var + epsilon)
  y = (x - _expand(mean, x)) * _expand(inverse * scale[None], x)
  return (y, mean, var), (x, mean, inverse, scale)


def _normalize_gradient(epsilon, kept, cotangents):
  """The gradient, s/σ · (dy − mean(dy) − u · mean(dy · u)), u = (x − μ)/σ."""
  del epsilon
  (x, mean, inverse, scale), dy = kept, cotangents[0]
  unit = (x - _expand(mean, x)) * _expand(inverse, x)
  axes = tuple(range(1, x.ndim - 1))
  means, slopes = dy.mean(axes), (dy * unit).mean(axes)
  centered = dy - _expand(means, x) - unit * _expand(slopes, x)
  count = x[0].size // x.shape[-1]
  return _expand(inverse * scale[None], x) * centered, slopes.sum(0) * count


_normalized.defvjp(_normalize, _normalize_gradient)


def _moments(x):
  """Mean and biased variance, [G, C], in two passes: var ≪ mean² is exact."""
  axes = tuple(range(1, x.ndim - 1))
  mean = x.mean(axes)
  return mean, jnp.square(x - _expand(mean, x)).mean(axes)


def _expand(rows, like):
  """[G, C] -> [G, 1, ..., C]."""
  return rows.reshape(rows.shape[:1] + (1,) * (like.ndim - 2) + rows.shape[1:])


def _along(row, like):
  """[C] -> [1, ..., C]."""
  return row.reshape((1,) * (like.ndim - 1) + row.shape)


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
