"""Cases of sslax.losses.metric and sslax.losses.siamese."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.contrastive_cases import unit

LABELS = np.array([0, 1, 0, 2, 1, 0, 1, 1])  # class 2 has one member


def labelled(rng, dim=4):
  """Eight embeddings of three classes."""
  x = rng.normal(size=(8, dim)).astype(np.float32)
  return {'embeddings': x, 'labels': LABELS}


def split(labels, i):
  """The other members of i's class, and the members of other classes."""
  same = [j for j in range(len(labels)) if labels[j] == labels[i] and j != i]
  return same, [j for j in range(len(labels)) if labels[j] != labels[i]]


def gaps(x):
  """[B, B] Euclidean distances, pair by pair."""
  return np.array([[math.sqrt(sum((a - b) ** 2)) for b in x] for a in x])


def _pairs(rng):
  return {
    'x': rng.normal(size=(8, 4)).astype(np.float32),
    'y': rng.normal(size=(8, 4)).astype(np.float32),
    'labels': np.array([1, 0, 0, 1, 1, 0, 1, 0]),
  }


def _contrastive(
  x, y, labels, margin=1.0, metric='euclidean', squared=True, eps=0.0
):
  terms = []
  for a, b, same in zip(x, y, labels, strict=True):
    if metric == 'cosine':
      d = 1 - unit(a) @ unit(b)
    elif metric == 'manhattan':
      d = sum(abs(a - b + eps))
    else:
      d = math.sqrt(sum((a - b + eps) ** 2))
    short = max(0.0, margin - d)
    if squared:
      terms.append((same * d**2 + (1 - same) * short**2) / 2)
    else:
      terms.append(same * d + (1 - same) * short)
  return np.mean(terms)


def _mean(terms, violated_only):
  terms = [t for t in terms if t > 0] if violated_only else terms
  return np.mean(terms) if terms else 0.0


def _in_batch(
  embeddings,
  labels,
  positive_margin=0.0,
  negative_margin=1.0,
  violated_only=False,
):
  d, pull, push = gaps(embeddings), [], []
  for i in range(len(d)):
    same, other = split(labels, i)
    pull += [max(0.0, d[i, j] - positive_margin) for j in same]
    push += [max(0.0, negative_margin - d[i, j]) for j in other]
  return _mean(pull, violated_only) + _mean(push, violated_only)


def _triplets(rng):
  return {
    k: rng.normal(size=(8, 4)).astype(np.float32)
    for k in ('anchors', 'positives', 'negatives')
  }


def _hinge(x, smooth):
  return math.log1p(math.exp(x)) if smooth else max(0.0, x)


def _triplet(
  anchors,
  positives,
  negatives,
  margin=1.0,
  order=2,
  squared=False,
  swap=False,
  smooth=False,
  eps=0.0,
):
  def gap(x, y):
    d = sum(abs(x - y + eps) ** order) ** (1 / order)
    return d**2 if squared else d

  terms = []
  for a, p, n in zip(anchors, positives, negatives, strict=True):
    far = min(gap(a, n), gap(p, n)) if swap else gap(a, n)
    terms.append(_hinge(gap(a, p) - far + margin, smooth))
  return np.mean(terms)


def _triplet_in_batch(
  embeddings,
  labels,
  margin=0.2,
  mining='all',
  smooth=False,
  violated_only=False,
):
  d, terms = gaps(embeddings), []
  for i in range(len(d)):
    same, other = split(labels, i)
    if not same or not other:
      continue
    far = [d[i, n] for n in other]
    if mining == 'hard':
      chosen = [(max(d[i, p] for p in same), min(far))]
    elif mining == 'all':
      chosen = [(d[i, p], f) for p in same for f in far]
    else:
      beyond = {p: [f for f in far if f > d[i, p]] for p in same}
      chosen = [
        (d[i, p], min(beyond[p]) if beyond[p] else max(far)) for p in same
      ]
    terms += [_hinge(near - f + margin, smooth) for near, f in chosen]
  return _mean(terms, violated_only)


def _siamese_cosine(x, y, labels):
  return np.mean(
    [
      (a @ b - (1 if same else -1)) ** 2
      for a, b, same in zip(unit(x), unit(y), labels, strict=True)
    ]
  )


def _bce(logit, label):
  p = 1 / (1 + math.exp(-logit))
  return -label * math.log(p) - (1 - label) * math.log(1 - p)


def _verifier(x, y, labels, weights):
  return np.mean(
    [
      _bce(sum(weights * abs(a - b)), label)
      for a, b, label in zip(x, y, labels, strict=True)
    ]
  )


def _bags(rng):
  mask = rng.uniform(size=(8, 5)) < 0.7
  mask[:, 0] = True
  return {
    'scores': rng.normal(size=(8, 5)).astype(np.float32),
    'labels': np.array([1, 0, 0, 1, 1, 0, 1, 0]),
    'mask': mask,
  }


def _multiple_instance(scores, labels, mask, how='logsumexp'):
  pool = {
    'max': max,
    'mean': np.mean,
    'logsumexp': lambda s: math.log(np.mean([math.exp(x) for x in s])),
  }[how]
  return np.mean(
    [
      _bce(pool(s[m]), label)
      for s, label, m in zip(scores, labels, mask, strict=True)
    ]
  )


def _variant(loss, inputs, reference, wrt, name, **kwargs):
  title = f'{loss.__name__}-{name}'
  return Case(loss, inputs, reference, wrt=wrt, kwargs=kwargs, name=title)


CASES = [
  _variant(
    losses.contrastive_margin,
    _pairs,
    _contrastive,
    ('x', 'y'),
    'euclidean',
    margin=3.0,
  ),
  _variant(
    losses.contrastive_margin,
    _pairs,
    _contrastive,
    ('x', 'y'),
    'cosine',
    metric='cosine',
  ),
  _variant(
    losses.contrastive_margin,
    _pairs,
    _contrastive,
    ('x', 'y'),
    'manhattan',
    metric='manhattan',
    margin=6.0,
  ),
  _variant(
    losses.contrastive_margin,
    _pairs,
    _contrastive,
    ('x', 'y'),
    'linear',
    margin=3.0,
    squared=False,
    eps=0.01,
  ),
  _variant(
    losses.contrastive_margin_in_batch,
    labelled,
    _in_batch,
    ('embeddings',),
    'all',
    positive_margin=0.5,
    negative_margin=2.5,
  ),
  _variant(
    losses.contrastive_margin_in_batch,
    labelled,
    _in_batch,
    ('embeddings',),
    'violated',
    positive_margin=2.0,
    negative_margin=2.5,
    violated_only=True,
  ),
  _variant(
    losses.triplet,
    _triplets,
    _triplet,
    ('anchors', 'positives', 'negatives'),
    'swap',
    swap=True,
    order=3,
    eps=0.01,
  ),
  _variant(
    losses.triplet,
    _triplets,
    _triplet,
    ('anchors', 'positives', 'negatives'),
    'squared',
    squared=True,
    smooth=True,
  ),
  *(
    _variant(
      losses.triplet_in_batch,
      labelled,
      _triplet_in_batch,
      ('embeddings',),
      f'{mining}{"-smooth" if smooth else ""}{"-violated" if only else ""}',
      margin=0.5,
      mining=mining,
      smooth=smooth,
      violated_only=only,
    )
    for mining, smooth, only in [
      ('all', False, True),
      ('all', True, False),
      ('hard', False, False),
      ('semi_hard', False, False),
    ]
  ),
  Case(losses.siamese_cosine, _pairs, _siamese_cosine, wrt=('x', 'y')),
  Case(
    losses.siamese_verifier,
    lambda rng: {**_pairs(rng), 'weights': rng.normal(size=4).astype('f4')},
    _verifier,
    wrt=('x', 'y', 'weights'),
    replicated=('weights',),
  ),
  *(
    _variant(
      losses.multiple_instance,
      _bags,
      _multiple_instance,
      ('scores',),
      how,
      how=how,
    )
    for how in ('max', 'mean', 'logsumexp')
  ),
]
