"""The folder of a run: made, recognized on resumption, written atomically."""

import datetime
import json
import os
import pathlib
import re
from typing import Any

from sslax import config as config_lib
from sslax.errors import BadInputError


def new_path(method: str, source: str) -> pathlib.Path:
  """Returns `runs/<method>-<source>-<time>`, not yet made."""
  time = datetime.datetime.now().strftime('%Y%m%d-%H%M%S')
  return pathlib.Path('runs') / f'{method}-{source.replace("/", "_")}-{time}'


def check(path: pathlib.Path, config) -> None:
  """Refuses a folder that holds something else than this run; writes nothing.

  Args:
    path: of the folder.
    config: complete ConfigDict of this command.

  Raises:
    BadInputError: the folder holds a run of another config (the keys that
      differ are listed), or no run at all but other files; or it is an
      address, such as of a bucket.
  """
  scheme = re.match(r'([a-z0-9]+):/', str(path))
  if scheme:
    raise BadInputError(
      f'--workdir={path} is an address, not a folder; mount what {scheme[1]}:'
      ' names, and give the folder (docs/hosts.md)'
    )
  if not path.is_dir() or not any(path.iterdir()):
    return
  if not (path / 'config.json').is_file():
    raise BadInputError(
      f'--workdir={path} is not empty and holds no run (no config.json);'
      ' use a new or empty folder'
    )
  lines = config_lib.differences(
    config_lib.flatten(read_config(path)), config_lib.flatten(config)
  )
  if lines:
    raise BadInputError(
      f'--workdir={path} holds a run of another config ('
      + '; '.join(lines)
      + '); use another --workdir, or the same values'
    )


def write_config(path: pathlib.Path, config) -> None:
  """Makes the folder and writes config.json.

  Raises:
    OSError: no permission, no space.
  """
  path.mkdir(parents=True, exist_ok=True)
  text = json.dumps(config.to_dict(), indent=2) + '\n'
  write_text(path / 'config.json', text)


def read_config(path: pathlib.Path) -> dict[str, Any]:
  """Reads the config of the run in a folder.

  Raises:
    BadInputError: no run there, or its config.json cannot be read.
  """
  file = pathlib.Path(path) / 'config.json'
  try:
    return _tuples(json.loads(file.read_text(encoding='utf-8')))
  except FileNotFoundError:
    raise BadInputError(
      f'--workdir={path} holds no run: there is no {file}'
    ) from None
  except json.JSONDecodeError as error:
    raise BadInputError(f'{file} is not JSON: {error}') from None


def write_text(path: pathlib.Path, text: str) -> None:
  """Writes a file whole or not at all."""
  temporary = path.with_name(f'.{path.name}.{os.getpid()}')
  temporary.write_text(text, encoding='utf-8')
  temporary.replace(path)


def _tuples(value):
  if isinstance(value, dict):
    return {k: _tuples(v) for k, v in value.items()}
  return tuple(map(_tuples, value)) if isinstance(value, list) else value
