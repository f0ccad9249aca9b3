"""The command: `python -m sslax.plan --config=... --topology=v5e:16x16`."""

import argparse
import gzip
import json
import pathlib
import sys
from typing import Any

from sslax.errors import BadInputError, nearest
from sslax.main import read_config

_FLAGS = (
  '--config', '--topology', '--find-batch', '--json', '--hlo', '--fresh',
  '--debug', '--help',
)  # fmt: skip
_EPILOG = """\
examples:
  python -m sslax.plan --config=configs/byol.py:imagenet --topology=v5e:16x16
      BYOL as in the paper, on 256 chips that need not be there
  python -m sslax.plan --config=mae:imagenet --topology=v6e:4x4 --find-batch
      the largest global batch that fits
  python -m sslax.plan --config=byol --topology=cpu:8 --config.mesh.fsdp=4
      what is split how, on simulated devices

topologies: v5e and v6e from 1x1 to 16x16; v4 and v5p 2x2x1, 4x4x4, ...; cpu:N.
TPUs need libtpu (pip install 'sslax[plan]') and no TPU. GPUs are not offered:
that compiling for them works without one, and what is missing, is said in
docs/scale.md.

Large steps take minutes to compile. Compiled programs are kept below
~/.cache/sslax/plans until the config, the code or a version changes.

exit codes: 0 it fits, 1 it does not, 2 bad input
"""


def parser() -> argparse.ArgumentParser:
  """Returns the command line of this program."""
  p = argparse.ArgumentParser(
    prog='python -m sslax.plan',
    description='Compile the training step of a config for hardware that is not'
    ' there: memory, exchanges between chips, and the time of a step.',
    epilog=_EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  p.add_argument('--config', metavar='FILE[:ARG]', help='recipe, as for main')
  p.add_argument(
    '--config.KEY=VALUE', dest='_', metavar='', help='change one of its keys'
  )
  p.add_argument(
    '--topology', required=True, help='such as v5e:16x16, v5p:4x4x8 or cpu:8'
  )
  p.add_argument(
    '--find-batch',
    action='store_true',
    help='also the largest global batch that fits, to one part in 16; compiles'
    ' several times',
  )
  p.add_argument('--json', type=pathlib.Path, help='file to write the plan to')
  p.add_argument(
    '--hlo', type=pathlib.Path, help='file for the compiled program, .gz or not'
  )
  p.add_argument(
    '--fresh', action='store_true', help='compile, whatever is kept on disk'
  )
  p.add_argument(
    '--debug', action='store_true', help='show tracebacks of errors'
  )
  return p


def main(argv: list[str]) -> int:
  """Runs the command line; returns an exit code."""
  from sslax.plan import topology as topology_lib

  arguments, rest = parser().parse_known_args(argv)
  topology = topology_lib.parse(arguments.topology)
  config = read_config(arguments.config, _known(rest))
  for file in filter(None, (arguments.json, arguments.hlo)):
    if not file.expanduser().parent.is_dir():
      raise BadInputError(f'{file}: there is no folder {file.parent}')
  topology_lib.only_cpus()
  devices = topology_lib.devices(topology)
  plan, compiled = _plan(config, topology, devices, arguments.fresh)
  plan = {'config': arguments.config, **plan}
  from sslax.plan import report

  report.show(plan)
  if arguments.find_batch:
    plan['largest_batch'] = _find_batch(config, topology, devices, plan)
    print(f'largest batch that fits: {plan["largest_batch"]:,}')
  if arguments.json:
    from sslax import workdir

    workdir.write_text(arguments.json.expanduser(), json.dumps(plan, indent=1))
  if arguments.hlo:
    _write_program(arguments.hlo.expanduser(), compiled.text)
  return 0 if plan['fits'] else 1


def _known(rest: list[str]) -> list[str]:
  """Refuses flags that do not exist; returns the changes of the config."""
  for word in rest:
    if word.startswith('--') and not word.startswith('--config.'):
      raise BadInputError(
        f'{word} is not a flag' + nearest(word.partition('=')[0], _FLAGS)
      )
  return rest


def _plan(config, topology, devices, fresh: bool) -> tuple[dict[str, Any], Any]:
  from sslax.plan import planning, program

  step = program.step_of(config, devices)
  compiled = program.compiled(step, topology, fresh=fresh)
  return planning.plan(step, topology, compiled), compiled


def _find_batch(config, topology, devices, plan) -> int:
  from sslax.plan import program

  def fits(size):
    if size == config.batch_size:
      return plan['fits']
    larger = config.copy_and_resolve_references()
    larger.batch_size = size
    found = _plan(larger, topology, devices, False)[0]['fits']
    print(f'batch {size:,} {"fits" if found else "does not fit"}', flush=True)
    return found

  unit = topology.num_devices
  return program.largest(config.batch_size, fits, unit=unit)


def _write_program(file: pathlib.Path, text: str) -> None:
  data = text.encode()
  temporary = file.with_name(f'.{file.name}')
  packed = gzip.compress(data) if file.suffix == '.gz' else data
  temporary.write_bytes(packed)
  temporary.replace(file)


if __name__ == '__main__':
  from sslax.cli import run_main

  sys.exit(run_main(main))
