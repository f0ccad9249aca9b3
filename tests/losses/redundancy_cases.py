"""Cases of the losses that decorrelate, whiten or spread."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.distillation_cases import normal, unit, views_of
from tests.losses.views import names, over_views


def _pair(rng, batch=16, dim=4):
  z1 = normal(rng, batch, dim)
  return {'z1': z1, 'z2': z1 + 0.5 * normal(rng, batch, dim)}


def _mean(column):
  return sum(column) / len(column)


def _variance(column, ddof):
  mean = _mean(column)
  return sum((v - mean) ** 2 for v in column) / (len(column) - ddof)


def _covariance(x, y):
  mean_x, mean_y = _mean(x), _mean(y)
  products = [(a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)]
  return sum(products) / (len(x) - 1)


def _barlow_twins(z1, z2, off_diagonal_weight=0.0051, eps=1e-5):
  total = 0.0
  for i, x in enumerate(z1.T):
    for j, y in enumerate(z2.T):
      cross = np.mean((x - _mean(x)) * (y - _mean(y)))
      scale = math.sqrt((_variance(x, 0) + eps) * (_variance(y, 0) + eps))
      c = cross / scale
      total += (1 - c) ** 2 if i == j else off_diagonal_weight * c**2
  return total


def _hinge(z, eps):
  stds = [math.sqrt(_variance(column, 1) + eps) for column in z.T]
  return _mean([max(0.0, 1 - std) for std in stds])


def _off_diagonal(z, statistic):
  return sum(
    statistic(x, y) ** 2
    for i, x in enumerate(z.T)
    for j, y in enumerate(z.T)
    if i != j
  )


def vicreg_loops(
  z1,
  z2,
  invariance_weight=25.0,
  variance_weight=25.0,
  covariance_weight=1.0,
  eps=1e-4,
):
  dim = z1.shape[1]
  redundancy = sum(_off_diagonal(z, _covariance) / dim for z in (z1, z2))
  return (
    invariance_weight * np.mean((z1 - z2) ** 2)
    + variance_weight * (_hinge(z1, eps) + _hinge(z2, eps)) / 2
    + covariance_weight * redundancy
  )


def vicreg_of_cells_loops(z1, z2, **kwargs):
  cells = zip(np.moveaxis(z1, 1, 0), np.moveaxis(z2, 1, 0), strict=True)
  return _mean([vicreg_loops(a, b, **kwargs) for a, b in cells])


def _correlation(x, y):
  return _covariance(x, y) / math.sqrt(_variance(x, 1) * _variance(y, 1))


def _vibcreg(z1, z2, eps=1e-4):
  dim = z1.shape[1]
  redundancy = sum(_off_diagonal(z, _correlation) / dim**2 for z in (z1, z2))
  spread = _hinge(z1, eps) + _hinge(z2, eps)
  return 25 * np.mean((z1 - z2) ** 2) + 25 * spread + 200 * redundancy


def _shrunk(z, eps):
  covariance = np.array([[_covariance(x, y) for x in z.T] for y in z.T])
  return (1 - eps) * covariance + eps * np.eye(z.shape[1])


def _cholesky_white(z, eps):
  factor = np.linalg.cholesky(_shrunk(z, eps))
  return (np.linalg.inv(factor) @ (z - z.mean(0)).T).T


def _zca_white(z, eps):
  values, vectors = np.linalg.eigh(_shrunk(z, eps))
  root = sum(
    np.outer(v, v) / math.sqrt(value)
    for value, v in zip(values, vectors.T, strict=True)
  )
  return (z - z.mean(0)) @ root


def _normalized_mse(x, y):
  rows = zip(x, y, strict=True)
  return _mean([2 - 2 * sum(unit(a) * unit(b)) for a, b in rows])


def _wmse(group_size=None, eps=0.01, **views):
  views = views_of(views, 'views', 3)
  size = group_size or len(views[0])
  white = [
    np.concatenate(
      [
        _cholesky_white(view[start : start + size], eps)
        for start in range(0, len(view), size)
      ]
    )
    for view in views
  ]
  pairs = [(0, 1), (0, 2), (1, 2)]
  return _mean([_normalized_mse(white[i], white[j]) for i, j in pairs])


def _dbn(z1, z2, num_groups=1, permutations=None, eps=1e-3):
  if permutations is None:
    permutations = [range(z1.shape[1])] * 2
  white = np.zeros((2, *z1.shape))
  for view, (z, order) in enumerate(zip((z1, z2), permutations, strict=True)):
    for group in np.split(np.array(order), num_groups):
      white[view][:, group] = _zca_white(z[:, group], eps)
  return _mean([sum((a - b) ** 2) for a, b in zip(*white, strict=True)])


def _column_white(z, eps, ddof):
  return _zca_white(z / np.sqrt(z.var(0, ddof=ddof) + 1e-5), eps)


def _zero_cl(z1, z2, feature_weight=1.0, eps=0.1):
  total = 0.0
  for a, b, weight, ddof in (
    (z1.T, z2.T, 1.0, 1),
    (z1, z2, feature_weight, 0),
  ):
    a, b = _column_white(a, eps, ddof).T, _column_white(b, eps, ddof).T
    for x, y in zip(a, b, strict=True):
      total += weight * (1 - sum(x * y) / len(x)) ** 2
  return total


def _tico(z1, z2, covariance, momentum=0.9, contrast_weight=8.0):
  units = [unit(row) for row in z1]
  moment = sum(np.outer(u, u) for u in units) / len(units)
  covariance = momentum * covariance + (1 - momentum) * moment
  total = 0.0
  for u, other in zip(units, z2, strict=True):
    total += 1 - sum(u * unit(other))
    total += contrast_weight * sum(
      u[i] * covariance[i, j] * u[j]
      for i in range(len(u))
      for j in range(len(u))
    )
  return total / len(units)


def correlated_views(count, batch=16, dim=4):
  def make(rng):
    center = normal(rng, batch, dim)
    return {
      key: center + normal(rng, batch, dim) for key in names('views', count)
    }

  return make


CASES = [
  Case(losses.barlow_twins, _pair, _barlow_twins, wrt=('z1', 'z2')),
  Case(losses.vicreg, _pair, vicreg_loops, wrt=('z1', 'z2')),
  Case(
    losses.vicreg,
    lambda rng: {'z1': normal(rng, 8, 3, 4), 'z2': normal(rng, 8, 3, 4)},
    vicreg_of_cells_loops,
    wrt=('z1', 'z2'),
    name='vicreg of cells',
  ),
  Case(losses.vibcreg, _pair, _vibcreg, wrt=('z1', 'z2')),
  Case(
    over_views(losses.wmse, views=3),
    correlated_views(3),
    _wmse,
    kwargs={'group_size': 8, 'eps': 0.05},
    wrt=names('views', 3),
  ),
  Case(
    losses.dbn,
    lambda rng: {
      **_pair(rng),
      'permutations': np.array([[2, 0, 3, 1], [1, 0, 3, 2]]),
    },
    _dbn,
    kwargs={'num_groups': 2},
    wrt=('z1', 'z2'),
    replicated=('permutations',),
  ),
  Case(losses.dbn, _pair, _dbn, wrt=('z1', 'z2'), name='dbn in one group'),
  # The whitening matrices are constants for the gradient.
  Case(
    losses.zero_cl,
    lambda rng: _pair(rng, batch=8, dim=6),
    _zero_cl,
    kwargs={'eps': 0.2, 'feature_weight': 0.5},
    wrt=('z1', 'z2'),
    semi_gradient=True,
  ),
  # C holds the batch's own second moment, a constant for the gradient.
  Case(
    losses.tico,
    lambda rng: {**_pair(rng), 'covariance': np.eye(4, dtype=np.float32) / 4},
    _tico,
    wrt=('z1', 'z2'),
    frozen=('covariance',),
    replicated=('covariance',),
    semi_gradient=True,
  ),
]
