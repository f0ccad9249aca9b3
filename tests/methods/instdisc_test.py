"""InstDisc: a bank row for each example, noise from all of them, one Z."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from sslax import losses, sharding
from sslax.errors import BadInputError
from sslax.methods import instdisc as instdisc_module
from sslax.ops.distance import normalize
from tests.methods import tiny

_EXAMPLES = 11
_INDEX = jnp.array([3, 0, 10, 7])


def _method(**kwargs):
  arguments = {
    'num_examples': _EXAMPLES, 'projection_size': 8, 'num_noise': 6
  }  # fmt: skip
  return instdisc_module.instdisc(tiny.encoder(), **{**arguments, **kwargs})


def _start(method):
  batch = {'views': tiny.views(batch=4)[:1], 'index': _INDEX}
  return (*method.init(jax.random.key(0), batch), batch)


def _embedded(params, state, view):
  x, _ = tiny.encoder().apply(
    params['encoder'], state.stats['encoder'], view, train=True
  )
  layer = params['projector']['linear1']
  return normalize(x @ layer['kernel'] + layer['bias'][None])


def test_only_the_rows_of_the_batch_follow_it():
  method = _method(momentum=0.75)
  params, state, batch = _start(method)
  _, (after, _) = tiny.call(method, params, state, batch)
  z = _embedded(params, state, batch['views'][0])
  expected = normalize(0.75 * state.bank[_INDEX] + 0.25 * z)
  np.testing.assert_allclose(after.bank[_INDEX], expected, atol=1e-6)
  others = np.setdiff1d(np.arange(len(state.bank)), _INDEX)
  np.testing.assert_array_equal(after.bank[others], state.bank[others])


def test_rows_that_only_pad_the_bank_are_never_drawn():
  method = _method(num_noise=500)
  params, state, batch = _start(method)
  assert state.bank.shape == (1024, 8)
  poisoned = state._replace(bank=state.bank.at[_EXAMPLES:].set(jnp.nan))
  value, (after, _) = tiny.call(method, params, poisoned, batch)
  assert np.isfinite(value)
  assert np.isfinite(after.bank[:_EXAMPLES]).all()


def test_all_examples_are_drawn():
  method = _method(num_noise=500)
  params, state, batch = _start(method)
  lost = state._replace(bank=state.bank.at[_EXAMPLES - 2].set(jnp.nan))
  value, _ = tiny.call(method, params, lost, batch)  # of none of the batch
  assert np.isnan(value)


def test_the_normalizer_is_set_by_the_first_batch_and_stays():
  method = _method(temperature=0.5, num_noise=4000)
  params, state, batch = _start(method)
  assert state.normalizer == 0
  _, (once, _) = tiny.call(method, params, state, batch)
  z = _embedded(params, state, batch['views'][0])
  scores = np.exp(z @ state.bank[:_EXAMPLES].T / 0.5)
  np.testing.assert_allclose(
    once.normalizer, scores.mean() * _EXAMPLES, rtol=0.02
  )
  moved = once._replace(bank=-once.bank)
  _, (twice, _) = tiny.call(method, params, moved, batch)
  assert twice.normalizer == once.normalizer


def _drawn(monkeypatch):
  """Records the rows that are drawn, where the loss is not compiled."""
  seen, scores = [], instdisc_module.memory_bank.scores

  def recorded(bank, indices, features, temperature):
    seen.append(indices)
    return scores(bank, indices, features, temperature)

  monkeypatch.setattr(instdisc_module.memory_bank, 'scores', recorded)
  return seen


def test_the_loss_is_the_official_one_plus_the_proximal_term(monkeypatch):
  params, state, batch = _start(_method())
  seen = _drawn(monkeypatch)
  values = []
  for weight in (0.0, 3.0):
    method = _method(proximal_weight=weight)
    value, (after, _) = method.loss(
      params, state, batch, rng=jax.random.key(5), step=0
    )
    values.append(value)
  assert seen[0].shape == (4, 7)
  np.testing.assert_array_equal(seen[0][:, 0], _INDEX)
  z = _embedded(params, state, batch['views'][0])
  expected = losses.instdisc_nce(
    z, state.bank[:_EXAMPLES], seen[0], after.normalizer
  )
  np.testing.assert_allclose(values[0], expected, rtol=1e-5)
  gap = np.square(z - state.bank[_INDEX]).sum(1).mean()
  np.testing.assert_allclose(values[1] - values[0], 3 * gap, rtol=1e-4)


def test_without_noise_all_rows_are_compared():
  method = _method(num_noise=0, temperature=0.5)
  params, state, batch = _start(method)
  value, (after, metrics) = tiny.call(method, params, state, batch)
  z = _embedded(params, state, batch['views'][0])
  every = jnp.arange(_EXAMPLES)
  rows = [jnp.roll(every, -i) for i in _INDEX]  # the own row first
  expected = losses.instdisc_softmax(
    z, state.bank, jnp.stack(rows), temperature=0.5
  )
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  assert (after.bank[_INDEX] != state.bank[_INDEX]).any()
  assert 'accuracy' in metrics


def test_the_bank_is_split_by_rows_over_all_devices():
  _, state, _ = _start(_method())
  mesh = sharding.make_mesh(2)
  placed = sharding.state_shardings(mesh, state)
  assert placed.bank.spec == PartitionSpec(sharding.BATCH_AXES)
  assert placed.normalizer.spec == PartitionSpec()


def test_without_the_number_of_examples_there_is_no_bank():
  with pytest.raises(BadInputError, match=r'data\.num_examples is 0'):
    _start(_method(num_examples=0))
