"""Runs a command of sslax as a user would: another process."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
# Of compiled programs; set the variable to measure with an empty one.
CACHE = os.environ.get('JAX_COMPILATION_CACHE_DIR', str(ROOT / '.jax_cache'))
# Compile time is the test budget: the older emitter of fusions, in one piece,
# halves it.
QUICK_TO_COMPILE = (
  '--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1'
)


def environment(devices: int = 1) -> dict[str, str]:
  """Variables of a quick process with so many simulated devices."""
  flags = (
    f'--xla_force_host_platform_device_count={devices} {QUICK_TO_COMPILE}'
    ' --xla_backend_optimization_level=0'
    ' --xla_llvm_disable_expensive_passes=true'
  )
  return {
    **os.environ,
    'PYTHONPATH': str(ROOT),
    'JAX_PLATFORMS': 'cpu',
    'XLA_FLAGS': flags,
    'JAX_COMPILATION_CACHE_DIR': CACHE,
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.3',
    'TF_CPP_MIN_LOG_LEVEL': '3',
  }


def start(module: str, *words: str, devices: int = 1) -> subprocess.Popen:
  """Starts `python -m sslax.MODULE WORDS`."""
  return subprocess.Popen(
    [sys.executable, '-m', f'sslax.{module}', *map(str, words)],
    env=environment(devices),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def run(module: str, *words: str, devices: int = 1):
  """Runs a command to its end; returns exit code, stdout and stderr."""
  process = start(module, *words, devices=devices)
  out, err = process.communicate(timeout=300)
  return process.returncode, out, err
