"""Relations do not know the order of objects; pairs are of the right images."""

import doctest

import jax.numpy as jnp
import numpy as np
import pytest

from sslax.ops import relations


def test_the_examples_of_the_docs_hold():
  result = doctest.testmod(relations)
  assert result.attempted > 0
  assert result.failed == 0


def test_a_relation_is_the_sum_over_pairs_and_forgets_their_order(x64):
  rng = np.random.default_rng(0)
  objects, question = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 2))
  weights, readout = rng.normal(size=(8, 5)), rng.normal(size=(5, 1))

  def run(x):
    return relations.relation(
      x, lambda p: jnp.tanh(p @ weights), lambda h: h @ readout, question
    )

  expected = np.zeros((2, 1))
  for b in range(2):
    total = np.zeros(5)
    for first in objects[b]:
      for second in objects[b]:
        pair = np.concatenate([first, second, question[b]])
        total += np.tanh(pair @ weights)
    expected[b] = total @ readout
  np.testing.assert_allclose(run(objects), expected, rtol=1e-9)
  np.testing.assert_allclose(run(objects[:, ::-1]), expected, rtol=1e-9)


def test_positives_are_of_one_image_and_negatives_of_two():
  # The feature is the image's number, so that a difference tells the pair.
  number = np.arange(3, dtype=np.float32)[:, None]
  pairs, labels = relations.view_pairs((number,) * 4)
  assert pairs.shape == (6 * 2 * 3, 2)
  same = np.asarray(pairs[:, 0] == pairs[:, 1])
  np.testing.assert_array_equal(same, np.asarray(labels) == 1)
  assert labels.sum() == len(labels) / 2
  # Negatives do not always come from the next image.
  gaps = np.asarray(pairs[:, 0] - pairs[:, 1])[~same] % 3
  assert set(gaps) == {1, 2}


def test_one_view_and_unknown_aggregates_are_refused():
  x = jnp.zeros((2, 1))
  with pytest.raises(ValueError, match='views are 1'):
    relations.view_pairs((x,))
  with pytest.raises(ValueError, match="aggregate is 'product'"):
    relations.view_pairs((x, x), aggregate='product')
