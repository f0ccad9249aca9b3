"""Sobel filters against loops."""

import jax.numpy as jnp
import numpy as np

from sslax.ops.sobel import sobel


def test_it_is_the_official_pair_of_filters():
  x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
  gray = np.pad(x.mean(-1), ((0, 0), (1, 1), (1, 1)))
  across = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
  expected = np.zeros((2, 4, 5, 2))
  for i in range(4):
    for j in range(5):
      window = gray[:, i : i + 3, j : j + 3]
      expected[:, i, j, 0] = (window * across).sum((1, 2))
      expected[:, i, j, 1] = (window * across.T).sum((1, 2))
  np.testing.assert_allclose(sobel(jnp.asarray(x)), expected, atol=1e-5)
