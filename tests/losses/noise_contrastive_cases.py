"""Cases of sslax.losses: noise_contrastive and max_margin."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.contrastive_cases import unit, views


def _sigmoid(x):
  return 1 / (1 + math.exp(-x))


def _nce_inputs(rng):
  return {
    'data_scores': rng.normal(size=8).astype(np.float32),
    'noise_scores': rng.normal(size=(8, 3)).astype(np.float32),
    'data_noise': -rng.uniform(size=8).astype(np.float32),
    'noise_noise': -rng.uniform(size=(8, 3)).astype(np.float32),
  }


def _nce(data_scores, noise_scores, data_noise, noise_noise, log_partition=0.0):
  total = 0.0
  for i in range(len(data_scores)):
    num = len(noise_scores[i])

    def g(score, log_q, num=num):
      return score - log_partition - math.log(num * math.exp(log_q))

    total -= math.log(_sigmoid(g(data_scores[i], data_noise[i])))
    for s, log_q in zip(noise_scores[i], noise_noise[i], strict=True):
      total -= math.log(1 - _sigmoid(g(s, log_q)))
  return total / len(data_scores)


def _negative_sampling(positive_scores, negative_scores):
  total = 0.0
  for p, row in zip(positive_scores, negative_scores, strict=True):
    total -= math.log(_sigmoid(p)) + sum(math.log(_sigmoid(-n)) for n in row)
  return total / len(positive_scores)


def _relational(scores, labels, focus=2.0):
  terms = []
  for s, y in zip(scores, labels, strict=True):
    p = _sigmoid(s) if y else 1 - _sigmoid(s)
    terms.append(-((1 - p) ** focus) * math.log(p))
  return np.mean(terms)


def _isif(z1, z2, temperature=0.1):
  a, b, total = unit(z1), unit(z2), 0.0
  num = len(a)

  def share(i, z):
    e = [math.exp(x @ z / temperature) for x in a]
    return e[i] / sum(e)

  for i in range(num):
    total -= math.log(share(i, b[i]))
    total -= sum(math.log(1 - share(i, a[j])) for j in range(num) if j != i)
  return total / num


def _looc_inputs(rng):
  return {
    'queries': unit(rng.normal(size=(8, 3, 4))).astype(np.float32),
    'keys': unit(rng.normal(size=(8, 3, 3, 4))).astype(np.float32),
    'queues': unit(rng.normal(size=(3, 5, 4))).astype(np.float32),
  }


def _looc(queries, keys, queues, temperature=0.2):
  terms = []
  for q, k in zip(queries, keys, strict=True):
    for h in range(len(q)):
      e = [math.exp(q[h] @ k[j, h] / temperature) for j in range(len(q))]
      noise = sum(math.exp(q[h] @ n / temperature) for n in queues[h])
      inside = sum(e) if h == 0 else e[h]
      terms.append(-math.log(inside / (sum(e) + noise)))
  return np.mean(terms)


def _kernel(kernel, sigma, x, y):
  if kernel == 'rbf':
    return math.exp(-sum((x - y) ** 2) / sigma)
  return x @ y if kernel == 'linear' else math.tanh(sigma * (x @ y))


def _box_minimum(delta, bound):
  """Coordinate descent on ½αᵀΔα − 2·1ᵀα in the box, until nothing moves."""
  alpha = np.zeros(len(delta))
  for _ in range(2000):
    for n in range(len(alpha)):
      rest = delta[n] @ alpha - delta[n, n] * alpha[n]
      alpha[n] = min(max((2 - rest) / delta[n, n], 0), bound)
  return alpha


def _mmcl(
  z1,
  z2,
  sigma=0.5,
  bound=1.0,
  ridge=0.1,
  kernel='rbf',
  solver='inverse',
  num_iterations=200,
):
  a, b, terms = unit(z1), unit(z2), []
  for i in range(len(a)):
    others = [n for n in range(len(a)) if n != i]

    def k(x, y):
      return _kernel(kernel, sigma, x, y)

    delta = np.array(
      [
        [
          k(a[n], a[m])
          + k(a[i], a[i])
          - k(a[i], a[n])
          - k(a[i], a[m])
          + ridge * (n == m)
          for m in others
        ]
        for n in others
      ]
    )
    if solver == 'inverse':
      alpha = np.clip(2 * np.linalg.inv(delta).sum(1), 0, bound)
    else:
      alpha = _box_minimum(delta, bound)
    push = sum(w * k(b[i], a[n]) for w, n in zip(alpha, others, strict=True))
    terms.append(push - sum(alpha) * k(b[i], a[i]))
  return np.mean(terms)


CASES = [
  Case(
    losses.nce,
    _nce_inputs,
    _nce,
    wrt=('data_scores', 'noise_scores'),
    kwargs={'log_partition': 0.5},
  ),
  Case(
    losses.negative_sampling,
    lambda rng: {
      'positive_scores': rng.normal(size=8).astype(np.float32),
      'negative_scores': rng.normal(size=(8, 3)).astype(np.float32),
    },
    _negative_sampling,
    wrt=('positive_scores', 'negative_scores'),
  ),
  *(
    Case(
      losses.relational_reasoning,
      lambda rng: {
        'scores': rng.normal(size=8).astype(np.float32),
        'labels': np.array([1, 0, 0, 1, 1, 0, 1, 0]),
      },
      _relational,
      wrt=('scores',),
      kwargs={'focus': focus},
      name=f'relational_reasoning-{focus}',
    )
    for focus in (0.0, 2.0)
  ),
  Case(losses.isif, views, _isif, wrt=('z1', 'z2')),
  Case(
    losses.looc,
    _looc_inputs,
    _looc,
    wrt=('queries',),
    frozen=('keys', 'queues'),
    replicated=('queues',),
  ),
  *(
    Case(
      losses.mmcl,
      views,
      _mmcl,
      wrt=('z1', 'z2'),
      kwargs={'kernel': kernel, 'solver': solver, 'num_iterations': 800},
      semi_gradient=True,  # the dual variables are held fixed
      name=f'mmcl-{kernel}-{solver}',
    )
    for kernel, solver in [
      ('rbf', 'inverse'),
      ('linear', 'inverse'),
      ('rbf', 'gradient'),
    ]
  ),
]
