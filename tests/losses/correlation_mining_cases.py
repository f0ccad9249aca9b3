"""Cases of sslax.losses.correlation_mining."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.distillation_cases import normal, softmax, unit


def _probs(rng):
  rows = [softmax(2 * row) for row in rng.normal(size=(8, 4))]
  return np.array(rows, np.float32)


def _inputs(rng):
  near = rng.uniform(size=(8, 8)) < 0.3
  return {
    'probs': _probs(rng),
    'graph': near | near.T | np.eye(8, dtype=bool),
    'labels': np.arange(8) % 4,
    'confident': rng.uniform(size=8) < 0.6,
    'positive_scores': normal(rng, 16, 3),
    'negative_scores': normal(rng, 8, 3),
  }


def _of(*names):
  return lambda rng: {k: v for k, v in _inputs(rng).items() if k in names}


def _graph(probs, graph, eps=1e-7):
  total = 0.0
  for i, p in enumerate(probs):
    for j, q in enumerate(probs):
      similarity = min(sum(unit(p) * unit(q)), 1.0)
      right = similarity if graph[i, j] else 1 - similarity
      total -= math.log(right + eps)
  return total / len(probs) ** 2


def _label(probs, labels, confident, eps=1e-7):
  total = 0.0
  for p, label, sure in zip(probs, labels, confident, strict=True):
    for k, value in enumerate(p):
      right = value if k == label else 1 - value
      total -= sure * math.log(right + eps) / len(p)
  return total / len(probs)


def _information(positive_scores, negative_scores):
  pulled = [math.log(1 + math.exp(-t)) for t in positive_scores.ravel()]
  pushed = [math.log(1 + math.exp(t)) for t in negative_scores.ravel()]
  return sum(pulled) / len(pulled) + sum(pushed) / len(pushed)


def _dccm(
  probs,
  graph,
  labels,
  confident,
  positive_scores,
  negative_scores,
  label_weight=5.0,
  information_weight=0.05,
  eps=1e-7,
):
  by_label = label_weight * _label(probs, labels, confident, eps)
  information = _information(positive_scores, negative_scores)
  by_graph = _graph(probs, graph, eps)
  return by_graph + by_label + information_weight * information


# The logarithms of 0 that the contract cannot make from any other inputs.
HARD = {
  'one-hot': lambda: {'probs': np.eye(4, dtype=np.float32)[np.arange(8) % 3]},
  'uniform': lambda: {'probs': np.full((8, 4), 0.25, np.float32)},
}

CASES = [
  Case(
    losses.dccm_graph,
    _of('probs', 'graph'),
    _graph,
    wrt=('probs',),
    constrained=True,
    hard=HARD,
  ),
  Case(
    losses.dccm_label,
    _of('probs', 'labels', 'confident'),
    _label,
    wrt=('probs',),
    constrained=True,
    hard={**HARD, 'none': lambda: {'confident': np.zeros(8, bool)}},
  ),
  Case(
    losses.dccm_information,
    _of('positive_scores', 'negative_scores'),
    _information,
    wrt=('positive_scores', 'negative_scores'),
  ),
  Case(
    losses.dccm,
    _inputs,
    _dccm,
    wrt=('probs', 'positive_scores', 'negative_scores'),
    kwargs={'label_weight': 2.0, 'information_weight': 0.3, 'eps': 1e-5},
    constrained=True,
    hard=HARD,
  ),
]
