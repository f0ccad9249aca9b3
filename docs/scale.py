"""Writes docs/scale.md from plans: `python docs/scale.py`.

A plan is what `python -m sslax.plan --json=docs/plans/NAME.json` wrote; nothing
of it is typed in by hand.
"""

import argparse
import json
import pathlib
import sys
from typing import Any, NamedTuple

from sslax.plan import collectives, report, topology

_HERE = pathlib.Path(__file__).parent
_SLICES = ('2x4', '4x4', '4x8', '8x8', '8x16', '16x16')
_V3_CORE = 123e12 / 2  # https://docs.cloud.google.com/tpu/docs/v3, per chip
_HEAD = """\
# Scale

Written by `python docs/scale.py` from `docs/plans/*.json`, each of which is one
`python -m sslax.plan --config=RECIPE --topology=SLICE --json=FILE`. No number
here was measured on the hardware: the training step of each recipe, as the loop
compiles it, was compiled for the slice by libtpu on a CPU, and read.

- **memory** is what a device holds in the step, two further batches included.
- **at best** is the longest of matrix work, memory traffic and link traffic at
  the chip's published peaks, as if they overlapped fully.
- **roofline** adds up the longer of matrix work and memory traffic instruction
  by instruction, and the exchanges that computing waits for.
- **compiler** adds up the cycles that the compiler itself expects of each
  instruction, and the same exchanges. It knows of vector units, padding and
  small programs, and is the better guess: the papers' own hours stand beside.
- **used** is the method's own matrix FLOPs over what the chips could do.
"""
_GPUS = """\
## GPUs

Compiling for GPUs that are not there was tried with jax 0.10.2 and its CUDA 12
plugin, without CUDA, a driver or a GPU (`JAX_PLATFORMS=cpu`, a text description
of an A100 as `target_config` of `topologies.get_topology_desc`): it works. A
product, a sum over eight devices and the smoke step of BYOL compiled, the last
with 58 all-reduces and 46 calls of cuDNN, in minutes instead of seconds. XLA
says nothing of cycles there, chooses the algorithms of cuDNN only on a real
GPU, and so does not know their memory. `sslax.plan` does not offer it yet.
"""


class Paper(NamedTuple):
  """How long the authors' own run took.

  Attributes:
    hours: of the recipe's whole schedule.
    words: on what, and where it says so.
    peak: FLOPs a second of all of that hardware; 0 where not certain.
  """

  hours: float
  words: str
  peak: float = 0.0


PAPERS = {
  'byol:imagenet': Paper(
    8,
    'about 8 h, 512 TPU v3 cores'
    ' ([README](https://github.com/google-deepmind/deepmind-research/tree/'
    'master/byol))',
    512 * _V3_CORE,
  ),
  'simclr:imagenet': Paper(
    15,
    '1.5 h for 100 epochs, 128 TPU v3 cores'
    ' ([paper](https://arxiv.org/abs/2002.05709), section 2.2, footnote 2)',
    128 * _V3_CORE,
  ),
  'swav:imagenet': Paper(
    800 * 220 / 3600,
    '3 min 40 s an epoch, 64 GPUs'
    ' ([README](https://github.com/facebookresearch/swav))',
  ),
  'moco_v3:imagenet': Paper(
    6.3,
    '6.3 h, 256 TPU v3 ([paper](https://arxiv.org/abs/2104.02057), section'
    ' "Training time")',
  ),
  'dino:imagenet': Paper(
    42,
    '1.75 days, 8 GPUs ([README](https://github.com/facebookresearch/dino))',
  ),
  'mae:imagenet': Paper(
    15.4,
    '15.4 h, 128 TPU v3 cores ([paper](https://arxiv.org/abs/2111.06377),'
    ' table 2)',
    128 * _V3_CORE,
  ),
  'clip:vit_b16': Paper(
    0,
    'not said of this network ([paper](https://arxiv.org/abs/2103.00020))',
  ),
}


def recipe(plan: dict[str, Any]) -> str:
  """Returns the name of a plan's recipe, as in PAPERS."""
  name, _, argument = plan['config'].partition(':')
  return f'{pathlib.Path(name).stem}:{argument}'


def _used(plan, speed) -> str:
  return f'{speed["utilization"]:.0%}' if speed else ''


def _paper(plan) -> str:
  paper = PAPERS.get(recipe(plan))
  if paper is None:
    return ''
  if not paper.peak:
    return paper.words
  work = plan['model_flops'] * plan['num_steps']
  used = work / (paper.hours * 3600 * paper.peak)
  return f'{paper.words}: {used:.0%} used'


def row(plan: dict[str, Any]) -> list[str]:
  """Returns the cells of the table of steps."""
  seconds, speed = plan['seconds'], plan['speed']
  best = max(seconds['matrix'], seconds['memory'], seconds['links'])
  cells = [
    f'`{recipe(plan)}`',
    f'{plan["batch_size"]:,}',
    report.size(sum(plan['memory'].values())),
    f'{1e3 * best:.1f} ms',
  ]
  for name in ('roofline', 'compiler'):
    found = speed.get(name)
    cells += [
      f'{1e3 * found["seconds"]:.1f} ms' if found else '',
      _used(plan, found),
      f'{found["hours"]:.1f} h' if found else '',
    ]
  return [*cells, _paper(plan)]


def exchanged(plan: dict[str, Any]) -> list[str]:
  """Returns the cells of the table of exchanges."""
  rows = plan['collectives']['rows']
  sums = {}
  for r in rows:
    count, size = sums.get(r['purpose'], (0, 0))
    sums[r['purpose']] = count + r['count'], size + r['bytes']
  cells = [f'`{recipe(plan)}`']
  for purpose in ('gradients', 'arrays', 'vectors', 'parameters'):
    count, size = sums.get(purpose, (0, 0))
    cells.append(f'{count:,}: {report.size(size)}' if count else '')
  least = plan['collectives']['least']
  cells += [report.size(least['gradients']), report.size(least['embeddings'])]
  return [*cells, '; '.join(plan['alarms']) or 'none']


def scaling(plan: dict[str, Any]) -> list[str]:
  """Returns images/s of smaller slices at the same batch a chip.

  The program of a chip is the same there; what changes is the time of its
  exchanges, which is computed anew.

  Args:
    plan: for the largest slice.
  """
  seconds = plan['seconds']
  base = seconds['compiler'] or seconds['roofline']
  base -= seconds['waits']
  kind = plan['topology'].partition(':')[0]
  cells = [f'`{recipe(plan)}`']
  for shape in _SLICES:
    slice_ = topology.parse(f'{kind}:{shape}')
    waits = sum(
      e['times'] * collectives.seconds(_on(e, slice_), slice_)
      for e in plan['exchanges']
      if e['waits']
    )
    rows = plan['batch_size'] // plan['devices'] * slice_.num_devices
    cells.append(f'{rows / (base + waits):,.0f}')
  return cells


def _on(exchange, slice_) -> collectives.Collective:
  return collectives.Collective(
    exchange['kind'], (), exchange['bytes'], slice_.num_devices,
    exchange['times'], exchange['waits'], '',
  )  # fmt: skip


def _table(columns, rows) -> str:
  lines = [columns, ['---', *['---:'] * (len(columns) - 1)], *rows]
  return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines) + '\n'


def page(plans: list[dict[str, Any]]) -> str:
  """Returns the page, a section for each slice."""
  parts = [_HEAD]
  order = list(PAPERS)
  plans = sorted(plans, key=lambda p: order.index(recipe(p)))
  for name in sorted({p['topology'] for p in plans}):
    here = [p for p in plans if p['topology'] == name]
    fitting = [p for p in here if not p['refusal']]
    parts.append(f'## {name}\n')
    parts.append(_table(
      ('recipe', 'batch', 'memory', 'at best', 'roofline', 'used', 'schedule',
       'compiler', 'used', 'schedule', "the authors' run"),
      [row(p) for p in fitting],
    ))  # fmt: skip
    parts += [
      f'- `{recipe(p)}`: {report.verdict(p)}\n' for p in here if not p['fits']
    ]
    parts.append('What the chips exchange in a step, count and bytes:\n')
    parts.append(_table(
      ('recipe', 'gradients', 'arrays', 'vectors', 'parameters',
       'least: gradients', 'embeddings', 'alarms'),
      [exchanged(p) for p in fitting],
    ))  # fmt: skip
    whole = [p for p in fitting if name.endswith(':16x16')]
    if whole:
      parts.append(
        'Images a second at the same batch a chip, with the exchanges timed'
        " anew for each slice, by the compiler's cycles:\n"
      )
      parts.append(_table(('recipe', *_SLICES), [scaling(p) for p in whole]))
  used = {k: v for p in plans for k, v in p['versions'].items() if v}
  words = ', '.join(f'{name} {version}' for name, version in used.items())
  return '\n'.join([*parts, _GPUS, f'Compiled with {words}.\n'])


def main(argv: list[str]) -> int:
  """Runs the command line; returns an exit code."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  default = sorted((_HERE / 'plans').glob('*.json'))
  parser.add_argument('plans', nargs='*', type=pathlib.Path, default=default)
  parser.add_argument('--out', type=pathlib.Path, default=_HERE / 'scale.md')
  arguments = parser.parse_args(argv)
  plans = [json.loads(file.read_text()) for file in arguments.plans]
  arguments.out.write_text(page(plans), encoding='utf-8')
  print(f'wrote {len(plans)} plans to {arguments.out}')
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
