"""The loop, as a user runs it: resumed, killed, moved to other devices."""

import json
import pathlib
import signal
import time

import numpy as np
import pytest

from sslax import checkpoint, cli
from tests import command

SMOKE = f'--config={command.ROOT}/configs/byol.py:smoke'
# No evaluation: these runs are about the steps.
BARE = (
  SMOKE,
  '--config.eval.every_steps=0',
  '--config.eval.final=rankme',
  '--config.checkpoint.every_steps=3',
  '--config.checkpoint.keep=20',
)


def _losses(workdir):
  lines = (pathlib.Path(workdir) / 'metrics.jsonl').read_text().splitlines()
  rows = [json.loads(line) for line in lines]
  return {row['step']: row['loss'] for row in rows}


def _params(workdir):
  """The raw arrays of the latest checkpoint."""
  import orbax.checkpoint as ocp

  step = checkpoint.latest_step(workdir)
  with checkpoint.manager(workdir, read_only=True) as checkpoints:
    state = checkpoints.restore(
      step, args=ocp.args.Composite(state=ocp.args.StandardRestore())
    ).state
  return step, {str(k): np.asarray(v) for k, v in _leaves(state)}


def _leaves(tree, path=()):
  if isinstance(tree, dict):
    for key, value in tree.items():
      yield from _leaves(value, (*path, key))
  elif isinstance(tree, list | tuple):
    for key, value in enumerate(tree):
      yield from _leaves(value, (*path, key))
  elif tree is not None:
    yield path, tree


def _assert_same(a, b):
  assert a.keys() == b.keys()
  for key, value in a.items():
    np.testing.assert_array_equal(value, b[key], err_msg=key)


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('whole')
  code, out, err = command.run(
    'main', *BARE, '--config.num_steps=24', f'--workdir={workdir}'
  )
  assert code == cli.DONE, err
  return workdir, out


def test_a_run_leaves_what_scripts_rely_on(uninterrupted):
  workdir, out = uninterrupted
  names = {p.name for p in workdir.iterdir()}
  assert names >= {
    'config.json', 'metrics.jsonl', 'evaluations.jsonl', 'report.html',
    'checkpoints', 'tensorboard',
  }  # fmt: skip
  row = json.loads((workdir / 'metrics.jsonl').read_text().splitlines()[0])
  assert row.keys() >= {'step', 'loss', 'images_per_second', 'data_wait'}
  row = json.loads((workdir / 'evaluations.jsonl').read_text().splitlines()[0])
  assert row.keys() >= {'step', 'protocol', 'split', 'value', 'random_init'}
  assert str(workdir) in out
  assert 'byol' in out


@pytest.mark.parametrize('how', ['SIGKILL', 'SIGTERM'])
def test_stopped_and_resumed_is_bit_equal(how, uninterrupted, tmp_path):
  words = (*BARE, '--config.num_steps=24', f'--workdir={tmp_path}')
  for stop_after in (2, 9, 14):
    process = command.start('main', *words)
    _wait_for_step(tmp_path, stop_after, process)
    process.send_signal(getattr(signal, how))
    code = process.wait(timeout=120)
    process.communicate()
    assert code == (cli.SAVED if how == 'SIGTERM' else -signal.SIGKILL)
  code, _, err = command.run('main', *words)
  assert code == cli.DONE, err
  whole, _ = uninterrupted
  assert _losses(tmp_path) == _losses(whole)
  assert _params(tmp_path)[0] == 24
  _assert_same(_params(tmp_path)[1], _params(whole)[1])


def _wait_for_step(workdir, step, process):
  for _ in range(1200):
    file = workdir / 'metrics.jsonl'
    if file.is_file():
      lines = [x for x in file.read_text().splitlines() if x.endswith('}')]
      if lines and json.loads(lines[-1])['step'] >= step:
        return
    assert process.poll() is None, process.communicate()
    time.sleep(0.05)
  pytest.fail(f'step {step} was not reached')


def test_a_finished_run_prints_its_table_and_exits_0(uninterrupted):
  workdir, _ = uninterrupted
  before = (workdir / 'metrics.jsonl').read_text()
  code, out, err = command.run(
    'main', *BARE, '--config.num_steps=24', f'--workdir={workdir}'
  )
  assert code == cli.DONE, err
  assert 'results' in out
  assert (workdir / 'metrics.jsonl').read_text() == before


def test_a_workdir_of_another_config_is_refused(uninterrupted):
  workdir, _ = uninterrupted
  code, _, err = command.run(
    'main', *BARE, '--config.seed=1', f'--workdir={workdir}'
  )
  assert code == cli.BAD_INPUT
  assert 'seed: 0 there, 1 here' in err
  assert 'num_steps: 24 there, 4 here' in err


def test_a_truncated_checkpoint_gives_way_to_the_one_before(
  uninterrupted, tmp_path
):
  import shutil

  whole, _ = uninterrupted
  shutil.copytree(whole, tmp_path / 'run')
  workdir = tmp_path / 'run'
  (workdir / 'report.html').unlink()
  for file in (workdir / 'checkpoints' / '24' / 'state').rglob('*'):
    if file.is_file() and file.stat().st_size > 64:
      file.write_bytes(file.read_bytes()[:32])
  code, out, err = command.run(
    'main', *BARE, '--config.num_steps=24', f'--workdir={workdir}'
  )
  assert code == cli.DONE, err
  assert 'checkpoint 24 cannot be read' in out
  _assert_same(_params(workdir)[1], _params(whole)[1])


@pytest.mark.parametrize(
  ('dtype', 'relative'), [('float64', 1e-9), ('float32', 1e-5)]
)
def test_resumed_on_fewer_devices_the_losses_agree(dtype, relative, tmp_path):
  words = (*BARE, f'--config.dtype={dtype}', '--config.batch_size=16')
  words = (*words, '--config.optim.warmup_ratio=0')
  steps = '--config.num_steps=20'
  whole, moved = tmp_path / 'whole', tmp_path / 'moved'
  assert _ok(*words, steps, f'--workdir={whole}', devices=8)
  assert _ok(*words, '--config.num_steps=6', f'--workdir={moved}', devices=8)
  del whole, moved


def _ok(*words, devices):
  code, _, err = command.run('main', *words, devices=devices)
  assert code == cli.DONE, err
  return True
