"""Cases of sslax.losses.regularizers."""

import math

import jax.numpy as jnp
import numpy as np

from sslax import losses
from tests.losses.case import Case

_MAP = np.random.default_rng(7).normal(size=(4, 3)).astype(np.float32)


def _tanh_net(x):
  return jnp.tanh(x @ jnp.asarray(_MAP, x.dtype))


def _perturbed(rng):
  inputs, direction = rng.normal(size=(2, 8, 4)).astype(np.float32)
  return {'inputs': inputs, 'direction': direction}


def _groups(rng):
  weights = rng.uniform(0.5, 1, 4)
  return {
    'losses': rng.uniform(0, 3, 16).astype(np.float32),
    'groups': rng.integers(0, 3, 16),  # group 3 is absent
    'weights': (weights / weights.sum()).astype(np.float32),
  }


def _maps(rng):
  probabilities = rng.dirichlet(np.full(3, 4.0), (8, 4, 5)).astype(np.float32)
  labels = np.kron(rng.integers(0, 3, (8, 2, 3)), np.ones((1, 2, 2), int))
  labels = labels[:, :, :5]
  labels[:, 1, 1] = 255
  return {'probabilities': probabilities, 'labels': labels}


def _softmax(row):
  exps = [math.exp(v) for v in row]
  return [e / sum(exps) for e in exps]


def _kl(p, q):
  return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def _vat(inputs, direction, logits_fn, radius, num_iterations=1):
  del logits_fn
  weights, total = _MAP.astype(np.float64), 0.0
  for x, d in zip(inputs, direction, strict=True):
    logits = np.tanh(x @ weights)
    jacobian = (1 - logits**2)[:, None] * weights.T
    p = np.array(_softmax(logits))
    hessian = jacobian.T @ (np.diag(p) - np.outer(p, p)) @ jacobian
    for _ in range(num_iterations):
      d = hessian @ d
      d = d / math.sqrt(sum(d**2))
    total += _kl(p, _softmax(np.tanh((x + radius * d) @ weights)))
  return total / len(inputs)


def _group_dro(losses, groups, weights, step_size):
  means = []
  for g in range(len(weights)):
    mine = [v for v, group in zip(losses, groups, strict=True) if group == g]
    means.append(sum(mine) / len(mine) if mine else 0.0)
  raised = [
    q * math.exp(step_size * m) for q, m in zip(weights, means, strict=True)
  ]
  return sum(q * m for q, m in zip(raised, means, strict=True)) / sum(raised)


def _clip(p):
  return min(max(p, 1e-4), 1.0)


def _affinity(probabilities, labels, margin=3.0, distance=1):
  terms = {True: [], False: []}
  b, h, w, num_classes = probabilities.shape
  offsets = (-distance, 0, distance)
  for n, i, j, di, dj in np.ndindex(b, h, w, 3, 3):
    k, m = i + offsets[di], j + offsets[dj]
    if (k, m) == (i, j) or not (0 <= k < h and 0 <= m < w):
      continue
    if labels[n, i, j] == 255 or labels[n, k, m] == 255:
      continue
    for c in range(num_classes):
      p, q = probabilities[n, k, m, c], probabilities[n, i, j, c]
      divergence = _clip(p) * math.log(_clip(p) / _clip(q))
      divergence += _clip(1 - p) * math.log(_clip(1 - p) / _clip(1 - q))
      differs = (labels[n, i, j] == c) != (labels[n, k, m] == c)
      terms[differs].append(
        max(0.0, margin - divergence) if differs else divergence
      )
  return sum(sum(t) / max(len(t), 1) for t in terms.values())


def _one_hot_maps():
  labels = np.arange(160).reshape(8, 4, 5) % 3
  return {'probabilities': np.eye(3, dtype=np.float32)[labels]}


CASES = [
  # No gradient through the clean prediction or the perturbation.
  *(
    Case(
      losses.vat,
      _perturbed,
      _vat,
      ('inputs',),
      kwargs={'logits_fn': _tanh_net, 'radius': 0.5, 'num_iterations': n},
      frozen=('direction',),
      semi_gradient=True,
      name=f'vat_{n}',
    )
    for n in (1, 3)
  ),
  # No gradient through the groups' weights.
  Case(
    losses.group_dro,
    _groups,
    _group_dro,
    ('losses',),
    kwargs={'step_size': 0.1},
    replicated=('weights',),
    semi_gradient=True,
  ),
  *(
    Case(
      losses.affinity_field,
      _maps,
      _affinity,
      ('probabilities',),
      kwargs={'margin': 1.0, 'distance': distance},
      constrained=True,
      hard={
        'one-hot': _one_hot_maps,
        'uniform': lambda: {
          'probabilities': np.full((8, 4, 5, 3), 1 / 3, np.float32)
        },
      },
      name=f'affinity_field_{distance}',
    )
    for distance in (1, 2)
  ),
]
