"""Strict numerics on eight simulated devices, for every test."""

import gc
import os
import pathlib

from tests import command

os.environ['XLA_FLAGS'] = ' '.join((
    os.environ.get('XLA_FLAGS', ''),
    '--xla_force_host_platform_device_count=8',
    command.QUICK_TO_COMPILE,
))  # fmt: skip
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import jax
import pytest

_MOST_WORKERS = 4  # each holds its own compiled programs in memory

jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_numpy_dtype_promotion', 'strict')
jax.config.update('jax_default_matmul_precision', 'highest')
jax.config.update('jax_disable_most_optimizations', True)
jax.config.update('jax_compilation_cache_dir', command.CACHE)
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.3)

# Tracing makes many small objects that stay; looking through them for garbage
# after every 700, the default, takes a third of its time.
gc.set_threshold(10_000, 10, 10)


def pytest_addoption(parser):
  parser.addoption(
    '--golden-dir',
    default=str(command.ROOT / 'tests' / 'golden'),
    help='directory of golden .npz cases for tests/golden_test.py',
  )
  parser.addoption(
    '--write-graph-counts',
    action='store_true',
    help='write tests/graph_counts.json anew, with -n0',
  )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
  """Runs the whole suite on several cores where pytest-xdist is there."""
  option = config.option
  whole = config.args_source is not config.ArgsSource.ARGS
  if hasattr(config, 'workerinput'):  # this is one of them
    return
  if whole and getattr(option, 'numprocesses', 0) is None:
    option.numprocesses = min(os.cpu_count() or 1, _MOST_WORKERS)
    option.dist = 'loadgroup'


def pytest_collection_modifyitems(config, items):
  """Keeps together what shares a fixture of its module, so it is made once.

  That is a module, or in the tables of methods and losses one row.
  """
  if not config.pluginmanager.hasplugin('xdist'):
    return
  for item in items:
    row = getattr(item, 'callspec', None)
    row = '' if row is None else row.indices.get('compiled', '')
    item.add_marker(pytest.mark.xdist_group(f'{item.module.__name__}{row}'))


def pytest_collection_finish():
  """Leaves all modules out of every later search for garbage."""
  gc.freeze()


@pytest.fixture
def x64():
  """Runs the test with 64-bit types on."""
  with jax.enable_x64(True):
    yield


@pytest.fixture(scope='session')
def shared_data() -> pathlib.Path:
  """The folder of real data sets, or a skip that says what is missing."""
  path = pathlib.Path(
    os.environ.get('SSLAX_DATA', command.ROOT.parent / 'shared' / 'data')
  )
  if not path.is_dir():
    pytest.skip(f'real data sets are absent: no folder {path} (SSLAX_DATA)')
  return path
