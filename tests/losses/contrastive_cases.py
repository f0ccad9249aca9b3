"""Cases of sslax.losses.contrastive."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case


def unit(x):
  """Rows at unit norm."""
  return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def views(rng, dim=6):
  z1 = rng.normal(size=(8, dim))
  z2 = z1 + rng.normal(size=(8, dim))
  return {'z1': z1.astype(np.float32), 'z2': z2.astype(np.float32)}


def _pairs(rng):
  z = views(rng)
  return {'queries': z['z1'], 'keys': z['z2']}


def _queue(rng):
  return unit(rng.normal(size=(5, 6))).astype(np.float32)


def nce(positive, negatives):
  """−log of the positive's share, by the definition."""
  total = math.exp(positive) + sum(math.exp(n) for n in negatives)
  return -math.log(math.exp(positive) / total)


def _info_nce(
  queries,
  keys,
  negatives=None,
  weights=None,
  temperature=0.1,
  in_batch=True,
  normalize=True,
  symmetric=False,
):
  if normalize:
    queries, keys = unit(queries), unit(keys)
  score = np.eye(queries.shape[1]) if weights is None else weights
  total = 0.0
  for i, q in enumerate(queries):
    others = []
    if in_batch:
      others += [k for j, k in enumerate(keys) if j != i]
    if negatives is not None:
      others += list(negatives[i] if negatives.ndim == 3 else negatives)
    logits = [q @ score @ n / temperature for n in others]
    total += nce(q @ score @ keys[i] / temperature, logits)
  loss = total / len(queries)
  if symmetric:
    back = _info_nce(keys, queries, None, score.T, temperature, True, False)
    return (loss + back) / 2
  return loss


def anchors(z1, z2, temperature, normalize=True):
  """Yields (positive logit, negative logits) of each of the 2B embeddings."""
  if normalize:
    z1, z2 = unit(z1), unit(z2)
  z, num = np.concatenate([z1, z2]), len(z1)
  for i in range(2 * num):
    j = (i + num) % (2 * num)
    others = [k for k in range(2 * num) if k not in (i, j)]
    yield z[i] @ z[j] / temperature, [z[i] @ z[k] / temperature for k in others]


def ntxent(z1, z2, temperature=0.5, normalize=True):
  return np.mean(
    [nce(p, n) for p, n in anchors(z1, z2, temperature, normalize)]
  )


def _decoupled(z1, z2, temperature=0.1):
  terms = [
    -p + math.log(sum(math.exp(x) for x in n))
    for p, n in anchors(z1, z2, temperature)
  ]
  return np.mean(terms)


def _decoupled_weighted(z1, z2, temperature=0.1, sigma=0.5):
  s = [a @ b for a, b in zip(unit(z1), unit(z2), strict=True)]
  mean = sum(math.exp(x / sigma) for x in s) / len(s)
  w = [2 - math.exp(x / sigma) / mean for x in s] * 2
  terms = [
    -w[i] * p + math.log(sum(math.exp(x) for x in n))
    for i, (p, n) in enumerate(anchors(z1, z2, temperature))
  ]
  return np.mean(terms)


def _macl(z1, z2, temperature=0.1, alpha=0.5, threshold=0.0, eps=1e-8):
  mean = np.mean([p for p, _ in anchors(z1, z2, 1.0)])
  adapted = temperature * (1 + alpha * (mean - threshold))
  values = [nce(p, n) for p, n in anchors(z1, z2, adapted)]
  return np.mean([v / (1 - math.exp(-v) + eps) for v in values])


def _with_queue(name):
  return lambda rng: {**_pairs(rng), name: _queue(rng)}


CASES = [
  Case(
    losses.info_nce,
    _pairs,
    _info_nce,
    wrt=('queries', 'keys'),
    kwargs={'temperature': 0.3, 'symmetric': True},
    name='info_nce-symmetric',
  ),
  Case(
    losses.info_nce,
    lambda rng: {
      **_pairs(rng),
      'negatives': unit(rng.normal(size=(8, 3, 6))).astype(np.float32),
    },
    _info_nce,
    wrt=('queries', 'keys', 'negatives'),
    name='info_nce-own-negatives-and-batch',
  ),
  Case(
    losses.info_nce,
    lambda rng: {
      'queries': rng.normal(size=(8, 4)).astype(np.float32),
      'keys': rng.normal(size=(8, 6)).astype(np.float32),
      'weights': rng.normal(size=(4, 6)).astype(np.float32),
    },
    _info_nce,
    wrt=('queries', 'keys', 'weights'),
    replicated=('weights',),
    kwargs={'normalize': False, 'temperature': 2.0},
    name='info_nce-bilinear',
  ),
  Case(
    losses.ntxent,
    views,
    ntxent,
    wrt=('z1', 'z2'),
  ),
  Case(
    losses.ntxent,
    views,
    ntxent,
    wrt=('z1', 'z2'),
    kwargs={'temperature': 0.01},
    name='ntxent-cold',
  ),
  Case(
    losses.ntxent,
    views,
    ntxent,
    wrt=('z1', 'z2'),
    kwargs={'temperature': 2.0, 'normalize': False},
    name='ntxent-dot',
  ),
  Case(
    losses.moco,
    _with_queue('queue'),
    lambda queries, keys, queue: _info_nce(
      queries, keys, queue, temperature=0.07, in_batch=False
    ),
    wrt=('queries',),
    frozen=('keys', 'queue'),
    replicated=('queue',),
  ),
  Case(
    losses.mocov3,
    _pairs,
    lambda queries, keys: 0.4 * _info_nce(queries, keys, temperature=0.2),
    wrt=('queries',),
    frozen=('keys',),
  ),
  Case(losses.decoupled, views, _decoupled, wrt=('z1', 'z2')),
  Case(
    losses.decoupled_weighted,
    views,
    _decoupled_weighted,
    wrt=('z1', 'z2'),
    semi_gradient=True,  # the weights are held fixed
  ),
  Case(
    losses.directclr,
    views,
    lambda z1, z2, num_dims: ntxent(z1[:, :num_dims], z2[:, :num_dims], 0.1),
    wrt=('z1', 'z2'),
    kwargs={'num_dims': 3},
  ),
  Case(
    losses.macl,
    views,
    _macl,
    wrt=('z1', 'z2'),
    kwargs={'alpha': 0.7, 'threshold': 0.2},
    semi_gradient=True,  # temperature and 1/(1 − P) are held fixed
  ),
]
