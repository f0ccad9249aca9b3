"""Transformers on tokens of text."""

import flax.linen as nn
import jax.numpy as jnp

from sslax import shapes
from sslax.errors import BadInputError
from sslax.nets import check
from sslax.nets.initializers import initializers
from sslax.nets.net import Net, from_linen
from sslax.nets.norm import compute_dtype, param_dtype
from sslax.nets.transformer import Options, Stack, layer_norm
from sslax.ops.masked import masked_mean

_POOLS = ('class', 'mean', 'end')
_INITIALIZERS = ('bert', 'clip')


def text_transformer(
  *,
  vocab_size: int,
  max_length: int = 32,
  width: int = 256,
  depth: int = 4,
  num_heads: int = 4,
  dropout: float = 0.0,
  pool: str = 'class',
  causal: bool = False,
  initializer: str = 'bert',
  remat: bool = False,
  dtype: str = 'float32',
) -> Net:
  """Transformer on text: tokens [B, L] -> features [B, D].

  Tokens are int32 in [0, vocab_size), L is at most max_length, and 0 is
  padding, which nobody attends to and no pool counts. Parameters and features
  are in float32, or in float64 where dtype is.

  Args:
    vocab_size: number of tokens, padding among them.
    max_length: number of learned positions.
    width: D.
    depth: number of blocks.
    num_heads: attention heads.
    dropout: of embeddings, attention weights and each branch's output, in train
      mode; it needs apply's rng.
    pool: 'class' (the first token), 'mean' (of all tokens that are not
      padding) or 'end' (the last token that is not padding).
    causal: whether a token sees only itself and what comes before it.
    initializer: whose initial parameters: 'bert' or 'clip'.
    remat: recomputes each block's activations in the backward pass.
    dtype: compute dtype: 'float32', 'bfloat16' or 'float64'.

  Returns:
    A Net whose apply takes the tokens.

  Raises:
    BadInputError: for an unknown pool, initializer or dtype, for pool='class'
      with causal, whose first token sees nothing, or numbers that do not fit
      together.

  References:
    Gao et al., SimCSE, https://arxiv.org/abs/2104.08821, 2021;
    https://github.com/princeton-nlp/SimCSE/blob/main/simcse/models.py.
    Radford et al., Learning transferable visual models from natural language
    supervision, https://arxiv.org/abs/2103.00020, 2021;
    https://github.com/openai/CLIP/blob/main/clip/model.py.

  Deviations:
    SimCSE starts from a trained BERT, which normalizes after each branch and
    after the embeddings; here it is before each branch and at the end, as in
    CLIP, and there are no segment embeddings. CLIP's GELU is an approximation,
    x · sigmoid(1.702 x); here it is exact. CLIP finds the end by the largest
    token; here it is the last before padding. CLIP attends to padding where it
    comes before; here nobody does. CLIP's projection to the common space is
    the method's.
  """
  check.one_of('pool', pool, _POOLS)
  check.one_of('initializer', initializer, _INITIALIZERS)
  check.width(width, num_heads)
  check.whole(vocab_size=vocab_size, max_length=max_length, depth=depth)
  check.rate(dropout=dropout)
  if causal and pool == 'class':
    raise BadInputError(
      "net.pool='class' reads a token that sees only itself with"
      " net.causal=True; take net.pool='end' or 'mean'"
    )
  init = initializers(initializer, width=width, depth=depth)
  options = Options(
    num_heads=num_heads,
    init=init,
    dtype=compute_dtype(dtype),
    dropout=dropout,
    epsilon=1e-5 if initializer == 'clip' else 1e-12,
  )
  return from_linen(
    _TextTransformer(
      options, vocab_size, max_length, width, depth, pool, causal, remat
    )
  )


class _TextTransformer(nn.Module):
  """Embeddings, positions, blocks, normalization, pool."""

  options: Options
  vocab_size: int
  max_length: int
  width: int
  depth: int
  pool: str
  causal: bool
  remat: bool

  @nn.compact
  def __call__(self, tokens, train):
    length = shapes.check(tokens=(tokens, 'B L'))['L']
    if not jnp.issubdtype(tokens.dtype, jnp.integer):
      raise ValueError(f'tokens have dtype {tokens.dtype}; expected integers')
    if length > self.max_length:
      raise ValueError(
        f'tokens have L={length}; expected at most {self.max_length}'
      )
    o, padding = self.options, tokens == 0
    words = self._table('token_embed', self.vocab_size, o.init.token)
    places = self._table('pos_embed', self.max_length, o.init.position)
    x = jnp.take(words, tokens, axis=0) + places[None, :length]
    x = nn.Dropout(o.dropout, deterministic=not train)(x)
    stack = Stack(o, self.depth, remat=self.remat, name='blocks')
    x, _ = stack(x, self._hidden(padding), train)
    x = layer_norm(x, o.dtype, 'norm', o.epsilon)
    return self._pooled(x.astype(param_dtype(o.dtype)), padding)

  def _table(self, name, rows, init):
    dtype = self.options.dtype
    shape = (rows, self.width)
    return self.param(name, init, shape, param_dtype(dtype)).astype(dtype)

  def _hidden(self, padding):
    """[B, 1, L or 1, L], True where the last axis is not attended to."""
    hidden = padding[:, None, None]
    if not self.causal:
      return hidden
    length = padding.shape[1]
    later = ~jnp.tri(length, dtype=bool)
    return hidden | later[None, None]

  def _pooled(self, x, padding):
    if self.pool == 'class':
      return x[:, 0]
    if self.pool == 'mean':
      keep = jnp.broadcast_to(~padding[..., None], x.shape)
      return masked_mean(x, keep, 1)
    last = x.shape[1] - 1 - jnp.argmin(padding[:, ::-1], axis=1)
    return jnp.take_along_axis(x, last[:, None, None], axis=1)[:, 0]
