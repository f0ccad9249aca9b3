"""Cases of sslax.losses.graph_clustering beside the ones of assignments."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.distillation_cases import normal, unit


def _inputs(rng):
  anchors = normal(rng, 8, 4)
  weights = rng.uniform(0.1, 1, size=(8, 3)).astype(np.float32)
  weights[::2, 1] = 0
  return {
    'anchors': anchors,
    'views': anchors + normal(rng, 8, 4),
    'neighbors': anchors[:, None] + normal(rng, 8, 3, 4),
    'weights': weights,
  }


def _representation(anchors, views, neighbors, weights, temperature=0.1):
  def score(x, y):
    return math.exp(sum(unit(x) * unit(y)) / temperature)

  total = 0.0
  for i, anchor in enumerate(anchors):
    inside = score(anchor, views[i])
    for weight, neighbor in zip(weights[i], neighbors[i], strict=True):
      inside += weight * score(anchor, neighbor)
    outside = 0.0
    for j in range(len(anchors)):
      if j != i:
        rows = (anchors[j], views[j], *neighbors[j])
        outside += sum(score(anchor, row) for row in rows)
    total -= math.log(inside / outside)
  return total / len(anchors)


CASES = [
  Case(
    losses.gcc_representation,
    _inputs,
    _representation,
    wrt=('anchors', 'views', 'neighbors'),
    frozen=('weights',),
    kwargs={'temperature': 0.5},
    hard={'no neighbor': lambda: {'weights': np.zeros((8, 3), np.float32)}},
  )
]
