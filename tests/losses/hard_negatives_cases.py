"""Cases of sslax.losses.hard_negatives."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.contrastive_cases import anchors, nce, unit, views


def _hcl(z1, z2, temperature=0.5, class_prior=0.1, concentration=1.0):
  terms = []
  for positive, others in anchors(z1, z2, temperature):
    weights = [math.exp(concentration * x) for x in others]
    mean = sum(
      w * math.exp(x) for w, x in zip(weights, others, strict=True)
    ) / sum(weights)
    own = math.exp(positive)
    g = (mean - class_prior * own) / (1 - class_prior)
    g = max(g, math.exp(-1 / temperature))
    terms.append(-math.log(own / (own + len(others) * g)))
  return np.mean(terms)


def _pairs(rng):
  z = views(rng)
  return {
    'queries': z['z1'],
    'keys': z['z2'],
    'queue': unit(rng.normal(size=(5, 6))).astype(np.float32),
  }


def _ifm(queries, keys, queue, temperature=0.2, epsilon=0.1):
  q, k = unit(queries), unit(keys)
  return np.mean(
    [
      nce(
        (q[i] @ k[i] - epsilon) / temperature,
        [(q[i] @ n + epsilon) / temperature for n in queue],
      )
      for i in range(len(q))
    ]
  )


def _with_synthetic(rng):
  synthetic = unit(rng.normal(size=(8, 3, 6))).astype(np.float32)
  return {**_pairs(rng), 'synthetic': synthetic}


def _mochi(queries, keys, queue, synthetic, temperature=0.2):
  q, k = unit(queries), unit(keys)
  return np.mean(
    [
      nce(
        q[i] @ k[i] / temperature,
        [q[i] @ n / temperature for n in (*queue, *synthetic[i])],
      )
      for i in range(len(q))
    ]
  )


def _with_shares(rng):
  return {
    **_pairs(rng),
    'positive_share': (1 + rng.uniform(size=8)).astype(np.float32),
    'queue_shares': rng.uniform(size=5).astype(np.float32),
    'permutation': rng.permutation(5),
  }


def _feature_transformation(
  queries,
  keys,
  queue,
  positive_share,
  queue_shares,
  permutation,
  temperature=0.2,
):
  q, k, terms = unit(queries), unit(keys), []
  for i, share in enumerate(positive_share):
    far_q = share * q[i] + (1 - share) * k[i]
    far_k = share * k[i] + (1 - share) * q[i]
    negatives = [
      q[i] @ (w * queue[j] + (1 - w) * queue[permutation[j]]) / temperature
      for j, w in enumerate(queue_shares)
    ]
    terms.append(nce(far_q @ far_k / temperature, negatives))
  return np.mean(terms)


def _with_false(rng):
  return {**views(rng), 'false_negatives': rng.uniform(size=(16, 16)) < 0.2}


def _fnc(z1, z2, false_negatives, temperature=0.1, attract=False):
  z, num, terms = unit(np.concatenate([z1, z2])), 2 * len(z1), []
  for i in range(num):
    j = (i + num // 2) % num
    s = [z[i] @ z[k] / temperature for k in range(num)]
    others = [k for k in range(num) if k not in (i, j)]
    false = [k for k in others if false_negatives[i, k]]
    if attract:
      all_but_self = [x for k, x in enumerate(s) if k != i]
      log_z = math.log(sum(math.exp(x) for x in all_but_self))
      terms.append(-np.mean([s[p] - log_z for p in [j, *false]]))
    else:
      terms.append(nce(s[j], [s[k] for k in others if k not in false]))
  return np.mean(terms)


CASES = [
  Case(
    losses.debiased,
    views,
    lambda z1, z2, **options: _hcl(z1, z2, concentration=0.0, **options),
    wrt=('z1', 'z2'),
  ),
  Case(losses.hcl, views, _hcl, wrt=('z1', 'z2')),
  Case(
    losses.hcl,
    views,
    _hcl,
    wrt=('z1', 'z2'),
    kwargs={'class_prior': 0.5, 'concentration': 0.3},  # some at the floor
    name='hcl-clamped',
  ),
  Case(
    losses.hcl,
    views,
    _hcl,
    wrt=('z1', 'z2'),
    kwargs={'temperature': 0.01, 'class_prior': 0.0},
    name='hcl-cold',
  ),
  Case(
    losses.ifm,
    _pairs,
    _ifm,
    wrt=('queries',),
    frozen=('keys', 'queue'),
    replicated=('queue',),
  ),
  Case(
    losses.mochi,
    _with_synthetic,
    _mochi,
    wrt=('queries',),
    frozen=('keys', 'queue', 'synthetic'),
    replicated=('queue',),
  ),
  Case(
    losses.feature_transformation,
    _with_shares,
    _feature_transformation,
    wrt=('queries',),
    frozen=('keys', 'queue'),
    replicated=('queue', 'queue_shares', 'permutation'),
  ),
  *(
    Case(
      losses.fnc,
      _with_false,
      _fnc,
      wrt=('z1', 'z2'),
      kwargs={'attract': attract},
      name=f'fnc-{"attract" if attract else "eliminate"}',
    )
    for attract in (False, True)
  ),
]
