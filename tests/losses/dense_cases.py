"""Cases of sslax.losses.dense and sslax.losses.matching."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.distillation_cases import (
  cross_entropy,
  normal,
  unit,
  views_of,
)
from tests.losses.redundancy_cases import vicreg_loops, vicreg_of_cells_loops
from tests.losses.views import names, over_views


def _mean(values):
  return sum(values) / len(values)


def _boxes(rng):
  corner = rng.uniform(0, 0.4, size=(8, 2))
  size = rng.uniform(0.4, 0.6, size=(8, 2))
  return np.concatenate([corner, corner + size], 1).astype(np.float32)


def _pixpro_inputs(rng):
  return {
    'student': normal(rng, 8, 2, 3, 4),
    'teacher': normal(rng, 8, 2, 3, 4),
    'student_boxes': _boxes(rng),
    'teacher_boxes': _boxes(rng),
  }


def _centers(box, height, width):
  left, top, right, bottom = box
  dx, dy = (right - left) / width, (bottom - top) / height
  places = {
    (h, w): (left + (w + 0.5) * dx, top + (h + 0.5) * dy)
    for h in range(height)
    for w in range(width)
  }
  return places, math.hypot(dx, dy)


def _pixpro(student, teacher, student_boxes, teacher_boxes, pos_ratio=0.7):
  total = 0.0
  for x, y, box1, box2 in zip(
    student, teacher, student_boxes, teacher_boxes, strict=True
  ):
    places1, diagonal1 = _centers(box1, *x.shape[:2])
    places2, diagonal2 = _centers(box2, *x.shape[:2])
    similarity = [
      sum(x[i] * y[j])
      for i, a in places1.items()
      for j, b in places2.items()
      if math.dist(a, b) / max(diagonal1, diagonal2) < pos_ratio
    ]
    total -= 2 * sum(similarity) / (len(similarity) + 1e-6)
  return total / len(student)


def _propagation_inputs(rng):
  return {
    'features': normal(rng, 8, 2, 3, 4),
    'values': normal(rng, 8, 2, 3, 5),
  }


def _propagated(features, values, **kwargs):
  """A scalar of the module's output, each entry with its own weight."""
  out = losses.pixel_propagation(features, values, **kwargs)
  weights = np.cos(np.arange(out.size)).reshape(out.shape).astype(out.dtype)
  return (out * weights).sum()


def _propagated_loops(features, values, sharpness=2.0, clamp=0.0):
  weights = iter(np.cos(np.arange(values.size)))
  total = 0.0
  for x, g in zip(features, values, strict=True):
    cells = [(i, j) for i in range(x.shape[0]) for j in range(x.shape[1])]
    for i in cells:
      out = sum(
        max(sum(unit(x[i]) * unit(x[j])), clamp) ** sharpness * unit(g[j])
        for j in cells
      )
      total += sum(v * next(weights) for v in out)
  return total


def _unit_rows(rng, *shape):
  x = normal(rng, *shape)
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _densecl_inputs(rng):
  return {
    'queries': normal(rng, 8, 4),
    'keys': normal(rng, 8, 4),
    'queue': _unit_rows(rng, 5, 4),
    'dense_queries': normal(rng, 8, 3, 6),
    'dense_keys': normal(rng, 8, 3, 6),
    'query_maps': normal(rng, 8, 3, 7),
    'key_maps': normal(rng, 8, 3, 7),
    'dense_queue': _unit_rows(rng, 5, 6),
  }


def _infonce(query, key, queue, temperature):
  candidates = [unit(key), *queue]
  logits = np.array([sum(unit(query) * c) / temperature for c in candidates])
  return cross_entropy(np.eye(len(logits))[0], logits)


def _densecl(
  queries,
  keys,
  queue,
  dense_queries,
  dense_keys,
  query_maps,
  key_maps,
  dense_queue,
  temperature=0.2,
  dense_weight=0.5,
):
  pairs = zip(queries, keys, strict=True)
  single = _mean([_infonce(q, k, queue, temperature) for q, k in pairs])
  dense = []
  for b, cells in enumerate(query_maps):
    for i, cell in enumerate(cells):
      others = [sum(unit(cell) * unit(other)) for other in key_maps[b]]
      key = dense_keys[b, int(np.argmax(others))]
      query = dense_queries[b, i]
      dense.append(_infonce(query, key, dense_queue, temperature))
  return (1 - dense_weight) * single + dense_weight * _mean(dense)


_DETCON = {'predictions': 2, 'targets': 2, 'masks': 2}


def _detcon_inputs(rng):
  arrays = {}
  for name, count in _DETCON.items():
    for key in names(name, count):
      if name == 'masks':
        arrays[key] = rng.integers(0, 3, size=(8, 3)).astype(np.int32)
      else:
        arrays[key] = normal(rng, 8, 3, 4)
  return arrays


def _detcon(temperature=0.1, **views):
  p, t, m = (views_of(views, name, 2) for name in _DETCON)
  batch, num, _ = p[0].shape
  cells = [(b, n) for b in range(batch) for n in range(num)]
  total = 0.0
  for one, two in ((0, 1), (1, 0)):
    for a, i in cells:
      scores, positive = [], []
      for b, j in cells:
        scores.append(sum(unit(p[one][a, i]) * unit(t[two][b, j])))
        positive.append(a == b and m[one][a, i] == m[two][b, j])
      for b, j in cells:
        if not (a == b and m[one][a, i] == m[one][b, j]):
          scores.append(sum(unit(p[one][a, i]) * unit(t[one][b, j])))
          positive.append(False)
      if any(positive):
        target = np.array(positive) / sum(positive)
        area = sum(m[one][a] == m[one][a, i])
        error = cross_entropy(target, np.array(scores) / temperature)
        total += error / area / len(cells)
  return total


def _seg_inputs(rng):
  return {
    'probs1': rng.dirichlet(np.ones(3), (8, 4, 4)).astype(np.float32),
    'probs2': rng.dirichlet(np.ones(3), (8, 4, 4)).astype(np.float32),
    'mask': rng.integers(0, 2, size=(8, 4, 4)).astype(np.float32),
  }


def _iic_seg(probs1, probs2, mask, displacement=0, entropy_weight=1.0):
  num_classes, d = probs1.shape[-1], displacement
  joint = np.zeros((num_classes, num_classes))
  size = probs1.shape[1]
  for b in range(len(probs1)):
    for h in range(size):
      for w in range(size):
        for u in range(max(h - d, 0), min(h + d + 1, size)):
          for v in range(max(w - d, 0), min(w + d + 1, size)):
            known = mask[b, h, w] * mask[b, u, v]
            joint += known * np.outer(probs1[b, h, w], probs2[b, u, v])
  joint = joint / joint.sum()
  joint = (joint + joint.T) / 2
  rows = joint.sum(1)
  return -sum(
    joint[i, j]
    * (
      math.log(joint[i, j])
      - entropy_weight * (math.log(rows[i]) + math.log(rows[j]))
    )
    for i in range(num_classes)
    for j in range(num_classes)
  )


_VICREGL = {'features': 3, 'maps': 3, 'locations': 3}
_CELLS = (6, 6, 4)


def _vicregl_inputs(rng):
  arrays = {}
  for key in names('features', 3):
    arrays[key] = normal(rng, 8, 4)
  for key, num in zip(names('maps', 3), _CELLS, strict=True):
    arrays[key] = normal(rng, 8, num, 3)
  for key, num in zip(names('locations', 3), _CELLS, strict=True):
    arrays[key] = rng.uniform(size=(8, num, 2)).astype(np.float32)
  return arrays


def _matched(x, y, keys_x, keys_y, num):
  kept, found = [], []
  for b in range(len(x)):
    pairs = []
    for i, key in enumerate(keys_x[b]):
      gaps = [math.dist(key, other) for other in keys_y[b]]
      pairs.append((min(gaps), i, gaps.index(min(gaps))))
    pairs = sorted(pairs)[:num]
    kept.append([x[b, i] for _, i, _ in pairs])
    found.append([y[b, j] for _, _, j in pairs])
  return np.array(kept), np.array(found)


def _vicregl(num_global=2, num_matches=(3, 2), global_weight=0.75, **views):
  features, maps, places = (views_of(views, name, 3) for name in _VICREGL)
  pairs = [(i, j) for i in range(num_global) for j in range(3) if i != j]
  whole = 25 * _mean(
    [np.mean((features[i] - features[j]) ** 2) for i, j in pairs]
  )
  for z in features:
    # A view against itself leaves the two other criteria, twice.
    criteria = vicreg_loops(z, z, covariance_weight=0.5)
    whole += criteria / len(features)
  local = []
  for i, j in pairs:
    for keys in (maps, places):
      first = _matched(maps[i], maps[j], keys[i], keys[j], num_matches[0])
      second = _matched(maps[j], maps[i], keys[j], keys[i], num_matches[1])
      for pair in (first, second):
        local.append(vicreg_of_cells_loops(*pair, covariance_weight=0.5) / 2)
  return global_weight * whole + (1 - global_weight) * sum(local) / len(pairs)


CASES = [
  Case(losses.pixpro, _pixpro_inputs, _pixpro, wrt=('student', 'teacher')),
  Case(
    _propagated,
    _propagation_inputs,
    _propagated_loops,
    wrt=('features', 'values'),
    name='pixel_propagation',
  ),
  Case(
    losses.densecl,
    _densecl_inputs,
    _densecl,
    kwargs={'dense_weight': 0.3},
    wrt=('queries', 'dense_queries'),
    frozen=(
      'keys',
      'queue',
      'dense_keys',
      'query_maps',
      'key_maps',
      'dense_queue',
    ),
    replicated=('queue', 'dense_queue'),
  ),
  Case(
    over_views(losses.detcon, **_DETCON),
    _detcon_inputs,
    _detcon,
    kwargs={'temperature': 0.3},
    wrt=(*names('predictions', 2), *names('targets', 2)),
  ),
  # The sum that normalizes the joint is a constant for the gradient.
  Case(
    losses.iic_seg,
    _seg_inputs,
    _iic_seg,
    kwargs={'displacement': 1, 'entropy_weight': 1.1},
    wrt=('probs1', 'probs2'),
    semi_gradient=True,
    constrained=True,
    hard={
      'nothing known': lambda: {'mask': np.zeros((8, 4, 4), np.float32)},
      'one class': lambda: {
        key: np.eye(3, dtype=np.float32)[np.zeros((8, 4, 4), int)]
        for key in ('probs1', 'probs2')
      },
    },
  ),
  Case(
    over_views(losses.vicregl, **_VICREGL),
    _vicregl_inputs,
    _vicregl,
    kwargs={'num_matches': (3, 2)},
    wrt=(*names('features', 3), *names('maps', 3)),
  ),
]
