"""SwAV: the official steps, the queue's start, and codes in equal parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import optim
from sslax.methods.swav import SwavState, swav
from sslax.nets import mlp
from tests.golden import steps_replay
from tests.methods import toy

# A batch norm takes away what the bias before it adds.
WITHOUT_GRADIENT = ("['projector']['linear1']['bias']",)
_PROTOTYPES = 'student.prototypes.kernel'


def _recorded(name):
  """The recording, its prototypes normalized, as they are after our steps."""
  arrays = dict(steps_replay.load(name).arrays)
  kernel = arrays[_PROTOTYPES]
  arrays[_PROTOTYPES] = kernel / np.linalg.norm(kernel, axis=1, keepdims=True)
  return steps_replay.Recording(arrays)


def _recorded_method(hyper):
  encoder = steps_replay.encoder(
    hyper('encoder_features'), hidden=hyper('hidden'), norm=True
  )
  return swav(
    encoder,
    num_prototypes=hyper('num_prototypes'),
    hidden_size=hyper('head_hidden'),
    projection_size=hyper('features'),
    temperature=hyper('temperature'),
    epsilon=hyper('epsilon'),
    num_iterations=hyper('sinkhorn_iterations'),
    queue_size=hyper('queue_length'),
    queue_wait_steps=hyper('queue_start_epoch'),
    frozen_steps=hyper('freeze_prototypes_steps'),
    dtype='float64',
  )


def _recorded_optimizer(recorded, held):
  hyper = recorded.hyper
  how = {
    'momentum': hyper('sgd_momentum'),
    'weight_decay': hyper('weight_decay'),
    'mask': 'all',
    'times': {p: optim.from_step(n) for p, n in held.items()},
  }
  rate = lambda step: jnp.asarray(recorded['learning_rate'])[step]  # noqa: E731
  if hyper('larc'):
    return optim.lars(
      rate,
      trust_coefficient=hyper('trust_coefficient'),
      eps=1e-8,
      separate_norms=True,
      **how,
    )
  return optim.sgd(rate, **how)


@pytest.mark.parametrize('name', ['swav', 'swav_larc'])
def test_five_steps_are_those_of_the_official_code(name, x64):
  recorded = _recorded(name)
  method = _recorded_method(recorded.hyper)
  state_at = lambda t: SwavState(  # noqa: E731
    recorded.tree('student_stats', t), recorded['queue'][t]
  )
  tx = _recorded_optimizer(recorded, method.held)
  steps = steps_replay.run(method, tx, recorded, lambda _: state_at(0))
  for i, after in enumerate(steps):
    steps_replay.assert_close(after.metrics['loss'], recorded['loss'][i])
    steps_replay.assert_close(after.params, recorded.tree('student', i + 1))
    steps_replay.assert_close(after.state, state_at(i + 1))


def _trained(num_iterations):
  """The last metrics of a short run on noisy observations of points."""
  method = swav(
    mlp(hidden=(32,), features=16),
    num_prototypes=16,
    hidden_size=16,
    projection_size=8,
    num_iterations=num_iterations,
  )
  metrics = toy.trained(method, num_steps=60, learning_rate=0.01)
  return {k: v[-1] for k, v in metrics.items()}


def test_equal_parts_keep_all_prototypes_in_use_and_nothing_else_does():
  with_sinkhorn, without = _trained(3), _trained(0)
  assert with_sinkhorn['prototypes_used'] > 12
  assert with_sinkhorn['embedding_std'] > 0.6
  assert without['prototypes_used'] == 1
  assert without['embedding_std'] < 0.5


def test_the_queue_takes_any_batch_and_waits_for_its_steps():
  method = swav(
    mlp(hidden=(), features=4, norm='none'),
    num_prototypes=5,
    hidden_size=16,
    projection_size=3,
    queue_size=10,  # no multiple of the batch of 4
    queue_wait_steps=2,
  )
  views = tuple(
    jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 3)), jnp.float32)
  )
  params, state = method.init(jax.random.key(0), {'views': views})
  loss = jax.jit(method.loss)
  for i, expected in enumerate([0, 0, 4, 8, 10]):
    _, (state, _) = loss(
      params, state, {'views': views}, rng=None, step=jnp.int32(i)
    )
    filled = jnp.any(state.queue != 0, -1)
    assert filled.sum(1).tolist() == [expected] * 2
    assert filled[:, :expected].all()  # the newest stand first
