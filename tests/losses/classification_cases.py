"""Cases of sslax.losses.classification."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.distillation_cases import normal


def _entropy(row, label, smoothing=0.0):
  total = sum(math.exp(x) for x in row)
  shares = [math.exp(x) / total for x in row]
  targets = [smoothing / len(row)] * len(row)
  targets[label] += 1 - smoothing
  return -sum(y * math.log(p) for y, p in zip(targets, shares, strict=True))


def _softmax(logits, labels, weights=None, smoothing=0.0):
  weights = np.ones(len(logits)) if weights is None else weights
  terms = [
    w * _entropy(row, label, smoothing)
    for w, row, label in zip(weights, logits, labels, strict=True)
  ]
  return sum(terms) / sum(weights)


def _deeper(super_logits, sub_logits, super_labels, sub_labels):
  total = 0.0
  for i, (y, c) in enumerate(zip(super_labels, sub_labels, strict=True)):
    total += _entropy(super_logits[i], y) + _entropy(sub_logits[i, y], c)
  return total / len(super_labels)


def _labelled(rng):
  return {'logits': normal(rng, 8, 5), 'labels': rng.integers(0, 5, 8)}


CASES = [
  Case(losses.softmax_cross_entropy, _labelled, _softmax, wrt=('logits',)),
  Case(
    losses.softmax_cross_entropy,
    lambda rng: {
      **_labelled(rng),
      'weights': rng.uniform(0.1, 2, 8).astype('f4'),
    },
    _softmax,
    wrt=('logits',),
    frozen=('weights',),
    kwargs={'smoothing': 0.2},
    name='softmax_cross_entropy-smooth-weighted',
  ),
  Case(
    losses.deeper_cluster,
    lambda rng: {
      'super_logits': normal(rng, 8, 3),
      'sub_logits': normal(rng, 8, 3, 4),
      'super_labels': rng.integers(0, 3, 8),
      'sub_labels': rng.integers(0, 4, 8),
    },
    _deeper,
    wrt=('super_logits', 'sub_logits'),
  ),
]
