"""Cases of sslax.losses.autoencoding."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.distillation_cases import normal


def _error(form, x, y):
  if form == 'squared':
    return (x - y) ** 2
  if form == 'absolute':
    return abs(x - y)
  p = 1 / (1 + math.exp(-x))
  return -y * math.log(p) - (1 - y) * math.log(1 - p)


def _reconstruction(predictions, targets, mask=None, form='squared'):
  mask = np.ones(predictions.shape) if mask is None else mask
  total = count = 0.0
  for i, x in np.ndenumerate(predictions):
    m = mask[tuple(min(a, n - 1) for a, n in zip(i, mask.shape, strict=True))]
    total += m * _error(form, x, targets[i])
    count += m
  return total / count


def _gaussian(predictions, targets, log_scale):
  total, variance = 0.0, math.exp(2 * log_scale)
  for i, x in np.ndenumerate(predictions):
    gap = x - targets[i]
    total += gap**2 / (2 * variance) + math.log(2 * math.pi * variance) / 2
  return total / len(predictions)


def _images(rng):
  return {
    'predictions': normal(rng, 8, 3, 4),
    'targets': rng.uniform(size=(8, 3, 4)).astype(np.float32),
  }


CASES = [
  *(
    Case(
      losses.reconstruction,
      _images,
      _reconstruction,
      wrt=('predictions',),
      frozen=('targets',),
      kwargs={'form': form},
      name=f'reconstruction-{form}',
    )
    for form in ('squared', 'absolute', 'bernoulli')
  ),
  Case(
    losses.reconstruction,
    lambda rng: {
      **_images(rng),
      'mask': (rng.uniform(size=(8, 3, 1)) < 0.5).astype(np.float32),
    },
    _reconstruction,
    wrt=('predictions',),
    frozen=('targets',),
    name='reconstruction of the hidden region',
  ),
  Case(
    losses.gaussian_reconstruction,
    lambda rng: {**_images(rng), 'log_scale': normal(rng)},
    _gaussian,
    wrt=('predictions', 'log_scale'),
    frozen=('targets',),
    replicated=('log_scale',),
    constrained=True,  # log_scale is a logarithm
  ),
]
