"""The share of pairs that are matched, and its ends."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np

from sslax.evals import matching


def test_the_examples_of_the_docs_hold():
  result = doctest.testmod(matching)
  assert result.attempted > 0
  assert result.failed == 0


def test_rows_beyond_the_queries_only_distract():
  queries = jax.random.normal(jax.random.key(0), (6, 4))
  assert matching.match_accuracy(queries, 3 * queries) == 1
  distracted = jnp.concatenate([-queries[:2], queries[2:], queries])
  np.testing.assert_allclose(
    matching.match_accuracy(queries, distracted), 4 / 6, rtol=1e-6
  )


def test_equal_embeddings_match_by_chance_only():
  ones = jnp.ones((5, 3))
  np.testing.assert_allclose(matching.match_accuracy(ones, ones), 0.2)
