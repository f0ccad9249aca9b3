"""The loop, as a user runs it: resumed, killed, moved to other devices."""

import json
import pathlib
import signal
import subprocess
import sys
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


DOUBLE = (*BARE, '--config.dtype=float64', '--config.num_steps=20')


@pytest.fixture(scope='module')
def on_eight_devices(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('eight')
  code, _, err = command.run('main', *DOUBLE, f'--workdir={workdir}', devices=8)
  assert code == cli.DONE, err
  return _losses(workdir)


def _assert_close(actual, expected, relative, num_steps):
  for step in range(num_steps):
    gap = abs(actual[step] - expected[step])
    assert gap <= relative * abs(expected[step]), (step, gap)


def test_stopped_on_eight_devices_and_resumed_on_four_and_one(
  on_eight_devices, tmp_path
):
  words = (*DOUBLE, f'--workdir={tmp_path}')
  for devices, stop_after in ((8, 4), (4, 10)):
    process = command.start('main', *words, devices=devices)
    _wait_for_step(tmp_path, stop_after, process)
    process.terminate()
    assert process.wait(timeout=120) == cli.SAVED
    process.communicate()
  code, _, err = command.run('main', *words, devices=1)
  assert code == cli.DONE, err
  _assert_close(_losses(tmp_path), on_eight_devices, 1e-9, 20)


def test_two_processes_of_four_devices_are_one_of_eight(
  on_eight_devices, tmp_path
):
  _two_processes(*DOUBLE, f'--workdir={tmp_path}')
  _assert_close(_losses(tmp_path), on_eight_devices, 1e-9, 20)
  assert checkpoint.latest_step(tmp_path) == 20
  assert (tmp_path / 'report.html').is_file()


def _two_processes(*words):
  launcher = command.ROOT / 'launch' / 'local.py'
  done = subprocess.run(
    [sys.executable, launcher, '--', '-m', 'sslax.main', *words],
    env={**command.environment(), 'XLA_FLAGS': ''},
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == cli.DONE, done.stderr


def test_split_parameters_give_the_same_losses(on_eight_devices, tmp_path):
  words = (*DOUBLE, '--config.mesh.fsdp=4', f'--workdir={tmp_path}')
  code, _, err = command.run('main', *words, devices=8)
  assert code == cli.DONE, err
  _assert_close(_losses(tmp_path), on_eight_devices, 1e-9, 20)


def test_in_float32_the_first_steps_agree_on_four_and_eight(tmp_path):
  losses = []
  for devices in (4, 8):
    workdir = tmp_path / str(devices)
    words = (*BARE, '--config.num_steps=5', f'--workdir={workdir}')
    code, _, err = command.run('main', *words, devices=devices)
    assert code == cli.DONE, err
    losses.append(_losses(workdir))
  _assert_close(*losses, 1e-5, 5)
