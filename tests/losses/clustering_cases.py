"""Cases of sslax.losses.clustering and sslax.losses.prototypes."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.distillation_cases import (
  cross_entropy,
  normal,
  softmax,
  unit,
  views_of,
)
from tests.losses.views import names, over_views


def _mean(values):
  return sum(values) / len(values)


def _entropy(p):
  return -sum(v * math.log(v) for v in p if v > 0)


def _probs(first, second):
  """Pairs of related probabilities, and the hard ones of the contract."""

  def make(rng):
    logits = 2 * rng.normal(size=(16, 4))
    other = logits + rng.normal(size=(16, 4))
    return {
      first: np.array([softmax(row) for row in logits], np.float32),
      second: np.array([softmax(row) for row in other], np.float32),
    }

  def both(x):
    return {first: x, second: x}

  hard = {
    'uniform': lambda: both(np.full((16, 4), 0.25, np.float32)),
    'one-hot': lambda: both(np.eye(4, dtype=np.float32)[np.arange(16) % 4]),
    'one class': lambda: both(np.eye(4, dtype=np.float32)[np.zeros(16, int)]),
  }
  return {'inputs': make, 'hard': hard, 'constrained': True}


def _iic(probs1, probs2, entropy_weight=1.0):
  joint = sum(np.outer(p, q) for p, q in zip(probs1, probs2, strict=True))
  joint = (joint + joint.T) / 2
  joint = joint / joint.sum()
  rows, total = joint.sum(1), 0.0
  for i in range(len(joint)):
    for j in range(len(joint)):
      marginals = math.log(rows[i]) + math.log(rows[j])
      total -= joint[i, j] * (
        math.log(joint[i, j]) - entropy_weight * marginals
      )
  return total


def _imbalance(probs):
  mass = np.sum(probs, 0)
  return math.log(len(mass)) - _entropy(mass / sum(mass))


def _cc_cluster(probs1, probs2, temperature=1.0):
  columns = [unit(c) for c in (*probs1.T, *probs2.T)]
  num, total = probs1.shape[1], 0.0
  for i, c in enumerate(columns):
    others = [
      math.exp(sum(c * d) / temperature)
      for j, d in enumerate(columns)
      if j != i
    ]
    positive = sum(c * columns[(i + num) % (2 * num)]) / temperature
    total += math.log(sum(others)) - positive
  return total / (2 * num) + _imbalance(probs1) + _imbalance(probs2)


def _columns_agree(probs1, probs2, temperature, weight):
  total = 0.0
  for k, column in enumerate(probs1.T):
    logits = np.array([sum(unit(column) * unit(d)) for d in probs2.T])
    target = np.eye(len(logits))[k]
    total += cross_entropy(target, logits / temperature)
  return total / probs1.shape[1] + weight * _imbalance(probs1)


def _pica(probs1, probs2, balance_weight=2.0):
  return _columns_agree(probs1, probs2, 1.0, balance_weight)


def _gcc(probs, neighbor_probs, temperature=1.0, weight=1.0):
  return _columns_agree(probs, neighbor_probs, temperature, weight)


def _pair(first, second):
  return lambda rng: {first: normal(rng, 16, 4), second: normal(rng, 16, 4)}


def _drc(
  logits1,
  logits2,
  feature_temperature,
  probability_temperature,
  balance_weight,
):
  p, q = (np.array([softmax(row) for row in x]) for x in (logits1, logits2))
  total = balance_weight * sum(sum(c) ** 2 for c in p.T) / len(p)
  for rows, others, temperature in (
    (logits1, logits2, feature_temperature),
    (p.T, q.T, probability_temperature),
  ):
    scores = [[sum(a * b) / temperature for b in others] for a in rows]
    own = np.eye(len(rows))
    total += _mean(
      [cross_entropy(own[i], np.array(s)) for i, s in enumerate(scores)]
    )
  return total


def _scan(anchors, neighbors, entropy_weight=2.0):
  p, q = [softmax(x) for x in anchors], [softmax(x) for x in neighbors]
  agreement = [math.log(sum(a * b)) for a, b in zip(p, q, strict=True)]
  return -_mean(agreement) - entropy_weight * _entropy(np.mean(p, 0))


def _scan_selflabel(weak, strong, threshold=0.99, balanced=True):
  probs = [softmax(row) for row in weak]
  sure = [i for i, p in enumerate(probs) if max(p) > threshold]
  labels = {i: int(np.argmax(probs[i])) for i in sure}
  counts = np.bincount(list(labels.values()), minlength=weak.shape[1])
  top = bottom = 0.0
  for i in sure:
    weight = len(sure) / counts[labels[i]] if balanced else 1.0
    target = np.eye(weak.shape[1])[labels[i]]
    top += weight * cross_entropy(target, strong[i])
    bottom += weight
  return top / bottom


def logits_of(name, count):
  return lambda rng: {key: normal(rng, 8, 4) for key in names(name, count)}


def _self_classifier(
  num_global=2, row_temperature=0.1, column_temperature=0.05, eps=1e-8, **views
):
  views, terms = views_of(views, 'views', 3), []
  batch, num_classes = views[0].shape
  for i, target in enumerate(views):
    for j, predicted in enumerate(views):
      if i == j or (i >= num_global and j >= num_global):
        continue
      columns = np.stack([softmax(c / column_temperature) for c in target.T], 1)
      rows = np.stack([softmax(r / row_temperature) for r in predicted])
      term = 0.0
      for n in range(batch):
        for y in range(num_classes):
          q = columns[n, y] / sum(columns[n])
          p = rows[n, y] / sum(rows[:, y])
          term -= q * math.log(batch / num_classes * p + eps) / batch
      terms.append(term)
  return _mean(terms)


def deep_embedded_clustering(x, centers, degrees=1.0):
  q = np.array(
    [
      [
        (1 + sum((row - c) ** 2) / degrees) ** (-(degrees + 1) / 2)
        for c in centers
      ]
      for row in x
    ]
  )
  q = q / q.sum(1, keepdims=True)
  p = q**2 / q.sum(0)
  p = p / p.sum(1, keepdims=True)
  return _mean([sum(a * np.log(a / b)) for a, b in zip(p, q, strict=True)])


CASES = [
  Case(
    losses.iic,
    reference=_iic,
    kwargs={'entropy_weight': 1.2},
    wrt=('probs1', 'probs2'),
    **_probs('probs1', 'probs2'),
  ),
  Case(
    losses.cc_cluster,
    reference=_cc_cluster,
    kwargs={'temperature': 0.5},
    wrt=('probs1', 'probs2'),
    **_probs('probs1', 'probs2'),
  ),
  Case(
    losses.pica,
    reference=_pica,
    wrt=('probs1', 'probs2'),
    **_probs('probs1', 'probs2'),
  ),
  Case(
    losses.gcc_assignment,
    reference=_gcc,
    kwargs={'temperature': 0.5, 'weight': 2.0},
    wrt=('probs', 'neighbor_probs'),
    **_probs('probs', 'neighbor_probs'),
  ),
  Case(
    losses.drc,
    _pair('logits1', 'logits2'),
    _drc,
    wrt=('logits1', 'logits2'),
    kwargs={
      'feature_temperature': 0.7,
      'probability_temperature': 0.4,
      'balance_weight': 0.3,
    },
  ),
  Case(
    losses.scan,
    _pair('anchors', 'neighbors'),
    _scan,
    wrt=('anchors', 'neighbors'),
  ),
  Case(
    losses.scan_selflabel,
    lambda rng: {k: 3 * v for k, v in _pair('weak', 'strong')(rng).items()},
    _scan_selflabel,
    kwargs={'threshold': 0.8},
    wrt=('strong',),
    frozen=('weak',),
  ),
  Case(
    over_views(losses.self_classifier, views=3),
    logits_of('views', 3),
    _self_classifier,
    kwargs={'row_temperature': 0.5, 'column_temperature': 0.3},
    wrt=names('views', 3),
  ),
  # The target distribution is a constant for the gradient.
  Case(
    losses.dec,
    lambda rng: {'x': normal(rng, 16, 3), 'centers': normal(rng, 4, 3)},
    deep_embedded_clustering,
    kwargs={'degrees': 2.0},
    wrt=('x', 'centers'),
    replicated=('centers',),
    semi_gradient=True,
  ),
]
