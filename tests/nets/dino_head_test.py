"""DINO's head: unit columns, and gains where they are learned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import optim
from sslax.errors import BadInputError
from sslax.nets.dino_head import dino_head

_X = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2, 6)), jnp.float32)


def _head(**arguments):
  return dino_head(hidden=(5, 5), bottleneck_size=4, features=7, **arguments)


def test_outputs_are_cosines_times_gains():
  head = _head(learned_gain=True)
  params, stats = head.init(jax.random.key(0), _X)
  assert np.all(params['last_layer']['gain'] == 1)
  cosines, _ = head.apply(params, stats, _X, train=True)
  assert cosines.shape == (3, 2, 7)
  assert np.all(np.abs(cosines) <= 1 + 1e-6)
  gain = jnp.arange(7, dtype=jnp.float32)[None]
  params['last_layer'] = {'kernel': 3 * params['last_layer']['kernel'],
                          'gain': gain}  # fmt: skip
  scaled, _ = head.apply(params, stats, _X, train=True)
  np.testing.assert_allclose(scaled, cosines * gain[None], atol=1e-6)


def test_gains_decay_as_in_the_official_code_and_biases_do_not():
  params, _ = _head(learned_gain=True).init(jax.random.key(0), _X)
  decays = optim.exclude_bias_and_norm(params)
  assert decays['last_layer'] == {'kernel': True, 'gain': True}
  assert decays['linear1'] == {'kernel': True, 'bias': False}
  params, _ = _head().init(jax.random.key(0), _X)
  assert list(params['last_layer']) == ['kernel']


def test_a_size_of_zero_is_refused():
  with pytest.raises(BadInputError, match='bottleneck_size=0'):
    dino_head(bottleneck_size=0)
