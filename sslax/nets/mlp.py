"""Multilayer perceptrons: projectors and predictors."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn

from sslax.errors import BadInputError, nearest
from sslax.nets.net import Net, from_linen
from sslax.nets.norm import BatchNorm, ExampleNorm, compute_dtype, param_dtype

_NORMS = ('batch', 'none', 'layer', 'group')


def mlp(
  *,
  hidden: Sequence[int] = (4096,),
  features: int = 256,
  norm: str = 'batch',
  hidden_bias: bool = True,
  final_bias: bool = True,
  final_norm: bool = False,
  final_affine: bool = False,
  dtype: str = 'float32',
) -> Net:
  """Multilayer perceptron: (linear, norm, ReLU) for each hidden layer, linear.

  Inputs are [..., D_in]; outputs [..., features], in dtype.

  Args:
    hidden: size of each hidden layer; () for one linear layer.
    features: size D of the output.
    norm: 'batch' (statistics of the global batch), 'none', 'layer' or 'group'.
    hidden_bias: whether the hidden linear layers have a bias. Before batch
      normalization it changes nothing but is in BYOL's official code.
    final_bias: whether the last linear layer has a bias. BYOL's official
      projector and predictor have none there.
    final_norm: normalizes the output too, without scale and bias, as the
      projectors of SimSiam and MoCo v3 do.
    final_affine: whether that normalization has scale and bias after all.
    dtype: compute dtype: 'float32', 'bfloat16' or 'float64'. Parameters and
      statistics are in at least float32.

  Returns:
    A Net whose apply takes one array.

  Raises:
    BadInputError: for an unknown norm or dtype, a size below 1, or final_norm
      without a norm.

  References:
    Grill et al., Bootstrap your own latent, https://arxiv.org/abs/2006.07733,
    2020 (implementation details, architecture); official code in
    https://github.com/google-deepmind/deepmind-research/tree/master/byol.
  """
  if norm not in _NORMS:
    raise BadInputError(
      f'net.norm={norm!r} is no norm{nearest(str(norm), _NORMS)}'
    )
  if norm == 'none' and final_norm:
    raise BadInputError(
      "net.final_norm=True needs a norm, but net.norm is 'none'; take another"
      ' norm or final_norm=False'
    )
  if any(not isinstance(n, int) or n < 1 for n in (*hidden, features)):
    raise BadInputError(
      f'net.hidden={tuple(hidden)} and net.features={features!r} must hold'
      ' whole numbers >= 1'
    )
  return from_linen(
    _Mlp(
      hidden=tuple(hidden),
      features=features,
      norm=norm,
      hidden_bias=hidden_bias,
      final_bias=final_bias,
      final_norm=final_norm,
      final_affine=final_affine,
      dtype=compute_dtype(dtype),
    )
  )


class _Mlp(nn.Module):
  hidden: tuple[int, ...]
  features: int
  norm: str
  hidden_bias: bool
  final_bias: bool
  final_norm: bool
  final_affine: bool
  dtype: Any

  @nn.compact
  def __call__(self, inputs, train):
    x = inputs.astype(self.dtype)
    for i, size in enumerate(self.hidden, start=1):
      x = self._linear(size, self.hidden_bias, f'linear{i}')(x)
      x = nn.relu(self._norm(x, train, f'norm{i}'))
    last = len(self.hidden) + 1
    x = self._linear(self.features, self.final_bias, f'linear{last}')(x)
    if self.final_norm:
      x = self._norm(x, train, f'norm{last}', affine=self.final_affine)
    return x

  def _linear(self, size, bias, name):
    return nn.Dense(
      size,
      use_bias=bias,
      dtype=self.dtype,
      param_dtype=param_dtype(self.dtype),
      name=name,
    )

  def _norm(self, x, train, name, affine=True):
    if self.norm == 'none':
      return x
    if self.norm == 'batch':
      return BatchNorm(self.dtype, affine=affine, name=name)(x, train)
    return ExampleNorm(self.dtype, self.norm, affine=affine, name=name)(x)
