"""Cases of sslax.losses: bank and aggregation."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.contrastive_cases import nce, unit

INDICES = np.arange(8)


def _rows(rng, num, dim=5):
  return unit(rng.normal(size=(num, dim))).astype(np.float32)


def _drawn(rng):
  """Each example's own row, and four others."""
  others = [rng.choice(np.delete(np.arange(10), i), 4) for i in INDICES]
  return np.concatenate([INDICES[:, None], np.array(others)], axis=1)


def _single(rng):
  return {
    'features': _rows(rng, 8),
    'bank': _rows(rng, 10),
    'indices': _drawn(rng),
  }


def _logits(features, bank, indices, temperature):
  return [
    [bank[j] @ f / temperature for j in row]
    for f, row in zip(features, indices, strict=True)
  ]


def _nce(features, bank, indices, normalizer, temperature=0.07, eps=0.0):
  noise, total = (indices.shape[1] - 1) / len(bank), 0.0
  for row in _logits(features, bank, indices, temperature):
    p = [math.exp(x) / normalizer for x in row]
    total -= math.log(p[0] / (p[0] + noise + eps))
    total -= sum(math.log(noise / (x + noise + eps)) for x in p[1:])
  return total / len(features)


def _softmax(features, bank, indices, temperature=0.07):
  rows = _logits(features, bank, indices, temperature)
  return np.mean([nce(row[0], row[1:]) for row in rows])


def _proximal(features, previous, weight=1.0):
  return weight * np.mean(
    [sum((f - v) ** 2) for f, v in zip(features, previous, strict=True)]
  )


def _two(names):
  def inputs(rng):
    first, second, bank1, bank2 = names
    return {
      first: _rows(rng, 8),
      second: _rows(rng, 8),
      bank1: _rows(rng, 10),
      bank2: _rows(rng, 10),
      'indices': _drawn(rng),
    }

  return inputs


def _cmc(z1, z2, bank1, bank2, indices, normalizers, temperature=0.07, eps=0.0):
  forward = _nce(z1, bank2, indices, normalizers[0], temperature, eps)
  return forward + _nce(z2, bank1, indices, normalizers[1], temperature, eps)


def _crd(student, teacher, student_bank, teacher_bank, indices, **options):
  s, t = unit(student), unit(teacher)
  return _cmc(s, t, student_bank, teacher_bank, indices, **options)


def _pirl(
  images,
  transformed,
  bank,
  indices,
  weight=0.5,
  temperature=0.07,
  normalizer=None,
):
  def one(x):
    if normalizer is None:
      return _softmax(unit(x), bank, indices, temperature)
    return _nce(unit(x), bank, indices, normalizer, temperature)

  return weight * one(transformed) + (1 - weight) * one(images)


def _clustered(rng):
  return {
    'features': _rows(rng, 8),
    'bank': _rows(rng, 12),
    'clusters': rng.integers(0, 4, size=(2, 12)),
    'indices': INDICES,
  }


def _local_aggregation(
  features, bank, clusters, indices, num_background, temperature=0.07, eps=1e-7
):
  terms = []
  for f, i in zip(features, indices, strict=True):
    e = [math.exp(v @ f / temperature) for v in bank]
    background = sorted(range(len(bank)), key=lambda j: -e[j])[:num_background]
    close = [j for j in background if any(c[j] == c[i] for c in clusters)]
    share = sum(e[j] for j in close) / sum(e[j] for j in background)
    terms.append(-math.log(share + eps))
  return np.mean(terms)


def _neighborhoods(rng):
  near = rng.uniform(size=(8, 12)) < 0.2
  near[INDICES, INDICES] = True
  return {
    'features': _rows(rng, 8),
    'bank': _rows(rng, 12),
    'neighborhoods': near,
  }


def _anchor_neighborhood(features, bank, neighborhoods, temperature=0.1):
  terms = []
  for f, near in zip(features, neighborhoods, strict=True):
    e = np.array([math.exp(v @ f / temperature) for v in bank])
    terms.append(-math.log(sum(e[near]) / sum(e)))
  return np.mean(terms)


def _labelled_bank(rng):
  labels = np.array([0, 1, 2, 0, 1, 2, 0, 3, 1, 2, 0, 1])  # 3 is alone
  return {
    'features': _rows(rng, 8),
    'bank': _rows(rng, 12),
    'labels': labels[:8],
    'bank_labels': labels,
    'indices': INDICES,
  }


def _snca(features, bank, labels, bank_labels, indices, temperature=0.05):
  terms = []
  for f, y, i in zip(features, labels, indices, strict=True):
    others = [j for j in range(len(bank)) if j != i]
    e = {j: math.exp(bank[j] @ f / temperature) for j in others}
    same = sum(e[j] for j in others if bank_labels[j] == y)
    if same:
      terms.append(-math.log(same / sum(e.values())))
  return np.mean(terms)


def _augmented(rng):
  features = unit(rng.normal(size=(8, 3, 5))).astype(np.float32)
  return {'features': features, 'bank': _rows(rng, 6)}


def _consistency(features, bank, temperature=0.07):
  terms = []
  for views in features:
    shares = []
    for f in views:
      e = [math.exp(v @ f / temperature) for v in bank]
      shares.append([x / sum(e) for x in e])
    terms += [
      sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
      for k, p in enumerate(shares)
      for j, q in enumerate(shares)
      if j != k
    ]
  return np.mean(terms)


def _improved(
  features, bank, positives, temperature=0.07, consistency_weight=1.0
):
  total, num = 0.0, features.shape[0] * features.shape[1]
  for views, group in zip(features, positives, strict=True):
    for f in views:
      e = [math.exp(v @ f / temperature) for v in bank]
      same = sum(x for x, member in zip(e, group, strict=True) if member)
      total -= math.log(same / sum(e)) / num
  consistency = _consistency(features, bank, temperature)
  return total + consistency_weight * consistency


def _grouped(rng):
  member = np.eye(8, 6, dtype=bool)
  member[6:, 0] = True
  return {**_augmented(rng), 'positives': member | member[::-1]}


CASES = [
  Case(
    losses.instdisc_nce,
    _single,
    _nce,
    wrt=('features',),
    frozen=('bank',),
    replicated=('bank',),
    kwargs={'normalizer': 30.0, 'temperature': 0.2, 'eps': 1e-3},
  ),
  Case(
    losses.instdisc_softmax,
    _single,
    _softmax,
    wrt=('features',),
    frozen=('bank',),
    replicated=('bank',),
  ),
  Case(
    losses.proximal,
    lambda rng: {'features': _rows(rng, 8), 'previous': _rows(rng, 8)},
    _proximal,
    wrt=('features',),
    frozen=('previous',),
    kwargs={'weight': 3.0},
  ),
  Case(
    losses.cmc_nce,
    _two(('z1', 'z2', 'bank1', 'bank2')),
    _cmc,
    wrt=('z1', 'z2'),
    frozen=('bank1', 'bank2'),
    replicated=('bank1', 'bank2'),
    kwargs={'normalizers': (30.0, 50.0), 'temperature': 0.2},
  ),
  Case(
    losses.crd,
    _two(('student', 'teacher', 'student_bank', 'teacher_bank')),
    _crd,
    wrt=('student', 'teacher'),
    frozen=('student_bank', 'teacher_bank'),
    replicated=('student_bank', 'teacher_bank'),
    kwargs={'normalizers': (30.0, 50.0), 'temperature': 0.2, 'eps': 1e-7},
  ),
  *(
    Case(
      losses.pirl,
      lambda rng: {
        'images': _rows(rng, 8) * 3,
        'transformed': _rows(rng, 8),
        'bank': _rows(rng, 10),
        'indices': _drawn(rng),
      },
      _pirl,
      wrt=('images', 'transformed'),
      frozen=('bank',),
      replicated=('bank',),
      kwargs={'weight': 0.7, 'normalizer': z, 'temperature': 0.2},
      name=f'pirl-{"nce" if z else "infonce"}',
    )
    for z in (None, 40.0)
  ),
  Case(
    losses.local_aggregation,
    _clustered,
    _local_aggregation,
    wrt=('features',),
    frozen=('bank',),
    replicated=('bank', 'clusters'),
    kwargs={'num_background': 7, 'temperature': 0.3},
  ),
  Case(
    losses.anchor_neighborhood,
    _neighborhoods,
    _anchor_neighborhood,
    wrt=('features',),
    frozen=('bank',),
    replicated=('bank',),
  ),
  Case(
    losses.snca,
    _labelled_bank,
    _snca,
    wrt=('features',),
    frozen=('bank',),
    replicated=('bank', 'bank_labels'),
  ),
  Case(
    losses.bank_consistency,
    _augmented,
    _consistency,
    wrt=('features',),
    frozen=('bank',),
    replicated=('bank',),
    kwargs={'temperature': 0.3},
  ),
  Case(
    losses.improved_bank,
    _grouped,
    _improved,
    wrt=('features',),
    frozen=('bank',),
    replicated=('bank',),
    kwargs={'temperature': 0.3, 'consistency_weight': 0.7},
  ),
]
