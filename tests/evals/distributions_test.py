"""Both collapses of a distribution are seen."""

import numpy as np
import pytest

from sslax.evals import distributions


@pytest.mark.parametrize(
  ('probs', 'spread', 'entropy'),
  [
    (np.full((6, 3), 1 / 3), 0, 1),  # all uniform
    (np.eye(3)[np.zeros(6, int)], 0, 0),  # all decided, and alike
    (np.eye(3)[[0, 1, 2] * 2], np.sqrt(2 / 3), 0),  # decided, in equal parts
    (np.eye(99)[[0, 1, 2] * 2], np.sqrt(2 / 3), 0),  # at any K
  ],
)
def test_spread_and_entropy(probs, spread, entropy):
  probs = probs.astype(np.float32)
  np.testing.assert_allclose(distributions.spread(probs), spread, atol=1e-3)
  np.testing.assert_allclose(
    distributions.mean_entropy(probs), entropy, atol=1e-6
  )
