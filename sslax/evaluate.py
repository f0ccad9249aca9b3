"""Evaluate a run: `python -m sslax.evaluate --workdir=... --protocols=knn`."""

import argparse
import pathlib
import sys

from sslax.errors import BadInputError

_EPILOG = """\
example:
  python -m sslax.evaluate --workdir=runs/byol-photos --protocols=knn,linear \\
      --source=cifar10 --dir=~/tensorflow_datasets
"""


def parser() -> argparse.ArgumentParser:
  """Returns the command line of this program."""
  p = argparse.ArgumentParser(
    prog='python -m sslax.evaluate',
    description='Score the encoder of a run on any source, beside the same'
    ' encoder at random initialization and the input without any learning.',
    epilog=_EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  p.add_argument('--workdir', required=True, help='folder of a run')
  p.add_argument(
    '--protocols',
    help='comma-separated, of knn, linear, retrieval, rankme, sts, zero_shot,'
    ' text_retrieval; default those that the run ends with, or what needs no'
    ' labels where there are none',
  )
  p.add_argument(
    '--source', help="photos, folder, or a TFDS name; default the run's"
  )
  p.add_argument('--dir', help='TFDS directory')
  p.add_argument('--path', help='folder of images, or glob of TFRecord files')
  p.add_argument('--labels', help="'folders': sub-folder names are the labels")
  p.add_argument('--k', type=int, help="neighbors of kNN; default the run's")
  p.add_argument('--temperature', type=float, help='of the kNN votes')
  p.add_argument('--debug', action='store_true', help='show tracebacks')
  return p


def main(argv: list[str]) -> int:
  """Runs the command line; returns an exit code."""
  arguments = parser().parse_args(argv)
  import sslax
  from sslax import build, log
  from sslax.evals import runner

  encoder = sslax.load(pathlib.Path(arguments.workdir).expanduser())
  config = encoder.config
  check_words(encoder.parts, arguments.source)
  _apply(config, arguments)
  sources = [build.load_source(config, split) for split in ('train', 'test')]
  asked = arguments.protocols and tuple(arguments.protocols.split(','))
  config.eval.protocols = config.eval.final = asked or config.eval.final
  run = runner.make(encoder.parts, *sources)
  names = run.names(config.eval.final, explicit=bool(asked))
  state, first = encoder.train_state, encoder.at_random_init()
  values = {
    'this run': run.encoder(names, state.params, state.state),
    'random_init': run.encoder(names, first.params, first.state),
  }
  for protocol, found in run.beside(names).items():
    for key, value in found.items():
      values.setdefault(key, {})[protocol] = value
  log.comparison(values, step=encoder.step)
  return 0


def check_words(parts, source: str | None) -> None:
  """Refuses to read the text of another source than the run's own.

  Tokens are learned from a source, and mean other words in another.

  Args:
    parts: of the run, from sslax.build.
    source: name of the source to evaluate on, or None for the run's.

  Raises:
    BadInputError: the encoder reads text, and the source is another.
  """
  own = parts.config.data.name
  reads_text = parts.views.reads == 'text' or 'text' in parts.method.towers
  if reads_text and source not in (None, own):
    raise BadInputError(
      f'--source={source}, but this encoder reads text, whose tokens were'
      f' learned from {own}; --source={own} would be right'
    )


def _apply(config, arguments) -> None:
  """Puts the flags that were given in place of the run's settings."""
  if arguments.source:
    config.data.name = arguments.source
  for key in ('dir', 'path', 'labels'):
    if getattr(arguments, key):
      config.data[key] = getattr(arguments, key)
  if arguments.k is not None:
    if arguments.k < 1:
      raise BadInputError(f'--k is {arguments.k}; it must be at least 1')
    config.eval.num_neighbors = arguments.k
  if arguments.temperature is not None:
    config.eval.temperature = arguments.temperature


if __name__ == '__main__':
  from sslax.cli import run_main

  sys.exit(run_main(main))
