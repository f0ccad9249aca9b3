"""The loop, as a user runs it: resumed, killed, moved to other devices."""

import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from sslax import checkpoint, cli, experiment, log, sharding
from sslax import config as config_lib
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


def test_killed_and_resumed_is_bit_equal(uninterrupted, tmp_path):
  words = (*BARE, '--config.num_steps=24', f'--workdir={tmp_path}')
  for stop_after, how in ((3, 'SIGKILL'), (9, 'SIGTERM'), (14, 'SIGKILL')):
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


DOUBLE = ('dtype=float64', 'num_steps=20')


@pytest.fixture(autouse=True)
def _restored_x64():
  yield
  jax.config.update('jax_enable_x64', False)


def _run(workdir, *assignments, devices, stop_at=None):
  """Runs in this process on some of its devices; returns the exit code."""
  scalars = log.Log.scalars
  mesh = functools.partial(sharding.make_mesh, devices=jax.devices()[:devices])

  def then_stop(self, step, values):
    scalars(self, step, values)
    if step == stop_at:
      os.kill(os.getpid(), signal.SIGTERM)

  bare = [word.removeprefix('--config.') for word in BARE[1:]]
  recipe = config_lib.load(SMOKE.removeprefix('--config='))
  config = config_lib.override(recipe, [*bare, *assignments])
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sharding, 'make_mesh', mesh)
    patch.setattr(log.Log, 'scalars', then_stop)
    # These runs are about their steps.
    patch.setattr(experiment, '_evaluate', lambda *_: None)
    patch.setattr(experiment, '_finish', lambda *_: None)
    return experiment.run(config, workdir)


def test_a_truncated_checkpoint_gives_way_to_the_one_before(
  uninterrupted, tmp_path, capsys
):
  whole, _ = uninterrupted
  shutil.copytree(whole, tmp_path / 'run')
  workdir = tmp_path / 'run'
  (workdir / 'report.html').unlink()
  for file in (workdir / 'checkpoints' / '24' / 'state').rglob('*'):
    if file.is_file() and file.stat().st_size > 64:
      file.write_bytes(file.read_bytes()[:32])
  assert _run(workdir, 'num_steps=24', devices=1) == cli.DONE
  assert 'checkpoint 24 cannot be read' in capsys.readouterr().out
  assert list(_losses(workdir)) == list(range(24))
  assert _params(workdir)[0] == 24


@pytest.fixture(scope='module')
def on_eight_devices(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('eight')
  assert _run(workdir, *DOUBLE, devices=8) == cli.DONE
  return _losses(workdir)


def _assert_close(actual, expected, relative, num_steps):
  for step in range(num_steps):
    gap = abs(actual[step] - expected[step])
    assert gap <= relative * abs(expected[step]), (step, gap)


def test_stopped_on_eight_devices_and_resumed_on_four_and_one(
  on_eight_devices, tmp_path
):
  stops = [(8, 4, cli.SAVED), (4, 10, cli.SAVED), (1, None, cli.DONE)]
  for devices, stop_at, expected in stops:
    code = _run(tmp_path, *DOUBLE, devices=devices, stop_at=stop_at)
    assert code == expected
  _assert_close(_losses(tmp_path), on_eight_devices, 1e-9, 20)


def test_split_parameters_give_the_same_losses(on_eight_devices, tmp_path):
  _run(tmp_path, *DOUBLE, 'mesh.fsdp=4', devices=8)
  _assert_close(_losses(tmp_path), on_eight_devices, 1e-9, 20)


def test_in_float32_the_first_steps_agree_on_four_and_eight(tmp_path):
  losses = []
  for devices in (4, 8):
    _run(tmp_path / str(devices), 'num_steps=5', devices=devices)
    losses.append(_losses(tmp_path / str(devices)))
  _assert_close(*losses, 1e-5, 5)


def test_two_processes_of_four_devices_are_one_of_eight(
  on_eight_devices, tmp_path
):
  launcher = command.ROOT / 'launch' / 'local.py'
  words = [*BARE, *[f'--config.{w}' for w in DOUBLE], f'--workdir={tmp_path}']
  done = subprocess.run(
    [sys.executable, launcher, '--', '-m', 'sslax.main', *words],
    env=command.environment(devices=4),
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == cli.DONE, done.stderr
  _assert_close(_losses(tmp_path), on_eight_devices, 1e-9, 20)
  assert checkpoint.latest_step(tmp_path) == 20
  assert (tmp_path / 'report.html').is_file()
