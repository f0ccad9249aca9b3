"""How fast the host feeds a run: `python -m sslax.data.bench --config=...`."""

import argparse
import itertools
import math
import sys
import time
from collections.abc import Iterator
from typing import Any

import jax

from sslax.errors import BadInputError
from sslax.main import read_config

_WARM_UP = 3  # batches: what was read ahead while the first one was made
_EPILOG = """\
examples:
  python -m sslax.data.bench --config=byol:imagenet --config.data.dir=~/tfds \\
      --config.batch_size=256
      decoding and cropping as in training, without a network
  python -m sslax.data.bench --config=byol:imagenet --config.data.dir=~/tfds \\
      --config.batch_size=256 --images-per-second=84000 --hosts=32
      and the cores that each of 32 hosts needs to keep up with the chips

sslax.plan predicts the images a second of a TPU slice.
"""


def parser() -> argparse.ArgumentParser:
  """Returns the command line of this program."""
  p = argparse.ArgumentParser(
    prog='python -m sslax.data.bench',
    description='Measure the host work of a run alone: reading, decoding,'
    ' cropping, batching. CPU seconds count, so that other work does not.',
    epilog=_EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  p.add_argument('--config', metavar='FILE[:ARG]', help='as of sslax.main')
  p.add_argument(
    '--seconds', type=float, default=20, help='to measure (default 20)'
  )
  p.add_argument(
    '--images-per-second', type=float, help='that the chips will train on'
  )
  p.add_argument('--hosts', type=int, default=1, help='that share the work')
  p.add_argument('--debug', action='store_true', help='show tracebacks')
  return p


def main(argv: list[str]) -> int:
  """Runs the command line; returns an exit code."""
  arguments, rest = parser().parse_known_args(argv)
  for key in ('seconds', 'images_per_second', 'hosts'):
    value = getattr(arguments, key)
    if value is not None and value <= 0:
      flag = key.replace('_', '-')
      raise BadInputError(f'--{flag} is {value}; it must be above 0')
  config = read_config(arguments.config, rest)
  from sslax import build, experiment, log

  source = build.load_source(config, 'train')
  config.data.num_examples = source.num_examples
  batches = experiment.host_batches(build.build(config), source, 0)
  about = measure(batches, config.batch_size, arguments.seconds)
  if arguments.images_per_second:
    wanted = arguments.images_per_second / arguments.hosts
    about['cores a host needs'] = advice(about, wanted)
  log.describe(
    {
      'source': f'{config.data.name}, {source.num_examples:,} examples',
      'batch': str(config.batch_size),
      **{key: _text(value) for key, value in about.items()},
    }
  )
  return 0


def measure(
  batches: Iterator[dict[str, Any]], batch_size: int, seconds: float
) -> dict[str, float]:
  """Takes batches for a while.

  Args:
    batches: from pipeline.batches.
    batch_size: examples of each.
    seconds: of wall time; one more batch is taken where it is over.

  Returns:
    Images a second on all cores, and for each core that worked; megabytes of
    an image as it crosses to the device.
  """
  for batch in itertools.islice(batches, _WARM_UP):
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(batch))
  wall, cpu, taken = time.perf_counter(), time.process_time(), 0
  while taken == 0 or time.perf_counter() - wall < seconds:
    next(batches)
    taken += batch_size
  wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
  return {
    'images/s': taken / wall,
    'images/s of a core': taken / max(cpu, 1e-9),
    'cores at work': cpu / wall,
    'MB an image': size / batch_size / 1e6,
  }


def advice(about: dict[str, float], images_per_second: float) -> float:
  """Returns the cores of a host that keep up.

  Args:
    about: from `measure`.
    images_per_second: that the chips of one host train on.
  """
  return math.ceil(images_per_second / about['images/s of a core'])


def _text(value: float) -> str:
  return f'{value:,.0f}' if value >= 100 else f'{value:,.3g}'


if __name__ == '__main__':
  from sslax.cli import run_main

  sys.exit(run_main(main))
