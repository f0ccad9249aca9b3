"""What bags of visual words promise."""

import doctest

import jax
import numpy as np

from sslax.ops import bag_of_words as ops


def test_the_examples_are_true():
  assert doctest.testmod(ops).failed == 0


def _inputs():
  rng = np.random.default_rng(0)
  return rng.normal(size=(3, 5, 4)), rng.normal(size=(6, 4))


def test_equals_the_loops(x64):
  features, words = _inputs()
  actual = ops.bag_of_words(features, words, 2.0, sharpness=3.0)
  for b, cells in enumerate(features):
    gaps = np.array([[sum((f - w) ** 2) for w in words] for f in cells])
    codes = np.exp(-3.0 / 2.0 * gaps)
    bag = (codes / codes.sum(1, keepdims=True)).max(0)
    np.testing.assert_allclose(actual[b], bag / bag.sum(), rtol=1e-9)


def test_the_order_of_cells_is_unknown_and_words_carry_their_counts(x64):
  features, words = _inputs()
  bag = ops.bag_of_words(features, words, 2.0)
  mixed = ops.bag_of_words(features[:, ::-1], words[::-1], 2.0)
  np.testing.assert_allclose(mixed[:, ::-1], bag, rtol=1e-9)


def test_the_scale_is_unknown_with_its_own_distance(x64):
  features, words = _inputs()
  bags = [
    ops.bag_of_words(
      scale * features,
      scale * words,
      ops.nearest_word_distance(scale * features, scale * words),
    )
    for scale in (1, 7)
  ]
  np.testing.assert_allclose(bags[1], bags[0], rtol=1e-9)


def test_no_gradient_flows(x64):
  features, words = _inputs()
  gradient = jax.grad(lambda x: ops.bag_of_words(x, words, 1.0)[0, 0])
  assert not np.asarray(gradient(features)).any()
