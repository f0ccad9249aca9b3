"""Cases of sslax.losses.deep_embedded beside dec's."""

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.clustering_cases import deep_embedded_clustering
from tests.losses.contrastive_cases import ntxent
from tests.losses.distillation_cases import normal


def _dcn(embeddings, centers, assignments, weight=0.1):
  total = 0.0
  for row, cluster in zip(embeddings, assignments, strict=True):
    total += weight / 2 * sum((row - centers[cluster]) ** 2)
  return total / len(embeddings)


def _sccl(
  z1, z2, x, centers, temperature=0.5, contrast_weight=10.0, degrees=1.0
):
  contrast = ntxent(z1, z2, temperature)
  clusters = deep_embedded_clustering(x, centers, degrees)
  return contrast_weight * contrast + clusters


def _dbc(x, centers, power=2.0, degrees=1.0):
  total = 0.0
  for row in x:
    kernel = [
      (1 + sum((row - c) ** 2) / degrees) ** (-(degrees + 1) / 2)
      for c in centers
    ]
    q = [k / sum(kernel) for k in kernel]
    p = [s**power / sum(t**power for t in q) for s in q]
    total += sum(a * np.log(a / b) for a, b in zip(p, q, strict=True))
  return total / len(x)


CASES = [
  Case(
    losses.dcn,
    lambda rng: {
      'embeddings': normal(rng, 8, 3),
      'centers': normal(rng, 4, 3),
      'assignments': np.arange(8) % 4,
    },
    _dcn,
    wrt=('embeddings',),
    frozen=('centers',),
    replicated=('centers',),
    kwargs={'weight': 0.7},
  ),
  # The sharpened assignments are constants for the gradient.
  Case(
    losses.sccl,
    lambda rng: {
      'z1': normal(rng, 8, 5),
      'z2': normal(rng, 8, 5),
      'x': normal(rng, 8, 3),
      'centers': normal(rng, 4, 3),
    },
    _sccl,
    wrt=('z1', 'z2', 'x', 'centers'),
    replicated=('centers',),
    kwargs={'temperature': 0.4, 'contrast_weight': 3.0, 'degrees': 2.0},
    semi_gradient=True,
  ),
  # So are the boosted ones.
  Case(
    losses.dbc,
    lambda rng: {'x': normal(rng, 8, 3), 'centers': normal(rng, 4, 3)},
    _dbc,
    wrt=('x', 'centers'),
    replicated=('centers',),
    kwargs={'power': 1.7, 'degrees': 2.0},
    semi_gradient=True,
  ),
]
