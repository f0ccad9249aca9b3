"""What a masked model sees in place of hidden tokens."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.ops import token_corruption


def test_the_examples_are_true():
  assert doctest.testmod(token_corruption).failed == 0


def test_hidden_tokens_are_masked_swapped_or_kept_in_their_shares():
  rngs = jax.random.split(jax.random.key(0))
  original = jnp.zeros((8, 2000), jnp.int32)
  drawn = token_corruption.draw(rngs[0], original.shape)
  seen = token_corruption.tokens(
    rngs[1], original, drawn, mask_token=7, vocabulary_size=5
  )
  hidden, seen = np.asarray(drawn.hidden), np.asarray(seen)
  assert (seen[~hidden] == 0).all()
  assert hidden.mean() == pytest.approx(0.15, abs=0.01)
  assert (seen[hidden] == 7).mean() == pytest.approx(0.8, abs=0.03)
  # A random token may be the original one.
  random = np.isin(seen[hidden], [1, 2, 3, 4]).mean()
  assert random == pytest.approx(0.1 * 4 / 5, abs=0.02)


def test_embeddings_are_swapped_within_their_example():
  rngs = jax.random.split(jax.random.key(1))
  original = np.arange(2, dtype=np.float32)[:, None, None] + np.zeros((2, 9, 3))
  drawn = token_corruption.draw(
    rngs[0], (2, 9), hidden_ratio=1.0, masked_ratio=0.4, swapped_ratio=0.6
  )
  seen = token_corruption.embeddings(
    rngs[1], original.astype(np.float32), drawn, np.full(3, 5, np.float32)
  )
  masked = np.asarray(drawn.masked)
  assert (np.asarray(seen)[masked] == 5).all()
  np.testing.assert_array_equal(
    np.asarray(seen)[~masked], original.astype(np.float32)[~masked]
  )


def test_a_ratio_beyond_one_is_refused():
  with pytest.raises(ValueError, match='hidden_ratio'):
    token_corruption.draw(jax.random.key(0), (1, 2), hidden_ratio=1.5)
  with pytest.raises(ValueError, match='exceed 1'):
    token_corruption.draw(jax.random.key(0), (1, 2), swapped_ratio=0.3)
