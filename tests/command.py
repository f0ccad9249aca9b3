"""What tests share of the processes that run sslax: this one, and others."""

import os
import pathlib

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
  flags = f'--xla_force_host_platform_device_count={devices} {QUICK_TO_COMPILE}'
  return {
    **os.environ,
    'PYTHONPATH': str(ROOT),
    'JAX_PLATFORMS': 'cpu',
    'XLA_FLAGS': flags,
    'JAX_DISABLE_MOST_OPTIMIZATIONS': '1',
    'JAX_DEFAULT_MATMUL_PRECISION': 'highest',
    'JAX_COMPILATION_CACHE_DIR': CACHE,
    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.3',
    'TF_CPP_MIN_LOG_LEVEL': '3',
  }
