"""Views of texts: the tokens as they are."""

import jax.numpy as jnp

from sslax import shapes
from sslax.data.view_policy import require
from sslax.data.views import Views


def make(*, num_views: int = 1) -> Views:
  """The tokens of each text as they are, in one view or several equal ones.

  `apply` takes tokens [B, L] int32 and gives them num_views times; what differs
  between two passes of a text (dropout, masks) is the method's. `unnormalize`
  is None: there is no picture.

  Args:
    num_views: how many times.

  Raises:
    BadInputError: a value out of range, naming the key.

  References:
    Gao et al., SimCSE: Simple contrastive learning of sentence embeddings,
    https://arxiv.org/abs/2104.08821, 2021: the same sentence twice, with
    dropout as the only difference.
  """
  whole = isinstance(num_views, int) and num_views >= 1
  right = 'a whole number of at least 1'
  require(whole, 'num_views', num_views, right)
  return Views(
    policies=(),
    apply=lambda rng, tokens: (_checked(tokens),) * num_views,
    evaluate=_checked,
    unnormalize=None,
    restore=lambda tokens: tokens,
  )


def _checked(tokens):
  shapes.check(tokens=(tokens, 'B L'))
  if not jnp.issubdtype(tokens.dtype, jnp.integer):
    raise ValueError(f'tokens have dtype {tokens.dtype}; expected integers')
  return tokens
