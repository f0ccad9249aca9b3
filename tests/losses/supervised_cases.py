"""Cases of sslax.losses.supervised."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.contrastive_cases import nce, unit, views

LABELS = np.array([0, 1, 0, 2, 1, 0, 3, 1])


def _embeddings(rng):
  x = rng.normal(size=(8, 5)).astype(np.float32)
  return {'embeddings': x, 'labels': LABELS}


def _features(rng):
  x = unit(rng.normal(size=(8, 3, 5))).astype(np.float32)
  return {'features': x, 'labels': LABELS}


def _masked(rng):
  mask = (rng.uniform(size=(8, 8)) < 0.4).astype(np.float32)
  return {'features': _features(rng)['features'], 'mask': mask}


def _supcon(
  features,
  labels=None,
  mask=None,
  temperature=0.07,
  base_temperature=None,
  form='out',
  contrast_mode='all',
  count_lonely=True,
):
  num, views_, _ = features.shape
  items = [(b, v) for b in range(num) for v in range(views_)]
  terms = []
  for b, v in items:
    if contrast_mode == 'one' and v > 0:
      continue
    logit = {
      (c, w): features[b, v] @ features[c, w] / temperature
      for c, w in items
      if (c, w) != (b, v)
    }
    weight = {}
    for c, w in logit:
      if mask is not None:
        weight[c, w] = mask[b, c]
      elif labels is not None:
        weight[c, w] = float(labels[b] == labels[c])
      else:
        weight[c, w] = float(b == c)
    total = sum(weight.values())
    if total == 0:
      terms += [0.0] if count_lonely else []
      continue
    log_z = math.log(sum(math.exp(x) for x in logit.values()))
    if form == 'out':
      inner = sum(weight[k] * (logit[k] - log_z) for k in logit)
      terms.append(-inner / total)
    else:
      share = sum(weight[k] * math.exp(logit[k] - log_z) for k in logit)
      terms.append(-math.log(share / total))
  base = temperature if base_temperature is None else base_temperature
  return temperature / base * np.mean(terms)


def _by_label(embeddings, labels, temperature):
  """Yields (positive logits, negative logits) of each anchor."""
  z, num = unit(embeddings), len(embeddings)
  for i in range(num):
    logit = [z[i] @ z[j] / temperature for j in range(num)]
    same = [j for j in range(num) if labels[j] == labels[i] and j != i]
    other = [j for j in range(num) if labels[j] != labels[i]]
    yield [logit[j] for j in same], [logit[j] for j in other]


def _ubernce(embeddings, labels, temperature=0.1):
  terms = []
  for same, other in _by_label(embeddings, labels, temperature):
    if same:
      inside = sum(math.exp(x) for x in same)
      outside = sum(math.exp(x) for x in other)
      terms.append(-math.log(inside / (inside + outside)))
  return np.mean(terms)


def _ntxent_pairs(embeddings, labels, temperature=0.1):
  pairs = _by_label(embeddings, labels, temperature)
  return np.mean([nce(p, other) for same, other in pairs for p in same])


def _self_supcon(features, labels, temperature=0.1, weight=1.0):
  by_image = _supcon(features, temperature=temperature)
  return _supcon(features, labels, temperature=temperature) + weight * by_image


def _l_spread(z1, z2, labels, alpha=0.5, temperature=0.5):
  z, y = unit(np.concatenate([z1, z2])), np.concatenate([labels, labels])
  num, attract, spread = len(z), [], []
  for i in range(num):
    s = [z[i] @ z[j] / temperature for j in range(num)]
    j = (i + num // 2) % num
    same = [k for k in range(num) if y[k] == y[i] and k != i]
    other = [s[k] for k in range(num) if y[k] != y[i]]
    attract.append(np.mean([nce(s[k], other) for k in same]))
    spread.append(nce(s[j], [s[k] for k in same if k != j]))
  return alpha * np.mean(attract) + (1 - alpha) * np.mean(spread)


def _paco_inputs(rng):
  return {
    'queries': unit(rng.normal(size=(8, 5))).astype(np.float32),
    'others': unit(rng.normal(size=(6, 5))).astype(np.float32),
    'class_logits': rng.normal(size=(8, 4)).astype(np.float32),
    'labels': LABELS,
    'other_labels': np.array([0, 1, 1, 2, 3, 0]),
  }


def _paco(
  queries,
  others,
  class_logits,
  labels,
  other_labels,
  temperature=0.2,
  alpha=0.05,
  beta=1.0,
):
  rows = [*queries, *others]
  y = [*labels, *other_labels]
  terms = []
  for i, q in enumerate(queries):
    samples = [j for j in range(len(rows)) if j != i]
    logit = {j: q @ rows[j] / temperature for j in samples}
    log_z = math.log(
      sum(math.exp(x) for x in class_logits[i])
      + sum(math.exp(x) for x in logit.values())
    )
    same = [j for j in samples if y[j] == labels[i]]
    total = beta * (class_logits[i][labels[i]] - log_z)
    total += alpha * sum(logit[j] - log_z for j in same)
    terms.append(-total / (beta + alpha * len(same)))
  return np.mean(terms)


def _exemplar_inputs(rng):
  x = _paco_inputs(rng)
  return {
    'queries': x['queries'],
    'keys': rng.normal(size=(8, 5)).astype(np.float32),
    'queue': x['others'],
    'labels': LABELS,
    'queue_labels': x['other_labels'],
  }


def _exemplar(queries, keys, queue, labels, queue_labels, temperature=0.07):
  q, k = unit(queries), unit(keys)
  terms = []
  for i in range(len(q)):
    negatives = [
      q[i] @ n / temperature
      for n, y in zip(queue, queue_labels, strict=True)
      if y != labels[i]
    ]
    terms.append(nce(q[i] @ k[i] / temperature, negatives))
  return np.mean(terms)


CASES = [
  Case(
    losses.supcon,
    _features,
    _supcon,
    wrt=('features',),
    kwargs={'temperature': 0.5, 'base_temperature': 0.07},
  ),
  Case(
    losses.supcon,
    _features,
    _supcon,
    wrt=('features',),
    kwargs={'temperature': 0.5, 'form': 'in', 'contrast_mode': 'one'},
    name='supcon-in-one',
  ),
  Case(
    losses.supcon,
    _masked,
    _supcon,
    wrt=('features',),
    kwargs={'temperature': 0.5, 'form': 'in', 'count_lonely': False},
    name='supcon-in-mask',
  ),
  Case(
    losses.supcon,
    lambda rng: {
      'features': _features(rng)['features'][:, :1],
      'labels': LABELS,
    },
    _supcon,
    wrt=('features',),
    kwargs={'count_lonely': False},
    name='supcon-lonely',
  ),
  Case(losses.ubernce, _embeddings, _ubernce, wrt=('embeddings',)),
  Case(losses.ntxent_pairs, _embeddings, _ntxent_pairs, wrt=('embeddings',)),
  Case(
    losses.self_supcon,
    _features,
    _self_supcon,
    wrt=('features',),
    kwargs={'temperature': 0.3, 'weight': 0.5},
  ),
  Case(
    losses.l_spread,
    lambda rng: {**views(rng), 'labels': LABELS},
    _l_spread,
    wrt=('z1', 'z2'),
    kwargs={'alpha': 0.7},
  ),
  Case(
    losses.paco,
    _paco_inputs,
    _paco,
    wrt=('queries', 'others', 'class_logits'),
    replicated=('others', 'other_labels'),
    kwargs={'alpha': 0.3},
  ),
  Case(
    losses.exemplar_moco,
    _exemplar_inputs,
    _exemplar,
    wrt=('queries',),
    frozen=('keys', 'queue'),
    replicated=('queue', 'queue_labels'),
  ),
]
