"""Losses that predict the hidden or the future part of a sequence."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import cross_entropy
from sslax.ops.precision import at_least_float32

__all__ = ['cpc', 'masked_language_modeling']


def cpc(predictions, targets, *, num_steps_ahead=1):
  """Contrastive predictive coding: tell the future latent from all others.

  L_k = −mean_{b,t} log e^{p_{b,t}·z_{b,t+k}} / Σ_{b',t'} e^{p_{b,t}·z_{b',t'}},
  with p_t = W_k c_t. The candidates are the latents of every sequence and time
  of the batch. Sum over k for the whole objective; for image grids each column
  is a sequence read downwards.

  Args:
    predictions: [B, T, D] predictions W_k c_t made at each time, any scale.
    targets: [B, T, D] latents z_t, any scale.
    num_steps_ahead: k in [1, T), how far ahead the predictions look.

  Returns:
    Scalar, at least 0; log(B T) for equal candidates.

  Raises:
    ValueError: the shapes differ, or k does not fit into T.

  References:
    van den Oord et al., Representation learning with contrastive predictive
    coding, https://arxiv.org/abs/1807.03748, 2018.

  >>> import numpy as np
  >>> z = 3 * np.eye(3)[None]
  >>> float(cpc(np.roll(z, -1, axis=1), z)) < 0.001
  True
  """
  sizes = shapes.check(
    predictions=(predictions, 'B T D'), targets=(targets, 'B T D')
  )
  if not 1 <= num_steps_ahead < sizes['T']:
    raise ValueError(
      f'num_steps_ahead={num_steps_ahead} for sequences of {sizes["T"]};'
      ' expected 1 <= num_steps_ahead < T'
    )
  predictions, targets = at_least_float32(predictions, targets)
  predictions = predictions[:, :-num_steps_ahead]
  rows, candidates = (
    jnp.reshape(x, (-1, sizes['D'])) for x in (predictions, targets)
  )
  future = targets[:, num_steps_ahead:]
  positive = jnp.ravel(jnp.sum(predictions * future, -1))
  # The place of each row's own future among the candidates.
  places = jnp.arange(sizes['B'] * sizes['T']).reshape(sizes['B'], -1)
  own = jnp.ravel(places[:, num_steps_ahead:])
  others = own[:, None] != jnp.arange(len(candidates))[None, :]
  return jnp.mean(cross_entropy(positive, rows @ candidates.T, others))


def masked_language_modeling(logits, tokens, mask):
  """Masked language modeling: cross-entropy at the hidden positions.

  −Σ_hidden log p(token) / number of hidden positions of the whole batch; zero
  where nothing is hidden.

  Args:
    logits: [B, T, K] scores over a vocabulary of K, any scale.
    tokens: [B, T] the original tokens in [0, K), int; any value where not
      hidden.
    mask: [B, T] 1 = hidden (to be predicted); bool, int or float.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Devlin et al., BERT: pre-training of deep bidirectional transformers for
    language understanding, https://arxiv.org/abs/1810.04805, 2019.

  >>> import numpy as np
  >>> logits, tokens = np.zeros((1, 2, 4)), np.array([[2, 0]])
  >>> mask = np.array([[1, 0]])
  >>> round(float(masked_language_modeling(logits, tokens, mask)), 4)
  1.3863
  """
  shapes.check(
    logits=(logits, 'B T K'), tokens=(tokens, 'B T'), mask=(mask, 'B T')
  )
  logits, mask = at_least_float32(logits, mask)
  is_token = jax.nn.one_hot(tokens, logits.shape[-1], dtype=logits.dtype)
  log_probability = jnp.sum(jax.nn.log_softmax(logits) * is_token, -1)
  return -jnp.sum(log_probability * mask) / jnp.maximum(jnp.sum(mask), 1)
