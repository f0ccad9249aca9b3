"""What is kept on this machine between runs, to start sooner."""

import os
import pathlib

_SECONDS = '0.5'  # programs that compile faster are not worth a file


def folder(name: str) -> pathlib.Path:
  """Returns sslax/NAME below $XDG_CACHE_HOME or ~/.cache.

  Args:
    name: of what is kept.
  """
  home = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  return pathlib.Path(home) / 'sslax' / name


def keep_compiled_programs() -> None:
  """Lets jax keep compiled programs on disk, where it was told nothing else.

  To be called before jax is imported; $JAX_COMPILATION_CACHE_DIR names another
  folder, and an empty one keeps nothing.
  """
  kept = str(folder('compiled'))
  os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', kept)
  seconds = 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'
  os.environ.setdefault(seconds, _SECONDS)
