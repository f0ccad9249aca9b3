"""What a masked model sees in place of the tokens that it must predict."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sslax import shapes


class Corruption(NamedTuple):
  """Which positions are predicted, and what stands there.

  Attributes:
    hidden: [B, T] bool: predicted, so counted in the loss.
    masked: [B, T] bool: hidden ones that hold the mask token.
    swapped: [B, T] bool: hidden ones that hold another token of the data; the
      remaining hidden ones stay as they are.
  """

  hidden: jax.Array
  masked: jax.Array
  swapped: jax.Array


def draw(rng, shape, *, hidden_ratio=0.15, masked_ratio=0.8, swapped_ratio=0.1):
  """Draws for each position by itself whether and how it is corrupted.

  BERT hides 15 % of the tokens, of which 80 % become the mask token, 10 % a
  random one and 10 % stay; ViT's masked patch prediction does so with 50 % of
  the patches' embeddings.

  Args:
    rng: a JAX key.
    shape: (B, T).
    hidden_ratio: share of positions that are predicted.
    masked_ratio: share of those that hold the mask token.
    swapped_ratio: share of those that hold a random token.

  Returns:
    `Corruption`.

  Raises:
    ValueError: a ratio is outside [0, 1], or the last two exceed 1 together.

  References:
    Devlin et al., BERT: pre-training of deep bidirectional transformers for
    language understanding, https://arxiv.org/abs/1810.04805, 2019.
    Dosovitskiy et al., An image is worth 16x16 words: transformers for image
    recognition at scale, https://arxiv.org/abs/2010.11929, 2021.

  >>> hidden, masked, swapped = draw(jax.random.key(0), (4, 1000))
  >>> bool(abs(hidden.mean() - 0.15) < 0.02), bool((masked & swapped).any())
  (True, False)
  """
  ratios = {
    'hidden_ratio': hidden_ratio,
    'masked_ratio': masked_ratio,
    'swapped_ratio': swapped_ratio,
  }
  for name, ratio in ratios.items():
    if not 0 <= ratio <= 1:
      raise ValueError(f'{name} is {ratio}; expected a share in [0, 1]')
  if masked_ratio + swapped_ratio > 1:
    raise ValueError(
      f'masked_ratio={masked_ratio} and swapped_ratio={swapped_ratio} exceed 1'
      ' together'
    )
  where, how = jax.random.split(rng)
  hidden = jax.random.uniform(where, shape) < hidden_ratio
  kind = jax.random.uniform(how, shape)
  masked = hidden & (kind < masked_ratio)
  swapped = hidden & ~masked & (kind < masked_ratio + swapped_ratio)
  return Corruption(hidden, masked, swapped)


def tokens(rng, original, corruption, *, mask_token, vocabulary_size):
  """Tokens with the corruption carried out.

  Args:
    rng: a JAX key, another one than that of `draw`.
    original: [B, T] int in [0, vocabulary_size).
    corruption: of `draw`, with the same shape.
    mask_token: the token that says "hidden here".
    vocabulary_size: random tokens are drawn from [0, vocabulary_size).

  Returns:
    [B, T] int, what the model sees.

  Raises:
    ValueError: the shapes differ.

  >>> x, all_ = jnp.array([[5, 6]]), jnp.ones((1, 2), bool)
  >>> seen = Corruption(all_, all_, ~all_)
  >>> tokens(jax.random.key(0), x, seen, mask_token=9, vocabulary_size=9)
  Array([[9, 9]], dtype=int32)
  """
  shapes.check(original=(original, 'B T'), hidden=(corruption.hidden, 'B T'))
  original = jnp.asarray(original)
  drawn = jax.random.randint(rng, original.shape, 0, vocabulary_size)
  seen = jnp.where(corruption.swapped, drawn.astype(original.dtype), original)
  masked = jnp.full_like(original, mask_token)
  return jnp.where(corruption.masked, masked, seen)


def embeddings(rng, original, corruption, mask_embedding):
  """Embeddings with the corruption carried out, swapped within an example.

  Args:
    rng: a JAX key, another one than that of `draw`.
    original: [B, T, D] embeddings of patches.
    corruption: of `draw`, with shape [B, T].
    mask_embedding: [D], learned.

  Returns:
    [B, T, D], what the model sees.

  Raises:
    ValueError: the shapes do not fit.
  """
  sizes = shapes.check(
    original=(original, 'B T D'),
    hidden=(corruption.hidden, 'B T'),
    mask_embedding=(mask_embedding, 'D'),
  )
  original = jnp.asarray(original)
  places = jax.random.randint(rng, (sizes['B'], sizes['T']), 0, sizes['T'])
  other = jnp.take_along_axis(original, places[:, :, None], 1)
  seen = jnp.where(corruption.swapped[:, :, None], other, original)
  masked = jnp.asarray(mask_embedding).astype(original.dtype)[None, None, :]
  return jnp.where(corruption.masked[:, :, None], masked, seen)
