"""Colors of patches as tokens."""

import doctest

import numpy as np

from sslax.ops import patches


def test_the_examples_are_true():
  assert doctest.testmod(patches).failed == 0


def test_color_tokens_are_the_quantized_means():
  images = np.random.default_rng(0).uniform(size=(2, 6, 4, 3))
  images = images.astype(np.float32) ** 3
  images[0, :2, :2] = 1.0  # white is the last level, not one beyond
  tokens = np.asarray(patches.color_tokens(images, 2, num_bits=3))
  for b in range(2):
    for n in range(6):
      row, column = divmod(n, 2)
      block = images[b, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
      levels = [min(int(block[..., c].mean() * 8), 7) for c in range(3)]
      assert tokens[b, n] == levels[0] * 64 + levels[1] * 8 + levels[2]
  assert tokens[0, 0] == 511
