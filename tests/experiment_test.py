"""The loop, as a user runs it: resumed, killed, moved to other devices.

A process of its own costs seconds before its first step, so there is one where
that is the point; the others run in this one, on some of its devices.
"""

import contextlib
import functools
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from sslax import checkpoint, cli, experiment, log, main, sharding
from sslax import config as config_lib
from tests import command

SMOKE = f'--config={command.ROOT}/configs/byol.py:smoke'
# No evaluation on the way: these runs are about the steps.
BARE = (
  SMOKE,
  '--config.batch_size=8',
  '--config.net.stage_sizes=(1,)',
  '--config.eval.every_steps=0',
  '--config.eval.final=rankme',
  '--config.checkpoint.every_steps=3',
  '--config.checkpoint.keep=20',
)
WHOLE = (*BARE, '--config.num_steps=12')


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


@contextlib.contextmanager
def _devices(num):
  """Runs in this process take its first devices for all that there are."""
  first = functools.partial(sharding.make_mesh, devices=jax.devices()[:num])
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sharding, 'make_mesh', first)
    yield patch


def _main(*words):
  """Runs the command on one device; returns its exit code, stdout, stderr."""
  out, err = io.StringIO(), io.StringIO()
  with (
    _devices(1),
    contextlib.redirect_stdout(out),
    contextlib.redirect_stderr(err),
  ):
    code = cli.run_main(main.main, words)
  return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('whole')
  code, out, err = _main(*WHOLE, f'--workdir={workdir}')
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


_KILLED = """
import os, signal, sys
from sslax import log, main

def scalars(self, step, values, scalars=log.Log.scalars):
  scalars(self, step, values)
  if step == 4:
    os.kill(os.getpid(), signal.SIGKILL)

log.Log.scalars = scalars
main.main(sys.argv[1:])
"""


def test_killed_and_resumed_is_bit_equal(uninterrupted, tmp_path):
  killed = subprocess.run(
    [sys.executable, '-c', _KILLED, *WHOLE, f'--workdir={tmp_path}'],
    env=command.environment(),
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert killed.returncode == -signal.SIGKILL, killed.stderr
  assert list(_losses(tmp_path)) == [0, 1, 2, 3, 4]
  for stop_at, expected in ((7, cli.SAVED), (None, cli.DONE)):
    code = _run(tmp_path, 'num_steps=12', devices=1, stop_at=stop_at)
    assert code == expected
  whole, _ = uninterrupted
  assert _losses(tmp_path) == _losses(whole)
  assert _params(tmp_path)[0] == 12
  _assert_same(_params(tmp_path)[1], _params(whole)[1])


def test_a_finished_run_prints_its_table_and_exits_0(uninterrupted):
  workdir, _ = uninterrupted
  before = (workdir / 'metrics.jsonl').read_text()
  code, out, err = _main(*WHOLE, f'--workdir={workdir}')
  assert code == cli.DONE, err
  assert 'results' in out
  assert (workdir / 'metrics.jsonl').read_text() == before


def test_a_workdir_of_another_config_is_refused(uninterrupted):
  workdir, _ = uninterrupted
  code, _, err = _main(*BARE, '--config.seed=1', f'--workdir={workdir}')
  assert code == cli.BAD_INPUT
  assert 'seed: 0 there, 1 here' in err
  assert 'num_steps: 12 there, 4 here' in err


DOUBLE = ('dtype=float64', 'num_steps=10')


@pytest.fixture(autouse=True)
def _restored_x64():
  yield
  jax.config.update('jax_enable_x64', False)


def _run(workdir, *assignments, devices, stop_at=None):
  """Runs in this process on some of its devices; returns the exit code."""
  scalars = log.Log.scalars

  def then_stop(self, step, values):
    scalars(self, step, values)
    if step == stop_at:
      os.kill(os.getpid(), signal.SIGTERM)

  bare = [word.removeprefix('--config.') for word in BARE[1:]]
  recipe = config_lib.load(SMOKE.removeprefix('--config='))
  config = config_lib.override(recipe, [*bare, *assignments])
  with _devices(devices) as patch:
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
  for file in (workdir / 'checkpoints' / '12' / 'state').rglob('*'):
    if file.is_file() and file.stat().st_size > 64:
      file.write_bytes(file.read_bytes()[:32])
  assert _run(workdir, 'num_steps=12', devices=1) == cli.DONE
  assert 'checkpoint 12 cannot be read' in capsys.readouterr().out
  assert list(_losses(workdir)) == list(range(12))
  assert _params(workdir)[0] == 12


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
  stops = [(8, 3, cli.SAVED), (4, 6, cli.SAVED), (1, None, cli.DONE)]
  for devices, stop_at, expected in stops:
    code = _run(tmp_path, *DOUBLE, devices=devices, stop_at=stop_at)
    assert code == expected
  _assert_close(_losses(tmp_path), on_eight_devices, 1e-9, 10)


def test_split_parameters_give_the_same_losses(on_eight_devices, tmp_path):
  _run(tmp_path, *DOUBLE, 'mesh.fsdp=4', devices=8)
  _assert_close(_losses(tmp_path), on_eight_devices, 1e-9, 10)


def test_in_float32_the_first_steps_agree_on_one_and_eight(
  uninterrupted, tmp_path
):
  whole, _ = uninterrupted
  _run(tmp_path, 'num_steps=12', devices=8, stop_at=4)
  _assert_close(_losses(tmp_path), _losses(whole), 1e-5, 5)


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
  _assert_close(_losses(tmp_path), on_eight_devices, 1e-9, 10)
  assert checkpoint.latest_step(tmp_path) == 10
  assert (tmp_path / 'report.html').is_file()
