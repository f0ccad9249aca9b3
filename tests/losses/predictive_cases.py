"""Cases of sslax.losses.predictive."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case


def _sequences(rng):
  predictions, targets = rng.normal(size=(2, 8, 4, 3)).astype(np.float32)
  return {'predictions': predictions, 'targets': targets}


def _words(rng):
  return {
    'logits': rng.normal(size=(8, 6, 7)).astype(np.float32),
    'tokens': rng.integers(0, 7, (8, 6)),
    'mask': rng.integers(0, 2, (8, 6)),
  }


def _cpc(predictions, targets, num_steps_ahead):
  total, count = 0.0, 0
  for b, sequence in enumerate(predictions):
    for t in range(len(sequence) - num_steps_ahead):
      positive = math.exp(sequence[t] @ targets[b, t + num_steps_ahead])
      candidates = targets.reshape(-1, targets.shape[-1])
      total -= math.log(
        positive / sum(math.exp(sequence[t] @ z) for z in candidates)
      )
      count += 1
  return total / count


def _masked(logits, tokens, mask):
  total, count = 0.0, 0
  for b in range(len(mask)):
    for t in range(len(mask[b])):
      if mask[b, t]:
        normalizer = sum(math.exp(v) for v in logits[b, t])
        total -= math.log(math.exp(logits[b, t, tokens[b, t]]) / normalizer)
        count += 1
  return total / max(count, 1)


CASES = [
  *(
    Case(
      losses.cpc,
      _sequences,
      _cpc,
      ('predictions', 'targets'),
      kwargs={'num_steps_ahead': steps},
      name=f'cpc_{steps}',
    )
    for steps in (1, 3)
  ),
  Case(
    losses.masked_language_modeling,
    _words,
    _masked,
    ('logits',),
    hard={
      'nothing hidden': lambda: {'mask': np.zeros((8, 6), np.int32)},
      'a label outside where not hidden': lambda: {
        'mask': np.eye(8, 6, dtype=np.int32),
        'tokens': np.where(np.eye(8, 6, dtype=bool), 0, -100),
      },
    },
  ),
]
