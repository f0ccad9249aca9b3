"""What transformers share: attention, MLP, blocks and stacks of blocks.

Matrix products are in the compute dtype; attention logits, softmax and layer
normalization are in at least float32. Parameter names are timm's.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from sslax.nets.initializers import Init
from sslax.nets.norm import param_dtype


class Seen(NamedTuple):
  """What a stack of L blocks computed on its way.

  Attributes:
    blocks: L arrays [B, N, D], each block's output.
    ffn: L arrays [B, N, D], what each block's MLP added, after layer scale
      and drop path.
    attention: [B, heads, N, N], the last block's, in at least float32.
  """

  blocks: list[jax.Array]
  ffn: list[jax.Array]
  attention: jax.Array


def layer_norm(x, dtype, name, epsilon=1e-6):
  """Normalizes [..., D] in at least float32 and returns it in `dtype`.

  Only from within a compact linen method.

  Args:
    x: [..., D].
    dtype: of the output.
    name: of the parameters.
    epsilon: added to the variance.
  """
  wide = param_dtype(dtype)
  norm = nn.LayerNorm(
    epsilon=epsilon,
    dtype=wide,
    param_dtype=wide,
    use_fast_variance=False,
    force_float32_reductions=False,  # they are in `wide`
    name=name,
  )
  return norm(x.astype(wide)).astype(dtype)


def dense(features, dtype, kernel_init, name, use_bias=True):
  """A linear layer whose parameters are in at least float32."""
  return nn.Dense(
    features,
    use_bias=use_bias,
    dtype=dtype,
    param_dtype=param_dtype(dtype),
    kernel_init=kernel_init,
    name=name,
  )


def drop_path(x, rate, rng):
  """Zeroes whole examples and makes up for it in the others.

  Args:
    x: [B, ...], the output of a residual branch.
    rate: probability that an example's branch is dropped, in [0, 1).
    rng: key.

  References:
    Huang et al., Deep networks with stochastic depth,
    https://arxiv.org/abs/1603.09382, 2016.
  """
  shape = x.shape[:1] + (1,) * (x.ndim - 1)
  keep = jax.random.bernoulli(rng, 1 - rate, shape)
  return jnp.where(keep, x / (1 - rate), jnp.zeros_like(x))


def attend(queries, keys, values, hidden=None, dropout=None):
  """Scaled dot-product attention.

  Args:
    queries: [B, N, heads, d].
    keys: [B, K, heads, d].
    values: [B, K, heads, d].
    hidden: bool that broadcasts to [B, heads, N, K]; True = not attended to.
    dropout: applied to the weights, or None.

  Returns:
    ([B, N, heads, d] in the dtype of values, weights [B, heads, N, K] in at
    least float32).
  """
  wide = param_dtype(values.dtype)
  logits = jnp.einsum(
    'bnhd,bkhd->bhnk',
    queries * queries.shape[-1] ** -0.5,
    keys,
    preferred_element_type=wide,
  )
  if hidden is not None:
    lowest = jnp.full_like(logits, float(jnp.finfo(wide).min))
    hidden = jnp.broadcast_to(hidden, logits.shape)
    logits = jnp.where(hidden, lowest, logits)
  weights = jax.nn.softmax(logits)
  kept = weights if dropout is None else dropout(weights)
  mixed = jnp.einsum('bhnk,bkhd->bnhd', kept.astype(values.dtype), values)
  return mixed, weights


class Options(NamedTuple):
  """What all blocks of a stack share.

  Attributes:
    num_heads: divides D.
    init: initializers of the kernels.
    dtype: compute dtype.
    qkv_bias: whether queries, keys and values have a bias.
    layer_scale: start of a learned scale of each branch, or None for none.
    dropout: of attention weights, and of each branch's output.
    epsilon: of layer normalization.
  """

  num_heads: int
  init: Init
  dtype: Any
  qkv_bias: bool = True
  layer_scale: float | None = None
  dropout: float = 0.0
  epsilon: float = 1e-6


class Stack(nn.Module):
  """Blocks in a row, named '0', '1', ...

  Attributes:
    options: of every block.
    depth: number of blocks.
    drop_path: probability that the last block's branches are dropped for an
      example; it rises linearly from 0 at the first block.
    remat: recomputes each block's activations in the backward pass.
  """

  options: Options
  depth: int
  drop_path: float = 0.0
  remat: bool = False

  @nn.compact
  def __call__(self, x, hidden, train):
    """Maps [B, N, D] to ([B, N, D], Seen).

    Args:
      x: [B, N, D].
      hidden: bool that broadcasts to [B, heads, N, N], True = not attended
        to; or None.
      train: whether dropout and drop path are on.
    """
    block = nn.remat(_Block, static_argnums=(3,)) if self.remat else _Block
    rates = np.linspace(0, self.drop_path, self.depth)
    blocks, ffn, attention = [], [], None
    for i, rate in enumerate(rates.tolist()):
      x, added, attention = block(self.options, i, rate, name=str(i))(
        x, hidden, train
      )
      blocks.append(x)
      ffn.append(added)
    return x, Seen(blocks, ffn, attention)


class _Block(nn.Module):
  """x + attention(norm(x)), then x + MLP(norm(x))."""

  options: Options
  index: int
  drop_path: float

  @nn.compact
  def __call__(self, x, hidden, train):
    o = self.options
    y = layer_norm(x, o.dtype, 'norm1', o.epsilon)
    y, attention = _Attention(o, self.index, name='attn')(y, hidden, train)
    x = x + self._branch(y, 'ls1', train)
    y = layer_norm(x, o.dtype, 'norm2', o.epsilon)
    added = _Mlp(o, self.index, name='mlp')(y)
    added = self._branch(added, 'ls2', train)
    return x + added, added, attention

  def _branch(self, y, name, train):
    """Dropout, layer scale and drop path at the end of a residual branch."""
    o = self.options
    y = nn.Dropout(o.dropout, deterministic=not train)(y)
    if o.layer_scale is not None:
      start = nn.initializers.constant(o.layer_scale)
      gamma = self.param(name, start, y.shape[-1:], param_dtype(o.dtype))
      y = y * gamma.astype(o.dtype)[None, None]
    if train and self.drop_path:
      y = drop_path(y, self.drop_path, self.make_rng('dropout'))
    return y


class _Attention(nn.Module):
  """Multi-head self-attention, one kernel for queries, keys and values."""

  options: Options
  index: int

  @nn.compact
  def __call__(self, x, hidden, train):
    o, width = self.options, x.shape[-1]
    qkv = dense(3 * width, o.dtype, o.init.qkv, 'qkv', o.qkv_bias)(x)
    qkv = qkv.reshape(*x.shape[:2], 3, o.num_heads, width // o.num_heads)
    queries, keys, values = (qkv[:, :, i] for i in range(3))
    dropout = nn.Dropout(o.dropout, deterministic=not train)
    mixed, weights = attend(queries, keys, values, hidden, dropout)
    out = dense(width, o.dtype, o.init.out(self.index), 'proj')
    return out(mixed.reshape(x.shape)), weights


class _Mlp(nn.Module):
  """Linear to 4·D, GELU, linear back."""

  options: Options
  index: int

  @nn.compact
  def __call__(self, x):
    o, width = self.options, x.shape[-1]
    x = dense(4 * width, o.dtype, o.init.fc1, 'fc1')(x)
    x = nn.gelu(x, approximate=False)
    return dense(width, o.dtype, o.init.out(self.index), 'fc2')(x)
