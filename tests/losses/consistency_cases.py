"""Cases of sslax.losses.consistency."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.contrastive_cases import nce, unit, views


def _pairs(rng):
  z = views(rng)
  return {'queries': z['z1'], 'keys': z['z2']}


def _with_queue(rng):
  return {**_pairs(rng), 'queue': unit(rng.normal(size=(5, 6))).astype('f4')}


def _softmax(logits):
  e = [math.exp(x) for x in logits]
  return [x / sum(e) for x in e]


def _entropy(p, q):
  return -sum(a * math.log(b) for a, b in zip(p, q, strict=True))


def _ressl(
  queries, keys, queue, student_temperature=0.1, teacher_temperature=0.04
):
  return np.mean(
    [
      _entropy(
        _softmax([k @ n / teacher_temperature for n in queue]),
        _softmax([q @ n / student_temperature for n in queue]),
      )
      for q, k in zip(queries, keys, strict=True)
    ]
  )


def _unit_with_queue(rng):
  return {k: unit(v).astype('f4') for k, v in _with_queue(rng).items()}


def _clsa_inputs(rng):
  x = _with_queue(rng)
  return {
    'weak': x['queries'],
    'strong': rng.normal(size=(8, 6)).astype('f4'),
    'keys': x['keys'],
    'queue': x['queue'],
  }


def _clsa(weak, strong, keys, queue, temperature=0.2):
  rows = [*unit(keys), *queue]
  return np.mean(
    [
      _entropy(
        _softmax([w @ c / temperature for c in rows]),
        _softmax([s @ c / temperature for c in rows]),
      )
      for w, s in zip(unit(weak), unit(strong), strict=True)
    ]
  )


def _kl(p, q):
  return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def _co2(queries, keys, queue, temperature=0.04):
  terms = []
  for q, k in zip(unit(queries), unit(keys), strict=True):
    a = _softmax([k @ n / temperature for n in queue])
    b = _softmax([q @ n / temperature for n in queue])
    terms.append((_kl(a, b) + _kl(b, a)) / 2)
  return np.mean(terms)


def _invariance(queries, keys, temperature=0.1):
  s = unit(queries) @ unit(keys).T / temperature
  return np.mean(
    [_kl(_softmax(s[:, i]), _softmax(s[i])) for i in range(len(s))]
  )


def _relic(queries, keys, temperature=0.1, weight=0.5):
  s = unit(queries) @ unit(keys).T / temperature
  contrast = [nce(s[i, i], np.delete(s[i], i)) for i in range(len(s))]
  return np.mean(contrast) + weight * _invariance(queries, keys, temperature)


CASES = [
  Case(
    losses.ressl,
    _unit_with_queue,
    _ressl,
    wrt=('queries',),
    frozen=('keys', 'queue'),
    replicated=('queue',),
  ),
  Case(
    losses.clsa,
    _clsa_inputs,
    _clsa,
    wrt=('strong',),
    frozen=('weak', 'keys', 'queue'),
    replicated=('queue',),
  ),
  Case(
    losses.co2,
    _with_queue,
    _co2,
    wrt=('queries',),
    frozen=('keys', 'queue'),
    replicated=('queue',),
    kwargs={'temperature': 0.2},
  ),
  Case(losses.relic, _pairs, _relic, wrt=('queries', 'keys')),
  Case(
    losses.relic_invariance,
    _pairs,
    _invariance,
    wrt=('queries', 'keys'),
    kwargs={'temperature': 0.5},
  ),
]
