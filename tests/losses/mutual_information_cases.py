"""Cases of sslax.losses.mutual_information."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case


def _scores(rng):
  return {'scores': (2 * rng.normal(size=(8, 8))).astype(np.float32)}


def _small(rng):
  return {'scores': (0.5 * rng.normal(size=(16, 16))).astype(np.float32)}


def _mine(rng):
  return {**_scores(rng), 'log_average': np.asarray(0.7, np.float32)}


def _pair(rng):
  a = rng.normal(size=16).astype(np.float32)
  b = a + 0.5 * rng.normal(size=16).astype(np.float32)
  return {'outputs1': a, 'outputs2': b.astype(np.float32)}


def _bank(rng):
  def draw(*shape):
    return rng.normal(size=shape).astype(np.float32)

  return {'queries': draw(8, 6), 'keys': draw(8, 6), 'bank': draw(20, 6)}


def _joint(scores):
  return sum(scores[i, i] for i in range(len(scores))) / len(scores)


def _marginal(scores, f):
  n = len(scores)
  pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
  return sum(f(scores[i, j]) for i, j in pairs) / len(pairs)


def _softplus(x):
  return max(x, 0) + math.log1p(math.exp(-abs(x)))


def _infonce(scores):
  total = 0.0
  for i, row in enumerate(scores):
    total += row[i] - math.log(sum(math.exp(s) for s in row))
  return math.log(len(scores)) + total / len(scores)


def _dv(scores):
  return _joint(scores) - math.log(_marginal(scores, math.exp))


def _nwj(scores):
  return _joint(scores) - _marginal(scores, lambda s: math.exp(s - 1))


def _jsd(scores):
  n = len(scores)
  joint = sum(-_softplus(-scores[i, i]) for i in range(n)) / n
  return joint - _marginal(scores, _softplus)


def _smile(scores, clip):
  clipped = _marginal(scores, lambda s: math.exp(min(max(s, -clip), clip)))
  return _joint(scores) - math.log(clipped)


def _mine_reference(scores, log_average):
  del log_average
  return _dv(scores)


def _rpc(scores, alpha, beta, gamma):
  n = len(scores)
  joint = sum(scores[i, i] - beta / 2 * scores[i, i] ** 2 for i in range(n)) / n
  return _marginal(scores, lambda s: alpha * s + gamma / 2 * s * s) - joint


def _variance(values):
  mean = sum(values) / len(values)
  return sum((v - mean) ** 2 for v in values) / len(values)


def _imax(outputs1, outputs2):
  pairs = list(zip(outputs1, outputs2, strict=True))
  signal = _variance([a + b for a, b in pairs]) + 1e-6
  noise = _variance([a - b for a, b in pairs]) + 1e-6
  return -0.5 * math.log(signal / noise)


def _cosine(x, y):
  return x @ y / math.sqrt((x @ x) * (y @ y))


def _restricted(queries, keys, bank, lower, upper, temperature):
  first = int(lower * len(bank))
  last = math.ceil(upper * len(bank))
  total = 0.0
  for query, key in zip(queries, keys, strict=True):
    positive = math.exp(_cosine(query, key) / temperature)
    ranked = sorted(_cosine(query, row) for row in bank)
    negatives = sum(math.exp(s / temperature) for s in ranked[first:last])
    total += -math.log(positive / (positive + negatives))
  return total / len(queries)


def _all_scores(value):
  return lambda: {'scores': np.full((8, 8), value, np.float32)}


CASES = [
  Case(losses.infonce_bound, _scores, _infonce, ('scores',)),
  Case(losses.dv_bound, _scores, _dv, ('scores',)),
  # exp(1e4) has no float: the bound itself is infinite there.
  Case(
    losses.nwj_bound,
    _scores,
    _nwj,
    ('scores',),
    constrained=True,
    hard={
      'zeros': _all_scores(0),
      'equal': _all_scores(50),
      'far below': _all_scores(-1e4),
    },
  ),
  Case(losses.jsd_bound, _scores, _jsd, ('scores',)),
  # Value and gradient come from two different bounds.
  Case(
    losses.js_nwj_bound,
    _scores,
    _nwj,
    ('scores',),
    semi_gradient=True,
    constrained=True,
    hard={'zeros': _all_scores(0), 'equal': _all_scores(50)},
  ),
  Case(
    losses.smile_bound,
    _scores,
    _smile,
    ('scores',),
    kwargs={'clip': 1.5},
    semi_gradient=True,
  ),
  # The gradient is divided by the running mean, not by the batch's.
  Case(
    losses.mine_bound,
    _mine,
    _mine_reference,
    ('scores',),
    frozen=('log_average',),
    replicated=('log_average',),
    semi_gradient=True,
  ),
  Case(
    losses.rpc,
    _small,
    _rpc,
    ('scores',),
    kwargs={'alpha': 1.0, 'beta': 0.3, 'gamma': 0.8},
  ),
  Case(losses.imax, _pair, _imax, ('outputs1', 'outputs2')),
  Case(
    losses.restricted_infonce,
    _bank,
    _restricted,
    ('queries', 'keys'),
    kwargs={'lower': 0.25, 'upper': 0.8, 'temperature': 0.3},
    frozen=('bank',),
    replicated=('bank',),
    name='restricted_infonce_ring',
  ),
  Case(
    losses.restricted_infonce,
    _bank,
    _restricted,
    ('queries', 'keys'),
    kwargs={'lower': 0.0, 'upper': 1.0, 'temperature': 0.01},
    frozen=('bank',),
    replicated=('bank',),
    name='restricted_infonce_cold',
  ),
]
