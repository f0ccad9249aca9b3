"""How much memory a run has needed."""

import resource
import sys

import jax

_MIB = 2**20


def peak() -> float:
  """Returns the largest memory in use so far, in MiB.

  On accelerators the device's, of the first device of this process; on CPU,
  where there is no other, the process's.
  """
  stats = jax.local_devices()[0].memory_stats() or {}
  if 'peak_bytes_in_use' in stats:
    return stats['peak_bytes_in_use'] / _MIB
  used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return used / (_MIB if sys.platform == 'darwin' else 2**10)
