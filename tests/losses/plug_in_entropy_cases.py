"""Cases of sslax.losses.plug_in_entropy."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.distillation_cases import normal


def _log_det(z, noise_variance=1.0):
  mean = sum(z) / len(z)
  covariance = sum(np.outer(row - mean, row - mean) for row in z) / len(z)
  values = np.linalg.eigvalsh(covariance)
  return sum(math.log(1 + v / noise_variance) for v in values) / 2


def _pairwise(z, noise_variance=1.0):
  total = 0.0
  for row in z:
    gaps = [sum((row - other) ** 2) for other in z]
    shares = [math.exp(-gap / (8 * noise_variance)) for gap in gaps]
    total -= math.log(sum(shares) / len(z))
  return total / len(z)


def _vicreg(
  z1,
  z2,
  estimator='log_det',
  invariance_weight=25.0,
  entropy_weight=1.0,
  noise_variance=1.0,
):
  estimate = {'log_det': _log_det, 'pairwise': _pairwise}[estimator]
  entropy = (estimate(z1, noise_variance) + estimate(z2, noise_variance)) / 2
  gaps = [(a - b) ** 2 for a, b in zip(z1.ravel(), z2.ravel(), strict=True)]
  invariance = sum(gaps) / len(gaps)
  return invariance_weight * invariance - entropy_weight * entropy


def _pair(rng):
  z1 = normal(rng, 8, 3)
  return {'z1': z1, 'z2': z1 + normal(rng, 8, 3)}


def _case(loss, reference, name, *, dim=3, **kwargs):
  def make(rng):
    return {'z': normal(rng, 8, dim)}

  return Case(loss, make, reference, wrt=('z',), kwargs=kwargs, name=name)


CASES = [
  _case(losses.log_det_entropy, _log_det, 'log_det_entropy'),
  _case(
    losses.log_det_entropy,
    _log_det,
    'log_det_entropy of more features than samples',
    dim=12,
    noise_variance=0.2,
  ),
  _case(
    losses.pairwise_entropy, _pairwise, 'pairwise_entropy', noise_variance=0.3
  ),
  Case(losses.vicreg_entropy, _pair, _vicreg, wrt=('z1', 'z2')),
  Case(
    losses.vicreg_entropy,
    _pair,
    _vicreg,
    wrt=('z1', 'z2'),
    kwargs={
      'estimator': 'pairwise',
      'invariance_weight': 2.0,
      'entropy_weight': 3.0,
      'noise_variance': 0.5,
    },
    name='vicreg_entropy by pairs',
  ),
]
