"""MoCo: the official steps, the queue, and who is normalized with whom."""

import numpy as np
import pytest

from sslax import optim
from sslax.methods.moco_v2 import MocoState, moco_v2
from sslax.ops.queue import Queue
from tests.golden import steps_replay


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
