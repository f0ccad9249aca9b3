"""Barlow Twins: features become one and the same without the off-diagonal."""

import jax
import numpy as np

from sslax import config as config_lib
from sslax import optim
from sslax.methods.barlow_twins import barlow_twins
from sslax.nets import mlp
from tests.methods import toy

_STEPS = 90
_SIZE = 8  # of the embedding


def _method(weight):
  return barlow_twins(
    mlp(hidden=(32,), features=16),
    hidden_size=32,
    projection_size=_SIZE,
    off_diagonal_weight=weight,
  )


def test_features_are_alike_without_the_off_diagonal_term():
  healthy = toy.trained(_method(0.3), _STEPS, 0.02)
  alike = toy.trained(_method(1e-6), _STEPS, 0.02)
  pairs = _SIZE * (_SIZE - 1)
  assert healthy['off_diagonal'][-1] / 0.3 / pairs < 0.02
  assert alike['off_diagonal'][-1] / 1e-6 / pairs > 0.2
  # Both agree between the views, which therefore says nothing of collapse.
  assert max(healthy['on_diagonal'][-1], alike['on_diagonal'][-1]) < 0.5 * _SIZE


def test_the_official_recipe_moves_biases_at_their_own_rate():
  config = config_lib.load('barlow_twins:imagenet')
  chosen = {k: v for k, v in config.optim.items() if k != 'name'}
  chosen.update(warmup_steps=0, weight_decay=0.0)
  tx = optim.build('lars', batch_size=2048, num_steps=10, **chosen)
  params, _ = mlp(hidden=(4,), features=2).init(
    jax.random.key(0), np.ones((1, 3), np.float32)
  )
  with jax.numpy_dtype_promotion('standard'):
    updates, _ = tx.update(params, tx.init(params), params)
  rate = 2048 / 256
  scale, bias = params['norm1']['scale'], params['linear1']['kernel']
  np.testing.assert_allclose(
    updates['norm1']['scale'], -0.0048 * rate * scale, rtol=1e-5
  )
  np.testing.assert_allclose(
    updates['linear1']['kernel'], -0.2 * rate * 0.001 * bias, rtol=1e-5
  )
