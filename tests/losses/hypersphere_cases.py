"""Cases of sslax.losses.hypersphere."""

import itertools
import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.contrastive_cases import unit, views


def _unit_pairs(rng):
  z = views(rng)
  return {
    'x': unit(z['z1']).astype(np.float32),
    'y': unit(z['z2']).astype(np.float32),
  }


def _alignment(x, y, alpha=2.0):
  return np.mean(
    [sum((a - b) ** 2) ** (alpha / 2) for a, b in zip(x, y, strict=True)]
  )


def _uniformity(x, t=2.0):
  potentials = [
    math.exp(-t * sum((a - b) ** 2)) for a, b in itertools.combinations(x, 2)
  ]
  return math.log(np.mean(potentials))


def _align_uniform(z1, z2, weight=1.0, alpha=2.0, t=2.0):
  z1, z2 = unit(z1), unit(z2)
  spread = _uniformity(z1, t) + _uniformity(z2, t)
  return _alignment(z1, z2, alpha) + weight * spread / 2


def _logsumexp(z1, z2, temperature=0.5, weight=1.0):
  z1, z2 = unit(z1), unit(z2)
  z = [*z1, *z2]
  spread = [
    math.log(
      sum(math.exp(a @ b / temperature) for j, b in enumerate(z) if i != j)
    )
    for i, a in enumerate(z)
  ]
  similarity = np.mean([a @ b for a, b in zip(z1, z2, strict=True)])
  return weight * temperature * np.mean(spread) - similarity


def _sliced_inputs(rng):
  return {
    'z': rng.normal(size=(8, 4)).astype(np.float32),
    'prior': rng.normal(size=(8, 4)).astype(np.float32),
    'directions': unit(rng.normal(size=(3, 4))).T.astype(np.float32),
  }


def _sliced(z, prior, directions):
  total = 0.0
  for u in directions.T:
    pairs = zip(sorted(z @ u), sorted(prior @ u), strict=True)
    total += np.mean([(a - b) ** 2 for a, b in pairs])
  return total / directions.shape[1]


def _spectral(z1, z2, mu=1.0):
  def ball(rows):
    length = [math.sqrt(r @ r) for r in rows]
    return [
      r if n < math.sqrt(mu) else r / n * math.sqrt(mu)
      for r, n in zip(rows, length, strict=True)
    ]

  a, b = ball(z1), ball(z2)
  num = len(a)
  attraction = -2 * np.mean([a[i] @ b[i] for i in range(num)])
  squares = [
    (a[i] @ b[j]) ** 2 for i in range(num) for j in range(num) if i != j
  ]
  return (attraction + np.mean(squares)) / mu


CASES = [
  Case(
    losses.alignment,
    _unit_pairs,
    _alignment,
    wrt=('x', 'y'),
    kwargs={'alpha': 1.5},
  ),
  Case(
    losses.alignment, _unit_pairs, _alignment, wrt=('x',), name='alignment-2'
  ),
  Case(
    losses.uniformity,
    lambda rng: {'x': _unit_pairs(rng)['x']},
    _uniformity,
    wrt=('x',),
  ),
  Case(
    losses.align_uniform,
    views,
    _align_uniform,
    wrt=('z1', 'z2'),
    kwargs={'weight': 0.3, 'alpha': 3.0, 't': 4.0},
  ),
  Case(
    losses.distribution_logsumexp,
    views,
    _logsumexp,
    wrt=('z1', 'z2'),
    kwargs={'weight': 0.3},
  ),
  Case(
    losses.sliced_wasserstein,
    _sliced_inputs,
    _sliced,
    wrt=('z', 'prior'),
    replicated=('directions',),
  ),
  Case(
    losses.spectral,
    views,
    _spectral,
    wrt=('z1', 'z2'),
    kwargs={'mu': 5.0},  # some rows inside the ball, some outside
  ),
  Case(
    losses.symmetric_affinity,
    lambda rng: {'affinity': rng.normal(size=(8, 8)).astype(np.float32)},
    lambda affinity: math.sqrt(
      sum(
        (affinity[i, j] - affinity[j, i]) ** 2
        for i in range(8)
        for j in range(8)
      )
    ),
    wrt=('affinity',),
  ),
]
