import jax
import numpy as np
import pytest

from sslax.data import view_recipes
from sslax.errors import BadInputError

_TOKENS = np.arange(12, dtype=np.int32).reshape(3, 4)


def test_tokens_stay_as_they_are():
  made = view_recipes.build('tokens', num_views=2)
  assert (made.reads, made.size, made.policies) == ('text', None, ())
  seen = jax.jit(made.apply)(jax.random.key(0), _TOKENS)
  assert len(seen) == 2
  for tokens in (*seen, made.evaluate(_TOKENS), made.restore(_TOKENS)):
    np.testing.assert_array_equal(tokens, _TOKENS)
  assert made.unnormalize is None
  assert len(view_recipes.build('tokens').apply(None, _TOKENS)) == 1


def test_what_is_no_text_is_refused():
  with pytest.raises(BadInputError, match=r'views\.num_views is 0'):
    view_recipes.build('tokens', num_views=0)
  with pytest.raises(ValueError, match='float32; expected integers'):
    view_recipes.build('tokens').evaluate(_TOKENS.astype(np.float32))
