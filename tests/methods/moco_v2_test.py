"""MoCo: the official steps, the queue, and who is normalized with whom."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import optim
from sslax.methods.moco_v2 import MocoState, moco_v2
from sslax.nets import from_linen
from sslax.nets.norm import BatchNorm
from sslax.ops.distance import normalize
from sslax.ops.queue import Queue
from tests.golden import steps_replay
from tests.methods import tiny

_BATCH, _GROUPS, _WIDTH = 32, 16, 12


def _recorded_method(hyper):
  encoder = steps_replay.encoder(
    hyper('encoder_features'),
    hidden=hyper('hidden'),
    norm=hyper('batch_norm'),
  )
  return moco_v2(
    encoder,
    projection_size=hyper('features'),
    hidden_size=hyper('encoder_features'),
    queue_size=hyper('num_keys'),
    temperature=hyper('temperature'),
    momentum=hyper('momentum'),
    dtype='float64',
  )


def _recorded_optimizer(hyper):
  return optim.build(
    'sgd',
    learning_rate=hyper('learning_rate'),
    reference_batch_size=None,
    batch_size=hyper('batch_size'),
    num_steps=hyper('num_epochs'),
    momentum=hyper('sgd_momentum'),
    weight_decay=hyper('weight_decay'),
  )


def _recorded_state(recorded, at):
  """The official state once the teacher has followed the student."""
  teacher = recorded.tree('teacher', min(at + (at > 0), 5))
  if at == 5:
    teacher = recorded.tree('next_teacher', None)
  stats = [
    {'encoder': {}, 'projector': {}, **recorded.tree(f'{who}_stats', at)}
    for who in ('student', 'teacher')
  ]
  cursor = np.int32(recorded['queue_pointer'][at])
  return MocoState(
    stats[0], teacher, stats[1], Queue(recorded['queue'][at], cursor)
  )


@pytest.mark.parametrize('name', ['moco_v2', 'moco_v2_bn'])
def test_five_steps_are_those_of_the_official_code(name, x64):
  recorded = steps_replay.load(name)
  steps = steps_replay.run(
    _recorded_method(recorded.hyper),
    _recorded_optimizer(recorded.hyper),
    recorded,
    lambda _: _recorded_state(recorded, 0),
  )
  for i, after in enumerate(steps):
    steps_replay.assert_close(after.metrics['loss'], recorded['loss'][i])
    steps_replay.assert_close(after.params, recorded.tree('student', i + 1))
    steps_replay.assert_close(after.state, _recorded_state(recorded, i + 1))


def _method(**kwargs):
  arguments = {'projection_size': 4, 'hidden_size': 8, 'queue_size': 12}
  return moco_v2(tiny.encoder(), **{**arguments, **kwargs})


def test_the_newest_keys_take_the_place_of_the_oldest_around_the_end():
  method = _method()
  batch = {'views': tiny.views(batch=8)}
  params, state = method.init(jax.random.key(0), batch)
  _, (once, _) = tiny.call(method, params, state, batch)
  _, (twice, _) = tiny.call(method, params, once, batch)
  keys, old = once.queue.rows[:8], state.queue.rows
  np.testing.assert_array_equal(once.queue.rows[8:], old[8:])
  np.testing.assert_allclose(twice.queue.rows[8:], keys[:4], rtol=1e-6)
  np.testing.assert_allclose(twice.queue.rows[:4], keys[4:], rtol=1e-6)
  np.testing.assert_array_equal(twice.queue.rows[4:8], keys[4:])
  assert twice.queue.cursor == 4


def test_shuffled_rows_come_back_to_their_queries():
  batch = {'views': tiny.views()}
  params, state = _method().init(jax.random.key(0), batch)
  values = [
    tiny.call(_method(shuffle=shuffle), params, state, batch)[0]
    for shuffle in (True, False)
  ]
  np.testing.assert_allclose(*values, rtol=1e-6)


class _Normalized(nn.Module):
  """Images as they are, batch-normalized in groups."""

  @nn.compact
  def __call__(self, inputs, train):
    x = inputs.reshape(len(inputs), -1)
    return BatchNorm('float32', num_groups=_GROUPS)(x, train)


def _half_shared_views(seed):
  """Views of noise: odd rows are the same in both, even rows have no pair."""
  first, second = jax.random.normal(
    jax.random.key(seed), (2, _BATCH, 2, 2, _WIDTH // 4)
  )
  odd = jnp.arange(_BATCH).reshape(-1, 1, 1, 1) % 2 == 1
  return first, jnp.where(odd, first, second)


def _leak(shuffle):
  """How much more like its own key than like others' an even query is.

  Nothing in the image can tell; its own group's statistics could.
  """
  encoder = from_linen(_Normalized())
  method = moco_v2(
    encoder,
    projection_size=_WIDTH,
    hidden_size=0,
    queue_size=_BATCH,
    shuffle=shuffle,
  )
  batch = {'views': _half_shared_views(0)}
  params, state = method.init(jax.random.key(0), batch)
  params['projector']['linear1']['kernel'] = jnp.eye(_WIDTH)
  state = state._replace(teacher=params)
  group = np.arange(0, _BATCH, 2) // (_BATCH // _GROUPS)

  @jax.jit
  def gap(seed):
    views = _half_shared_views(seed)
    _, (after, _) = method.loss(
      params, state, {'views': views}, rng=jax.random.key(seed), step=0
    )
    queries, _ = encoder.apply(
      params['encoder'], state.stats['encoder'], views[0], train=True
    )
    similarity = normalize(queries)[::2] @ after.queue.rows[::2].T
    others = similarity[group[:, None] != group]
    return jnp.diagonal(similarity).mean() - others.mean()

  return float(np.mean([gap(seed) for seed in range(40)]))


def test_only_shuffling_hides_who_was_normalized_together():
  assert _leak(shuffle=False) > 0.2
  assert abs(_leak(shuffle=True)) < 0.04
