"""Cases of sslax.losses.inter_image."""

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.contrastive_cases import nce, unit
from tests.losses.distillation_cases import normal


def _units(rng, *shape):
  return unit(rng.normal(size=shape)).astype(np.float32)


def _interclr(queries, positives, negatives, temperature=0.2, margin=-0.5):
  total = 0.0
  for i, q in enumerate(unit(queries)):
    own = negatives if negatives.ndim == 2 else negatives[i]
    positive = (q @ positives[i] - margin) / temperature
    total += nce(positive, own @ q / temperature)
  return total / len(queries)


def _mvcln(x, y, paired, margin=5.0, robust=True):
  total = 0.0
  for a, b, is_pair in zip(x, y, paired, strict=True):
    gap = np.sqrt(sum((a - b) ** 2))
    push = max(0.0, margin - gap) ** 2
    if robust:
      push = max(0.0, np.sqrt(gap) * (margin - gap)) ** 2 / margin
    total += (gap**2 if is_pair else push) / 2
  return total / len(x)


def _pairs(rng):
  return {
    'x': normal(rng, 8, 3),
    'y': normal(rng, 8, 3),
    'paired': np.arange(8) % 2,
  }


CASES = [
  Case(
    losses.interclr,
    lambda rng: {
      'queries': normal(rng, 8, 5),
      'positives': _units(rng, 8, 5),
      'negatives': _units(rng, 8, 6, 5),
    },
    _interclr,
    wrt=('queries',),
    frozen=('positives', 'negatives'),
    kwargs={'temperature': 0.3, 'margin': -0.4},
  ),
  Case(
    losses.interclr,
    lambda rng: {
      'queries': normal(rng, 8, 5),
      'positives': _units(rng, 8, 5),
      'negatives': _units(rng, 6, 5),
    },
    _interclr,
    wrt=('queries',),
    frozen=('positives', 'negatives'),
    replicated=('negatives',),
    name='interclr with shared negatives',
  ),
  Case(losses.mvcln, _pairs, _mvcln, wrt=('x', 'y'), kwargs={'margin': 2.5}),
  Case(
    losses.mvcln,
    _pairs,
    _mvcln,
    wrt=('x', 'y'),
    kwargs={'margin': 2.5, 'robust': False},
    name='mvcln at first',
  ),
]
