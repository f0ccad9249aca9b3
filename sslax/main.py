"""Train: `python -m sslax.main --config=configs/byol.py`."""

import argparse
import pathlib
import sys

from sslax import config as config_lib
from sslax.errors import BadInputError, nearest

_EPILOG = """\
examples:
  python -m sslax.main --config=configs/byol.py
      BYOL on the embedded photographs; a few minutes on a laptop
  python -m sslax.main --config=byol:cifar10 --config.data.dir=~/tfds
      a recipe by name, for CIFAR-10 prepared by TFDS
  python -m sslax.main --config=byol:folder --config.data.path=~/pictures
      your own images
  python -m sslax.main --config=byol --list
      all that can be set, with defaults

exit codes: 0 done, 1 failed, 2 bad input, 3 stopped by the health monitor,
75 saved after SIGTERM (start the same command again)
"""


def parser() -> argparse.ArgumentParser:
  """Returns the command line of this program."""
  p = argparse.ArgumentParser(
    prog='python -m sslax.main',
    description='Train a self-supervised encoder, evaluate it and report.',
    epilog=_EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  p.add_argument(
    '--config',
    metavar='FILE[:ARG]',
    help='recipe: a file, or the name of one that ships with sslax'
    f' ({", ".join(config_lib.shipped())})',
  )
  p.add_argument(
    '--config.KEY=VALUE',
    dest='_',
    metavar='',
    help='change one key of the recipe; see --list',
  )
  p.add_argument(
    '--workdir',
    type=pathlib.Path,
    help='folder of the run; one that holds a run is resumed'
    ' (default: runs/<method>-<source>-<time>)',
  )
  p.add_argument(
    '--list', action='store_true', help='show what can be set, and exit'
  )
  p.add_argument(
    '--debug', action='store_true', help='show tracebacks of errors'
  )
  return p


def read_config(spec: str | None, rest: list[str]):
  """Loads a recipe and applies the `--config.key=value` words.

  Args:
    spec: value of --config.
    rest: words that the parser did not know.

  Raises:
    BadInputError: no recipe, an unknown flag or key, or a wrong value.
  """
  if not spec:
    raise BadInputError(
      '--config is missing: give a recipe file or a name, such as'
      f' --config={next(iter(config_lib.shipped()), "configs/byol.py")}'
    )
  assignments = []
  words = iter(rest)
  for word in words:
    if not word.startswith('--config.'):
      flags = ('--config', '--workdir', '--list', '--debug', '--help')
      raise BadInputError(
        f'{word} is not a flag' + nearest(word.partition('=')[0], flags)
      )
    if '=' not in word:
      word = f'{word}={next(words, "")}'
    assignments.append(word.removeprefix('--config.'))
  return config_lib.override(config_lib.load(spec), assignments)


def main(argv: list[str]) -> int:
  """Runs the command line; returns an exit code."""
  arguments, rest = parser().parse_known_args(argv)
  config = read_config(arguments.config, rest)
  if arguments.list:
    from sslax import log

    log.settings(config_lib.help_lines(config))
    return 0
  from sslax import experiment, workdir

  path = arguments.workdir or workdir.new_path(
    config.method.name, config.data.name
  )
  return experiment.run(config, path.expanduser())


if __name__ == '__main__':
  from sslax.cli import run_main

  sys.exit(run_main(main))
