"""Which checkpoints stay, and which are picked up."""

import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from sslax import checkpoint
from sslax.errors import BadInputError


def _save(tmp_path, scores, keep):
  with checkpoint.manager(tmp_path, keep=keep) as checkpoints:
    for step, score in scores.items():
      state = {'w': jnp.full((4,), step, jnp.float32)}
      checkpoint.save(checkpoints, step, state, about={'seed': 0}, score=score)
      checkpoints.wait_until_finished()
    return sorted(checkpoints.all_steps())


def test_the_latest_and_the_best_stay(tmp_path):
  scores = {1: 0.2, 2: 0.9, 3: 0.5, 4: 0.4, 5: 0.1}
  assert _save(tmp_path, scores, keep=2) == [2, 4, 5]
  assert checkpoint.latest_step(tmp_path) == 5


def test_the_latest_stays_whatever_its_score(tmp_path):
  assert _save(tmp_path, {1: 0.9, 2: 0.0}, keep=1) == [1, 2]
  assert _save(tmp_path / 'none', {1: 0.9, 2: None, 3: None}, keep=1) == [1, 3]


def test_one_made_half_is_never_picked_up(tmp_path):
  _save(tmp_path, {1: None, 2: None}, keep=2)
  half = checkpoint.folder(tmp_path) / '3.orbax-checkpoint-tmp-1'
  (half / 'state').mkdir(parents=True)
  assert checkpoint.latest_step(tmp_path) == 2
  with checkpoint.manager(tmp_path, keep=2) as checkpoints:
    assert checkpoints.latest_step() == 2
    like = {'w': jnp.zeros(4, jnp.float32)}
    restored = checkpoint.restore_latest(checkpoints, like)
  np.testing.assert_array_equal(restored['w'], np.full(4, 2, np.float32))


def test_none_that_can_be_read_is_said(tmp_path):
  _save(tmp_path, {1: None}, keep=1)
  for file in checkpoint.folder(tmp_path).rglob('*'):
    if file.is_file() and 'state' in str(file):
      file.write_bytes(b'')
  said = []
  with checkpoint.manager(tmp_path, keep=1) as checkpoints:
    like = {'w': jnp.zeros(4, jnp.float32)}
    with pytest.raises(BadInputError, match='none of the checkpoints'):
      checkpoint.restore_latest(checkpoints, like, said.append)
  assert 'checkpoint 1 cannot be read' in said[0]


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
  usage = shutil.disk_usage(tmp_path)._replace(free=2**20 + 15)
  monkeypatch.setattr(checkpoint.shutil, 'disk_usage', lambda path: usage)
  state = {'w': jnp.zeros((4,), jnp.float32)}  # 16 bytes
  with checkpoint.manager(tmp_path) as checkpoints:
    with pytest.raises(OSError, match='No space left') as raised:
      checkpoint.save(checkpoints, 1, state, about={})
    assert checkpoints.all_steps() == []
  assert raised.value.filename == str(tmp_path / 'checkpoints')
