"""Cases of sslax.losses.distillation."""

import numpy as np

from sslax import losses
from tests.losses.case import Case


def _pair(rng):
  return {
    'predictions': rng.normal(size=(16, 6)).astype(np.float32),
    'targets': rng.normal(size=(16, 6)).astype(np.float32),
  }


def _negative_cosine(predictions, targets):
  total = 0.0
  for p, z in zip(predictions, targets, strict=True):
    total -= sum(p * z) / (sum(p * p) ** 0.5 * sum(z * z) ** 0.5)
  return total / len(predictions)


CASES = [
  Case(
    losses.negative_cosine,
    _pair,
    _negative_cosine,
    wrt=('predictions',),
    frozen=('targets',),
  ),
  Case(
    losses.byol,
    _pair,
    lambda predictions, targets: 2 + 2 * _negative_cosine(predictions, targets),
    wrt=('predictions',),
    frozen=('targets',),
  ),
]
