"""Cases of sslax.losses.prototypes."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.clustering_cases import logits_of
from tests.losses.distillation_cases import (
  cross_entropy,
  normal,
  unit,
  views_of,
)
from tests.losses.views import names, over_views


def _mean(values):
  return sum(values) / len(values)


def _swapped_inputs(rng):
  codes = {
    key: rng.dirichlet(np.ones(4), 8).astype(np.float32)
    for key in names('codes', 2)
  }
  return {**logits_of('scores', 3)(rng), **codes}


def _swapped_prediction(temperature=0.1, **views):
  terms = []
  for w, codes in enumerate(views_of(views, 'codes', 2)):
    for v, scores in enumerate(views_of(views, 'scores', 3)):
      if v != w:
        rows = zip(codes, scores / temperature, strict=True)
        terms.append(_mean([cross_entropy(q, s) for q, s in rows]))
  return _mean(terms)


def sinkhorn_loops(scores, epsilon, num_iterations):
  """Alternating sums over the matrix, as its equation says."""
  plan = np.exp(scores / epsilon)
  num_rows, num_columns = plan.shape
  for _ in range(num_iterations):
    for k in range(num_columns):
      plan[:, k] /= sum(plan[:, k]) * num_columns
    for i in range(num_rows):
      plan[i] /= sum(plan[i]) * num_rows
  return plan * num_rows


def _swav_inputs(rng):
  cosines = {k: np.tanh(v) for k, v in logits_of('scores', 3)(rng).items()}
  queue = {key: np.tanh(normal(rng, 16, 4)) for key in names('queue_scores', 2)}
  return {**cosines, **queue}


def _swav(epsilon=0.05, num_iterations=3, temperature=0.1, **views):
  queue = views_of(views, 'queue_scores', 2)
  scores = views_of(views, 'scores', 3)
  codes = {}
  for i, key in enumerate(names('codes', 2)):
    joint = np.concatenate([scores[i], queue[i]])
    codes[key] = sinkhorn_loops(joint, epsilon, num_iterations)[
      : len(scores[i])
    ]
  return _swapped_prediction(
    temperature, **codes, **dict(zip(names('scores', 3), scores, strict=True))
  )


def _deepcluster(rng):
  labels = rng.integers(-1, 4, size=16)
  labels[0] = 2  # at least one is assigned
  return {'scores': normal(rng, 16, 4), 'labels': labels.astype(np.int32)}


def _one_clustering(scores, labels, **kwargs):
  return losses.deepcluster_v2([scores[None]], [labels], **kwargs)


def _deepcluster_v2(scores, labels, temperature=0.1):
  rows = [
    cross_entropy(np.eye(len(s))[y], s / temperature)
    for s, y in zip(scores, labels, strict=True)
    if y >= 0
  ]
  return _mean(rows)


def _labels(rng):
  labels = rng.integers(0, 4, size=16).astype(np.int32)
  return {'logits': normal(rng, 16, 4), 'labels': labels}


def _one_head(logits, labels):
  return losses.sela([logits], [labels])


def _unit_rows(rng, *shape):
  x = normal(rng, *shape)
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _proto(rng):
  return {
    'queries': normal(rng, 8, 6),
    'centroids': _unit_rows(rng, 5, 6),
    'densities': rng.uniform(0.2, 0.6, 5).astype(np.float32),
    'assignments': rng.integers(0, 4, size=8).astype(np.int32),
  }


def _proto_nce(queries, centroids, densities, assignments):
  absent = [k for k in range(len(centroids)) if k not in set(assignments)]
  terms = []
  for i, query in enumerate(queries):
    chosen = [*assignments, *absent]
    logits = np.array(
      [sum(unit(query) * centroids[k]) / densities[k] for k in chosen]
    )
    terms.append(cross_entropy(np.eye(len(logits))[i], logits))
  return _mean(terms)


def _pcl_inputs(rng):
  keys = normal(rng, 8, 6)
  return {**_proto(rng), 'keys': keys, 'queue': _unit_rows(rng, 7, 6)}


def _one_pcl(queries, keys, queue, centroids, densities, assignments, **kwargs):
  return losses.pcl(
    queries, keys, queue, [centroids], [densities], [assignments], **kwargs
  )


def _pcl(queries, keys, queue, temperature=0.2, **prototypes):
  terms = []
  for q, k in zip(queries, keys, strict=True):
    candidates = [unit(k), *queue]
    logits = np.array([sum(unit(q) * c) / temperature for c in candidates])
    terms.append(cross_entropy(np.eye(len(logits))[0], logits))
  return _mean(terms) + _proto_nce(queries, **prototypes)


def _odc(logits, labels, counts, eps=1e-10):
  top = bottom = 0.0
  for row, y in zip(logits, labels, strict=True):
    weight = 1 / math.sqrt(counts[y] + eps)
    top += weight * cross_entropy(np.eye(len(row))[y], row)
    bottom += weight
  return top / bottom


def _nat(embeddings, targets):
  rows = zip(embeddings, targets, strict=True)
  return _mean([sum((unit(z) - y) ** 2) / 2 for z, y in rows])


CASES = [
  Case(
    over_views(losses.swapped_prediction, scores=3, codes=2),
    _swapped_inputs,
    _swapped_prediction,
    wrt=names('scores', 3),
    frozen=names('codes', 2),
  ),
  # The codes are constants for the gradient.
  Case(
    over_views(losses.swav, scores=3, queue_scores=2),
    _swav_inputs,
    _swav,
    wrt=names('scores', 3),
    frozen=names('queue_scores', 2),
    semi_gradient=True,
  ),
  Case(
    _one_clustering,
    _deepcluster,
    _deepcluster_v2,
    wrt=('scores',),
    name='deepcluster_v2',
  ),
  Case(
    _one_head,
    _labels,
    lambda logits, labels: _deepcluster_v2(logits, labels, 1.0),
    wrt=('logits',),
    name='sela',
  ),
  Case(
    losses.proto_nce,
    _proto,
    _proto_nce,
    wrt=('queries',),
    frozen=('centroids',),
    replicated=('centroids', 'densities'),
  ),
  Case(
    _one_pcl,
    _pcl_inputs,
    _pcl,
    wrt=('queries',),
    frozen=('keys', 'queue', 'centroids'),
    replicated=('queue', 'centroids', 'densities'),
    name='pcl',
  ),
  Case(
    losses.odc,
    lambda rng: {**_labels(rng), 'counts': np.array([1, 9, 4, 2], np.float32)},
    _odc,
    wrt=('logits',),
    replicated=('counts',),
  ),
  Case(
    losses.nat,
    lambda rng: {
      'embeddings': normal(rng, 8, 4),
      'targets': _unit_rows(rng, 8, 4),
    },
    _nat,
    wrt=('embeddings',),
    frozen=('targets',),
  ),
]
