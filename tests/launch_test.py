"""What stops one process of a run stops all, and the run goes on from there."""

import functools
import json
import subprocess
import sys

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from sslax import checkpoint, cli, experiment, sharding, train
from sslax import config as config_lib
from tests import command

LAUNCHER = command.ROOT / 'launch' / 'local.py'
SMOKE = f'{command.ROOT}/configs/byol.py:smoke'
ASSIGNMENTS = (
  'batch_size=8',
  'net.stage_sizes=(1,)',
  'eval.every_steps=0',
  'eval.final=rankme',
  'checkpoint.every_steps=3',
  'num_steps=12',
)
# The command, in which the last process gets a signal after a step.
SIGNALED = """
import os, signal, sys, time
import jax
from sslax import cli, experiment, log, main

which, at = getattr(signal, os.environ['SIGNAL']), int(os.environ['AT'])

def scalars(self, step, values, scalars=log.Log.scalars):
  scalars(self, step, values)
  if step == at and jax.process_index() == jax.process_count() - 1:
    os.kill(os.getpid(), which)
  if step >= at:
    time.sleep(0.4)  # the other is told once a second

log.Log.scalars = scalars
experiment._evaluate = experiment._finish = lambda *_: None
code = cli.run_main(main.main)
print(f'exit {code}\\n', end='', flush=True)
sys.exit(code)
"""
RAISING = """
import jax, sys
from jax.experimental import multihost_utils
from sslax import cli, hosts

def main(argv):
  hosts.initialize()
  multihost_utils.sync_global_devices('both are here')
  if jax.process_index() == 1:
    raise ValueError('only here')
  multihost_utils.sync_global_devices('never reached')

hosts._FAREWELL = 1
sys.exit(cli.run_main(main))
"""


def _launch(script, *words, **variables):
  """Runs two processes of one device; returns exit code, stdout, stderr."""
  flags = ('--processes=2', '--devices=1', '--')
  done = subprocess.run(
    [sys.executable, LAUNCHER, *flags, '-c', script, *words],
    env=command.environment() | variables,
    capture_output=True,
    text=True,
    timeout=300,
  )
  return done.returncode, done.stdout, done.stderr


def _run_here(workdir, compile_step=train.compile_step):
  """Runs to the end on two devices of this process."""
  two = functools.partial(sharding.make_mesh, devices=jax.devices()[:2])
  config = config_lib.override(config_lib.load(SMOKE), list(ASSIGNMENTS))
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sharding, 'make_mesh', two)
    patch.setattr(train, 'compile_step', compile_step)
    patch.setattr(experiment, '_evaluate', lambda *_: None)
    patch.setattr(experiment, '_finish', lambda *_: None)
    assert experiment.run(config, workdir) == cli.DONE


def _losses(workdir):
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  return {row['step']: row['loss'] for row in map(json.loads, lines)}


def _state(workdir):
  """The arrays of the last checkpoint."""
  args = ocp.args.Composite(state=ocp.args.StandardRestore())
  with checkpoint.manager(workdir, read_only=True) as checkpoints:
    return jax.tree.leaves(checkpoints.restore(12, args=args).state)


class _Spoiled:
  """A step that is also taken with NaN in one device's copy of parameters."""

  def __init__(self, at):
    self._left, self.metrics = at, None

  def compile_step(self, *args, compile_step=train.compile_step):
    step = compile_step(*args)

    def run(state, batch):
      if not self._left:
        self.metrics = step(self._spoiled(state), batch)[1]
      self._left -= 1
      return step(state, batch)

    return run

  def _spoiled(self, state):
    copy = jax.tree.map(lambda x: x.copy(), state)
    return copy._replace(params=jax.tree.map(self._spoiled_copy, state.params))

  def _spoiled_copy(self, x):
    copies = [shard.data for shard in x.addressable_shards]
    copies = [c.copy() for c in copies[:-1]] + [_nan(copies[-1])]
    return jax.make_array_from_single_device_arrays(x.shape, x.sharding, copies)


@jax.jit
def _nan(x):
  return x * float('nan')


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """A run without a stop, and what all devices saw of a NaN on one."""
  workdir = tmp_path_factory.mktemp('whole')
  spoiled = _Spoiled(at=5)
  _run_here(workdir, spoiled.compile_step)
  return workdir, spoiled.metrics


def test_a_nan_on_one_device_is_seen_by_all(whole):
  _, metrics = whole
  for name in ('loss', 'nonfinite'):
    seen = [np.asarray(s.data) for s in metrics[name].addressable_shards]
    assert len(seen) == 2
    np.testing.assert_array_equal(seen[0], seen[1])
  assert metrics['nonfinite'].item() == 1


def test_signals_to_one_process_stop_both_and_the_run_goes_on(whole, tmp_path):
  words = [f'--config.{word}' for word in ASSIGNMENTS]
  words += [f'--config={SMOKE}', f'--workdir={tmp_path}']

  code, out, err = _launch(SIGNALED, *words, SIGNAL='SIGTERM', AT='2')
  assert code == cli.SAVED, err
  assert out.count('exit 75') == 2
  stopped = checkpoint.latest_step(tmp_path)
  assert 3 <= stopped < 12
  assert list(_losses(tmp_path)) == list(range(stopped))

  code, out, err = _launch(SIGNALED, *words, SIGNAL='SIGKILL', AT='10')
  assert code not in (cli.DONE, cli.SAVED), err
  assert 'exit 0' not in out
  # That of step 9 may not have been whole yet.
  assert 6 <= checkpoint.latest_step(tmp_path) <= 9
  assert list(_losses(tmp_path)) == list(range(11))

  _run_here(tmp_path)
  assert _losses(tmp_path) == _losses(whole[0])
  for a, b in zip(_state(tmp_path), _state(whole[0]), strict=True):
    np.testing.assert_array_equal(a, b)


def test_an_exception_in_one_process_ends_the_other():
  code, _, err = _launch(RAISING)
  assert code == cli.FAILED, err
  assert 'error: ValueError: only here' in err


def test_the_launcher_ends_with_the_code_of_the_first_that_failed():
  script = """
import os, signal, time
if os.environ['JAX_PROCESS_ID'] == '0':
  time.sleep(2)
  os.kill(os.getpid(), signal.SIGABRT)
raise SystemExit(3)
"""
  assert _launch(script)[0] == cli.UNHEALTHY
