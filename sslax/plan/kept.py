"""Compiled programs on disk, so that a plan is made once."""

import gzip
import hashlib
import importlib.metadata
import json
import os
import pathlib
import tempfile
from typing import NamedTuple

import sslax
from sslax import cache
from sslax import config as config_lib

_PACKAGES = ('jax', 'jaxlib', 'libtpu', 'flax', 'optax')


class Compiled(NamedTuple):
  """What a compiler said of a step.

  Attributes:
    text: the compiled program; empty where it did not fit.
    memory: bytes, by jax's names without `_in_bytes`.
    refusal: the compiler's sentence where the step needs too much memory.
    seconds: CPU time of compiling.
    versions: package -> version.
  """

  text: str
  memory: dict[str, int]
  refusal: str
  seconds: float
  versions: dict[str, str]


def folder() -> pathlib.Path:
  """Returns the cache: sslax/plans below XDG_CACHE_HOME or ~/.cache."""
  return cache.folder('plans')


def versions() -> dict[str, str]:
  """Returns the versions on which a compiled program depends."""
  found = {}
  for name in _PACKAGES:
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      found[name] = ''
  return found


def path(config, topology: str) -> pathlib.Path:
  """Returns the file of a plan, by all that the compiled program depends on.

  Args:
    config: complete ConfigDict.
    topology: name.
  """
  key = {
    'config': config_lib.fingerprint(config),
    'num_steps': config.num_steps,
    'fsdp': config.mesh.fsdp,
    'topology': topology,
    'versions': versions(),
    'sources': _sources(),
  }
  text = json.dumps(key, sort_keys=True)
  digest = hashlib.sha256(text.encode()).hexdigest()[:32]
  return folder() / f'{digest}.json.gz'


def _sources() -> str:
  """Returns a digest of the code that makes a step; plans only read it."""
  root = pathlib.Path(sslax.__file__).parent
  digest = hashlib.sha256()
  for file in sorted(root.rglob('*.py')):
    if 'plan' not in file.relative_to(root).parts:
      digest.update(file.read_bytes())
  return digest.hexdigest()


def read(file: pathlib.Path) -> Compiled | None:
  """Returns what was kept, or None."""
  try:
    with gzip.open(file, 'rt', encoding='utf-8') as opened:
      return Compiled(**json.load(opened))
  except (OSError, ValueError, TypeError, EOFError):  # absent, or not ours
    return None


def write(file: pathlib.Path, compiled: Compiled) -> None:
  """Keeps it; a whole file or none."""
  file.parent.mkdir(parents=True, exist_ok=True)
  with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as opened:
    text = json.dumps(compiled._asdict())
    opened.write(gzip.compress(text.encode(), compresslevel=6))
  os.replace(opened.name, file)
