"""Cases of sslax.losses.spread and sslax.losses.hsic."""

import math

import numpy as np

from sslax import losses
from sslax.ops import multiquadric
from tests.losses.case import Case
from tests.losses.distillation_cases import normal, unit, views_of
from tests.losses.redundancy_cases import correlated_views
from tests.losses.views import names, over_views


def _mean(column):
  return sum(column) / len(column)


def _koleo(x, norm=2, eps=1e-8, gap_eps=1e-8):
  units = [unit(row) for row in x]
  total = 0.0
  for i, u in enumerate(units):
    others = [v for j, v in enumerate(units) if j != i]
    near = max(others, key=lambda v: sum(u * v))
    distance = sum(abs(u - near + gap_eps) ** norm) ** (1 / norm)
    total -= math.log(distance + eps)
  return total / len(units)


def _coding_rate(x, eps=0.2):
  num, dim = x.shape
  matrix = np.eye(dim)
  for row in x:
    matrix += dim / (num * eps) * np.outer(row, row)
  return sum(math.log(v) for v in np.linalg.eigvalsh(matrix)) / 2


def _emp_ssl(invariance_weight=200.0, rate_weight=1.0, eps=0.2, **views):
  views = views_of(views, 'views', 3)
  mean = sum(views) / len(views)
  rate = _mean([_coding_rate(view, eps) for view in views])
  cosines = [
    sum(unit(row) * unit(center))
    for view in views
    for row, center in zip(view, mean, strict=True)
  ]
  return -rate_weight * rate - invariance_weight * _mean(cosines)


def _frossl(invariance_weight=1.0, **views):
  views = [
    np.stack([unit(column) for column in view.T], 1)
    for view in views_of(views, 'views', 3)
  ]
  mean, total = sum(views) / len(views), 0.0
  for view in views:
    gram = sum(np.outer(row, row) for row in view)
    gram = gram / sum(gram[i, i] for i in range(len(gram)))
    total += 2 * math.log(math.sqrt(sum(v * v for v in gram.ravel())))
    gap = sum(v * v for v in (view - mean).ravel()) / len(view)
    total += invariance_weight * len(views) * gap
  return total


def _nuclear(matrix):
  values = np.linalg.eigvalsh(matrix.T @ matrix)
  return sum(math.sqrt(max(v, 0.0)) for v in values)


def _mmcr(embeddings, local_weight=0.005):
  centroids = np.array([sum(views) / len(views) for views in embeddings])
  local = _mean([_nuclear(views.T) for views in embeddings])
  return local_weight * local - _nuclear(centroids)


def _directions(rng, dim=4, num=6):
  columns = normal(rng, dim, num)
  return columns / np.linalg.norm(columns, axis=0, keepdims=True)


def _sigreg(x, directions):
  total, step = 0.0, 3 / 16
  for a in directions.T:
    places = [sum(row * a) for row in x]
    for k in range(17):
      t = k * step
      window = math.exp(-t * t / 2)
      real = _mean([math.cos(t * p) for p in places]) - window
      imaginary = _mean([math.sin(t * p) for p in places])
      weight = step if k in (0, 16) else 2 * step
      total += weight * window * (real**2 + imaginary**2)
  return len(x) * total / directions.shape[1]


def _lejepa(directions, num_global=2, regularization_weight=0.05, **views):
  views = views_of(views, 'views', 3)
  center = sum(views[:num_global]) / num_global
  gap = _mean([np.mean((view - center) ** 2) for view in views])
  gaussian = _mean([_sigreg(view, directions) for view in views])
  return regularization_weight * gaussian + (1 - regularization_weight) * gap


_DRAWS = tuple(
  multiquadric.draw(np.random.default_rng(seed), 6, 4) for seed in (0, 1)
)


def _cosines(x, draw):
  w = [
    a * unit(d) for a, d in zip(draw.amplitudes, draw.directions, strict=True)
  ]
  return np.array(
    [
      math.sqrt(2 / len(w)) * math.cos(sum(x * f) + b)
      for f, b in zip(w, draw.phases, strict=True)
    ]
  )


def _ssl_hsic(features, self_features, regularization_weight=3.0, **views):
  views = views_of(views, 'views', 3)
  draws = [
    type(d)(*(np.asarray(part, np.float64) for part in d))
    for d in (features, self_features)
  ]
  phi, psi = (
    [[_cosines(row, draw) for row in view] for view in views] for draw in draws
  )
  num_views, batch = len(views), len(views[0])
  same = sum(
    sum(phi[v][i] @ phi[u][i] for v in range(num_views))
    for i in range(batch)
    for u in range(num_views)
  )
  everything = sum(row for view in phi for row in view)
  identity = same / (batch * num_views * (num_views - 1))
  identity -= everything @ everything / (batch * num_views) ** 2
  mean1, mean2 = np.mean(phi, (0, 1)), np.mean(psi, (0, 1))
  cross = sum(
    np.outer(psi[v][i] - mean2, phi[v][i] - mean1)
    for v in range(num_views)
    for i in range(batch)
  )
  itself = np.sum(cross**2) / (batch * num_views) ** 2
  return regularization_weight * math.sqrt(itself) - identity


CASES = [
  Case(
    losses.koleo,
    lambda rng: {'x': normal(rng, 16, 4)},
    _koleo,
    wrt=('x',),
  ),
  Case(
    losses.koleo,
    lambda rng: {'x': normal(rng, 16, 4)},
    _koleo,
    kwargs={'norm': 3, 'eps': 1e-4, 'gap_eps': 1e-3},
    wrt=('x',),
    name='koleo of norm 3',
  ),
  Case(
    losses.coding_rate,
    lambda rng: {'x': normal(rng, 16, 4)},
    _coding_rate,
    wrt=('x',),
  ),
  Case(
    losses.coding_rate,
    lambda rng: {'x': normal(rng, 8, 12)},
    _coding_rate,
    wrt=('x',),
    name='coding_rate of few rows',
  ),
  Case(
    over_views(losses.emp_ssl, views=3),
    correlated_views(3),
    _emp_ssl,
    wrt=names('views', 3),
  ),
  Case(
    over_views(losses.frossl, views=3),
    correlated_views(3),
    _frossl,
    wrt=names('views', 3),
    kwargs={'invariance_weight': 0.7},
  ),
  Case(
    over_views(losses.frossl, views=3),
    correlated_views(3, batch=8, dim=12),
    _frossl,
    wrt=names('views', 3),
    name='frossl of few rows',
  ),
  Case(
    losses.mmcr,
    lambda rng: {'embeddings': normal(rng, 8, 3, 5)},
    _mmcr,
    kwargs={'local_weight': 0.1},
    wrt=('embeddings',),
  ),
  Case(
    losses.sigreg,
    lambda rng: {'x': normal(rng, 8, 4), 'directions': _directions(rng)},
    _sigreg,
    wrt=('x',),
    replicated=('directions',),
  ),
  Case(
    over_views(losses.lejepa, views=3),
    lambda rng: {**correlated_views(3)(rng), 'directions': _directions(rng)},
    _lejepa,
    wrt=names('views', 3),
    replicated=('directions',),
  ),
  Case(
    over_views(losses.ssl_hsic, views=3),
    correlated_views(3, batch=8),
    _ssl_hsic,
    kwargs={'features': _DRAWS[0], 'self_features': _DRAWS[1]},
    wrt=names('views', 3),
  ),
]
