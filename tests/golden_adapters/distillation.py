"""Golden adapters of sslax.losses.distillation."""

import jax.numpy as jnp

from sslax import losses
from sslax.ops.distance import normalize


def _byol(x, hp, form):
  del hp
  if form.startswith('official'):  # DeepMind: the sum of the two directions
    return {
      'loss': losses.byol(x['p0'], x['z1']) + losses.byol(x['p1'], x['z0'])
    }
  if form.startswith('htdt'):  # no stop-gradient on the target
    gap = normalize(x['p']) - normalize(x['z'])
    return {'loss': jnp.mean(jnp.sum(gap * gap, -1))}
  return {'loss': losses.byol(x['p'], x['z'])}


def _negative_cosine(x, hp, form):
  del hp, form
  if 'p0' in x:
    forward = losses.negative_cosine(x['p0'], x['z1'])
    return {'loss': (forward + losses.negative_cosine(x['p1'], x['z0'])) / 2}
  return {'loss': losses.negative_cosine(x['p'], x['z'])}


ADAPTERS = {'byol': _byol, 'negative_cosine': _negative_cosine}
