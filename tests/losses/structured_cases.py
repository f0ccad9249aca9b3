"""Cases of sslax.losses: neighborhood, structured and proxy."""

import math

import numpy as np

from sslax import losses
from sslax.ops.selectors import target_neighbors
from tests.losses.case import Case
from tests.losses.contrastive_cases import nce, unit
from tests.losses.metric_cases import gaps, labelled, split


def _with_targets(rng):
  x = rng.normal(size=(8, 4)).astype(np.float32)
  labels = np.array([0, 1, 0, 1, 1, 0, 1, 0])
  near = np.asarray(target_neighbors(x, labels, 2))
  return {'embeddings': x, 'labels': labels, 'neighbors': near}


def _lmnn(embeddings, labels, neighbors, push_weight=1.0, margin=1.0):
  d, total = gaps(embeddings) ** 2, 0.0
  for i in range(len(d)):
    _, other = split(labels, i)
    for j in neighbors[i]:
      total += d[i, j]
      total += push_weight * sum(
        max(0.0, margin + d[i, j] - d[i, n]) for n in other
      )
  return total / len(d)


def _shares(d, labels):
  """Yields the share of each sample's own class, or None without one."""
  for i in range(len(d)):
    same, other = split(labels, i)
    e = [math.exp(-x) for x in d[i]]
    inside = sum(e[j] for j in same)
    yield inside / (inside + sum(e[j] for j in other)) if same else None


def _nca(embeddings, labels, scale=1.0, log=True):
  shares = _shares(scale * gaps(embeddings) ** 2, labels)
  return np.mean([-math.log(p) if log else -p for p in shares if p is not None])


def _nca_regression(embeddings, targets):
  d, t = gaps(embeddings) ** 2, gaps(targets) ** 2
  total = 0.0
  for i in range(len(d)):
    others = [j for j in range(len(d)) if j != i]
    e = {j: math.exp(-d[i, j]) for j in others}
    total += sum(e[j] * t[i, j] for j in others) / sum(e.values())
  return total / len(d)


def _soft_nn(embeddings, labels, temperature=1.0, metric='squared', eps=0.0):
  if metric == 'cosine':
    d = 1 - unit(embeddings) @ unit(embeddings).T
  elif metric == 'dot':
    d = np.maximum(0, 1 - embeddings @ embeddings.T)
  else:
    d = gaps(embeddings) ** 2
  return np.mean(
    [
      0.0 if p is None else -math.log(eps + p)
      for p in _shares(d / temperature, labels)
    ]
  )


def _npair(anchors, positives, l2_weight=0.0):
  s, terms = anchors @ positives.T, []
  for i in range(len(s)):
    norm = anchors[i] @ anchors[i] + positives[i] @ positives[i]
    terms.append(nce(s[i, i], np.delete(s[i], i)) + l2_weight * norm)
  return np.mean(terms)


def _lifted(embeddings, labels, margin=1.0, positive_margin=0.0):
  d, terms = gaps(embeddings), []
  for i in range(len(d)):
    same, far_i = split(labels, i)
    for j in same:
      _, far_j = split(labels, j)
      total = sum(math.exp(margin - d[i, k]) for k in far_i)
      total += sum(math.exp(margin - d[j, k]) for k in far_j)
      terms.append(max(0, math.log(total) + d[i, j] - positive_margin) ** 2)
  return np.mean(terms) / 2


def _generalized(embeddings, labels, margin=1.0, positive_margin=0.0):
  d, terms = gaps(embeddings), []
  for i in range(len(d)):
    same, other = split(labels, i)
    total = 0.0
    if same:
      total += math.log(sum(math.exp(d[i, p] - positive_margin) for p in same))
    if other:
      total += math.log(sum(math.exp(margin - d[i, n]) for n in other))
    terms.append(max(0.0, total))
  return np.mean(terms)


def _multi_similarity(embeddings, labels, alpha=2.0, beta=50.0, base=0.5):
  s, terms = unit(embeddings) @ unit(embeddings).T, []
  for i in range(len(s)):
    same, other = split(labels, i)
    pull = sum(math.exp(-alpha * (s[i, p] - base)) for p in same)
    push = sum(math.exp(beta * (s[i, n] - base)) for n in other)
    terms.append(math.log(1 + pull) / alpha + math.log(1 + push) / beta)
  return np.mean(terms)


def _circle(embeddings, labels, margin=0.4, scale=80.0):
  s, terms = unit(embeddings) @ unit(embeddings).T, []
  for i in range(len(s)):
    same, other = split(labels, i)
    if not same or not other:
      continue
    pull = [max(0, 1 + margin - s[i, p]) * (s[i, p] - 1 + margin) for p in same]
    push = [max(0, s[i, n] + margin) * (s[i, n] - margin) for n in other]
    product = sum(math.exp(-scale * x) for x in pull)
    product *= sum(math.exp(scale * x) for x in push)
    terms.append(math.log(1 + product))
  return np.mean(terms)


def _with_classes(name):
  """Inputs with one vector for each of four classes, one of them absent."""

  def inputs(rng):
    x = labelled(rng)
    x[name] = rng.normal(size=(4, 4)).astype(np.float32)
    return x

  return inputs


def _centers(rng):
  x = _with_classes('centers')(rng)
  return {'x': x['embeddings'], 'labels': x['labels'], 'centers': x['centers']}


def _center(x, labels, centers):
  return np.mean(
    [sum((a - centers[y]) ** 2) for a, y in zip(x, labels, strict=True)]
  )


def _contrastive_center(x, labels, centers, delta=1.0):
  terms = []
  for a, y in zip(x, labels, strict=True):
    d = [sum((a - c) ** 2) for c in centers]
    terms.append(d[y] / (sum(d) - d[y] + delta) / 2)
  return np.mean(terms)


def _proxy_nca(
  embeddings, labels, proxies, scale=1.0, positive_in_denominator=False
):
  terms = []
  for x, y in zip(unit(embeddings), labels, strict=True):
    e = [math.exp(-scale * sum((x - p) ** 2)) for p in unit(proxies)]
    total = sum(e) - (0 if positive_in_denominator else e[y])
    terms.append(-math.log(e[y] / total))
  return np.mean(terms)


def _proxy_anchor(embeddings, labels, proxies, margin=0.1, alpha=32.0):
  s = unit(embeddings) @ unit(proxies).T
  near, far = [], []
  for c in range(len(proxies)):
    own, other = s[labels == c, c], s[labels != c, c]
    if len(own):
      pull = sum(math.exp(-alpha * (x - margin)) for x in own)
      near.append(math.log(1 + pull))
    push = sum(math.exp(alpha * (x + margin)) for x in other)
    far.append(math.log(1 + push))
  return np.mean(near) + np.mean(far)


def _negative_margin(embeddings, labels, weights, margin=-0.3, scale=30.0):
  s, terms = unit(embeddings) @ unit(weights).T, []
  for row, y in zip(s, labels, strict=True):
    terms.append(nce(scale * (row[y] - margin), scale * np.delete(row, y)))
  return np.mean(terms)


def _labelled_case(loss, reference, name='', semi_gradient=False, **kwargs):
  return Case(
    loss,
    labelled,
    reference,
    wrt=('embeddings',),
    kwargs=kwargs,
    name=name,
    semi_gradient=semi_gradient,
  )


CASES = [
  Case(
    losses.lmnn,
    _with_targets,
    _lmnn,
    wrt=('embeddings',),
    kwargs={'push_weight': 0.5},
  ),
  _labelled_case(losses.nca, _nca, scale=0.7),
  _labelled_case(losses.nca, _nca, name='nca-share', log=False),
  Case(
    losses.nca_regression,
    lambda rng: {
      'embeddings': labelled(rng)['embeddings'],
      'targets': rng.normal(size=(8, 3)).astype(np.float32),
    },
    _nca_regression,
    wrt=('embeddings', 'targets'),
  ),
  _labelled_case(losses.soft_nearest_neighbor, _soft_nn, temperature=2.0),
  _labelled_case(
    losses.soft_nearest_neighbor,
    _soft_nn,
    name='soft_nearest_neighbor-cosine',
    temperature=0.2,
    metric='cosine',
    eps=1e-2,
  ),
  _labelled_case(
    losses.soft_nearest_neighbor,
    _soft_nn,
    name='soft_nearest_neighbor-dot',
    metric='dot',
  ),
  Case(
    losses.npair,
    lambda rng: {
      'anchors': rng.normal(size=(8, 4)).astype(np.float32),
      'positives': rng.normal(size=(8, 4)).astype(np.float32),
    },
    _npair,
    wrt=('anchors', 'positives'),
    kwargs={'l2_weight': 0.02},
  ),
  _labelled_case(losses.lifted_structure, _lifted, positive_margin=0.3),
  _labelled_case(losses.generalized_lifted, _generalized, margin=0.5),
  _labelled_case(losses.multi_similarity, _multi_similarity),
  _labelled_case(
    losses.circle,
    _circle,
    semi_gradient=True,  # the weights of the similarities are held fixed
    margin=0.25,
    scale=8.0,
  ),
  Case(
    losses.center,
    _centers,
    _center,
    wrt=('x', 'centers'),
    replicated=('centers',),
  ),
  Case(
    losses.contrastive_center,
    _centers,
    _contrastive_center,
    wrt=('x', 'centers'),
    replicated=('centers',),
  ),
  *(
    Case(
      losses.proxy_nca,
      _with_classes('proxies'),
      _proxy_nca,
      wrt=('embeddings', 'proxies'),
      replicated=('proxies',),
      kwargs={'scale': 2.0, 'positive_in_denominator': whole},
      name=f'proxy_nca-{whole}',
    )
    for whole in (False, True)
  ),
  Case(
    losses.proxy_anchor,
    _with_classes('proxies'),
    _proxy_anchor,
    wrt=('embeddings', 'proxies'),
    replicated=('proxies',),
  ),
  Case(
    losses.negative_margin_softmax,
    _with_classes('weights'),
    _negative_margin,
    wrt=('embeddings', 'weights'),
    replicated=('weights',),
  ),
]
