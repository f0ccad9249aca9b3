"""Cases of sslax.losses.neighbors."""

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.contrastive_cases import nce, unit


def _normal(rng, *names):
  return {k: rng.normal(size=(8, 5)).astype(np.float32) for k in names}


def _nnclr(neighbors, predictions, temperature=0.1):
  s = unit(neighbors) @ unit(predictions).T / temperature
  return np.mean([nce(s[i, i], np.delete(s[i], i)) for i in range(len(s))])


def _byol(p, z):
  return np.mean([2 - 2 * a @ b for a, b in zip(unit(p), unit(z), strict=True)])


def _myow(predictions, targets, mined_predictions, mined_targets, weight=0.1):
  mined = _byol(mined_predictions, mined_targets)
  return _byol(predictions, targets) + weight * mined


def _msf(queries, targets, memory, num_neighbors=5):
  q, z, terms = unit(queries), unit(targets), []
  rows = [*z, *memory]
  for i in range(len(q)):
    near = sorted(rows, key=lambda n: sum((z[i] - n) ** 2))[:num_neighbors]
    terms.append(np.mean([2 - 2 * q[i] @ n for n in near]))
  return np.mean(terms)


CASES = [
  Case(
    losses.nnclr,
    lambda rng: _normal(rng, 'neighbors', 'predictions'),
    _nnclr,
    wrt=('predictions',),
    frozen=('neighbors',),
  ),
  Case(
    losses.myow,
    lambda rng: _normal(
      rng, 'predictions', 'targets', 'mined_predictions', 'mined_targets'
    ),
    _myow,
    wrt=('predictions', 'mined_predictions'),
    frozen=('targets', 'mined_targets'),
    kwargs={'weight': 0.3},
  ),
  Case(
    losses.msf,
    lambda rng: {
      **_normal(rng, 'queries', 'targets'),
      'memory': unit(rng.normal(size=(6, 5))).astype(np.float32),
    },
    _msf,
    wrt=('queries',),
    frozen=('targets', 'memory'),
    replicated=('memory',),
    kwargs={'num_neighbors': 3},
  ),
]
