"""Cases of sslax.losses.uniclr."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.distillation_cases import cross_entropy, normal, unit


def _pair(rng):
  return {'z1': normal(rng, 8, 4), 'z2': normal(rng, 8, 4)}


def _sim_affinity(z1, z2, temperature=0.1, symmetry_weight=0.01):
  affinity = np.array(
    [[sum(unit(a) * unit(b)) / temperature for b in z2] for a in z1]
  )
  rows = [cross_entropy(np.eye(len(a))[i], a) for i, a in enumerate(affinity)]
  gaps = [
    (affinity[i, j] - affinity[j, i]) ** 2
    for i in range(len(z1))
    for j in range(len(z1))
  ]
  return sum(rows) / len(rows) + symmetry_weight * math.sqrt(sum(gaps))


def _joint(z1, z2, eps):
  rows = np.array([unit(row) for row in (*z1, *z2)])
  mean = rows.sum(0) / len(rows)
  covariance = sum(np.outer(row - mean, row - mean) for row in rows)
  covariance = covariance / (len(rows) - 1) + eps * np.eye(len(mean))
  return rows - mean, covariance


def _sim_whitening(z1, z2, eps=0.01, **kwargs):
  centered, covariance = _joint(z1, z2, eps)
  values, vectors = np.linalg.eigh(covariance)
  white = centered @ vectors @ np.diag(values**-0.5) @ vectors.T
  return _sim_affinity(white[: len(z1)], white[len(z1) :], **kwargs)


def _sim_trace(z1, z2, eps=0.01):
  centered, covariance = _joint(z1, z2, eps)
  inverse, total = np.linalg.inv(covariance), 0.0
  for a, b in zip(centered[: len(z1)], centered[len(z1) :], strict=True):
    total -= a @ inverse @ b
  return total / len(z1)


CASES = [
  Case(losses.sim_affinity, _pair, _sim_affinity, wrt=('z1', 'z2')),
  # Mean and covariance are constants for the gradient of the next two.
  Case(
    losses.sim_whitening,
    _pair,
    _sim_whitening,
    kwargs={'temperature': 0.5, 'eps': 0.05},
    wrt=('z1', 'z2'),
    semi_gradient=True,
  ),
  Case(
    losses.sim_trace,
    _pair,
    _sim_trace,
    wrt=('z1', 'z2'),
    semi_gradient=True,
  ),
]
