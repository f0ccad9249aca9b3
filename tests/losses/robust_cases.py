"""Cases of sslax.losses.robust."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.contrastive_cases import anchors, nce, unit, views


def _pairs(rng):
  z = views(rng)
  return {'queries': z['z1'], 'keys': z['z2']}


def _with_queue(rng):
  negatives = unit(rng.normal(size=(10, 6))).astype(np.float32)
  return {**_pairs(rng), 'negatives': negatives}


def _rince_term(positive, others, q, lam):
  total = math.exp(positive) + sum(math.exp(n) for n in others)
  return -(math.exp(positive) ** q) / q + (lam * total) ** q / q


def _robust_info_nce(z1, z2, temperature=0.5, q=0.5, lam=0.01):
  return np.mean(
    [_rince_term(p, n, q, lam) for p, n in anchors(z1, z2, temperature)]
  )


def _robust_mocov3(queries, keys, temperature=1.0, q=0.5, lam=0.01):
  s = unit(queries) @ unit(keys).T / temperature
  terms = [
    _rince_term(s[i, i], np.delete(s[i], i), q, lam) for i in range(len(s))
  ]
  return 2 * temperature * np.mean(terms)


def _ranked(rng):
  return {
    'queries': rng.normal(size=(8, 4)).astype(np.float32),
    'keys': rng.normal(size=(9, 4)).astype(np.float32),
    'ranks': rng.integers(-1, 4, size=(8, 9)),
  }


def _ranking(queries, keys, ranks, temperatures, form='out'):
  s, loss = unit(queries) @ unit(keys).T, 0.0
  for rank, temperature in enumerate(temperatures):
    terms = []
    for row, rank_of in zip(s / temperature, ranks, strict=True):
      e = np.exp(row)
      own, below = e[rank_of == rank], sum(e[rank_of > rank])
      if len(own) == 0:
        continue
      if form == 'in':
        terms.append(-math.log(sum(own) / (sum(own) + below)))
      else:
        terms.append(np.mean([-math.log(x / (x + below)) for x in own]))
    loss += np.mean(terms)
  return loss


def _eqco(queries, keys, negatives, temperature=0.2, alpha=65536):
  q, k = unit(queries), unit(keys)
  margin = temperature * math.log(alpha / len(negatives))
  return np.mean(
    [
      nce(
        (q[i] @ k[i] - margin) / temperature,
        [q[i] @ n / temperature for n in negatives],
      )
      for i in range(len(q))
    ]
  )


CASES = [
  Case(
    losses.robust_info_nce,
    views,
    _robust_info_nce,
    wrt=('z1', 'z2'),
    kwargs={'q': 0.3, 'lam': 0.05},
  ),
  Case(
    losses.robust_info_nce,
    views,
    _robust_info_nce,
    wrt=('z1', 'z2'),
    kwargs={'q': 1.0},
    name='robust_info_nce-q1',
  ),
  Case(
    losses.robust_mocov3,
    _pairs,
    _robust_mocov3,
    wrt=('queries',),
    frozen=('keys',),
  ),
  Case(
    losses.ranking_info_nce,
    _ranked,
    _ranking,
    wrt=('queries', 'keys'),
    replicated=('keys',),
    kwargs={'temperatures': (0.2, 0.4, 0.6)},
  ),
  Case(
    losses.ranking_info_nce,
    _ranked,
    _ranking,
    wrt=('queries', 'keys'),
    replicated=('keys',),
    kwargs={'temperatures': (0.2, 0.4, 0.6), 'form': 'in'},
    name='ranking_info_nce-in',
  ),
  Case(
    losses.eqco,
    _with_queue,
    _eqco,
    wrt=('queries', 'keys'),
    replicated=('negatives',),
  ),
]
