"""Writes docs/results.md from the folders of finished runs.

    python docs/results.py RUN [RUN ...]

A row a run: final scores beside their baselines, speed and memory, all read
from the files that the run wrote. Runs of one source stand in one table, best
gain first; nothing is typed in by hand.
"""

import argparse
import json
import pathlib
import sys
from typing import Any, NamedTuple

import numpy as np

_FILE = pathlib.Path(__file__).parent / 'results.md'
_HEAD = """\
# Results

Written by `python docs/results.py` from the folders of finished runs. Small
networks and short runs on CPUs: read them as "it learns", not as the methods'
worth. `kNN` is weighted, k = 20, all of train as the bank, and `linear` a probe
on frozen features, both on the test split. A gain is over the same network at
random initialization; `no learning` is the kNN score of the input itself
(centered raw pixels, statistics of a spectrogram, word vectors). `images/s` and
the time are those of the training steps, on the machine that made the row, most
of them beside other work.
"""
_COLUMNS = (
  'method', 'network', 'images seen', 'kNN', 'gain', 'linear', 'gain',
  'no learning', 'images/s', 'minutes', 'peak MiB', 'seed',
)  # fmt: skip


class Row(NamedTuple):
  """What one run says of itself."""

  config: dict[str, Any]
  final: dict[str, dict[str, Any]]  # protocol -> its last evaluation
  metrics: list[dict[str, Any]]


def read(workdir: pathlib.Path) -> Row:
  """Reads the files of a finished run.

  Raises:
    SystemExit: a file is missing, or the run did not reach its last step.
  """
  try:
    config = json.loads((workdir / 'config.json').read_text())
    metrics, evaluations = (
      [json.loads(line) for line in (workdir / name).read_text().splitlines()]
      for name in ('metrics.jsonl', 'evaluations.jsonl')
    )
  except OSError as error:
    sys.exit(f'{workdir} is not the folder of a run: {error}')
  last = max(row['step'] for row in evaluations)
  if last != config['num_steps']:
    sys.exit(f'{workdir} stopped at {last} of {config["num_steps"]} steps')
  final = {r['protocol']: r for r in evaluations if r['step'] == last}
  return Row(config, final, metrics)


def cells(row: Row) -> list[str]:
  """Returns the cells of a row, in the order of the columns."""
  config, rates = row.config, [m['images_per_second'] for m in row.metrics[1:]]
  speed = float(np.median(rates)) if rates else float('nan')
  seen = config['num_steps'] * config['batch_size']
  peak = max(m.get('peak_memory_mib', 0) for m in row.metrics)
  blind = _baselines(row.final.get('knn', {}))
  return [
    config['method']['name'],
    config['net']['name'],
    f'{seen:,}',
    *_score(row, 'knn'),
    *_score(row, 'linear'),
    f'{max(blind.values()):.3f}' if blind else '',
    f'{speed:,.0f}',
    f'{seen / speed / 60:.1f}',
    f'{peak:,.0f}',
    str(config['seed']),
  ]


def _baselines(found: dict[str, Any]) -> dict[str, float]:
  """Returns what stands beside a score, the random initialization excepted."""
  own = ('step', 'protocol', 'split', 'value', 'random_init')
  return {k: v for k, v in found.items() if k not in own and v is not None}


def _score(row: Row, protocol: str) -> list[str]:
  found = row.final.get(protocol)
  if found is None:
    return ['', '']
  gain = found['value'] - found['random_init']
  return [f'{found["value"]:.3f}', f'{gain:+.3f}']


def _others(row: Row) -> list[str]:
  """Returns a line for each protocol that has no column of its own."""
  name = row.config['method']['name']
  return [
    f'- {name}, {protocol}: {found["value"]:.3f}; '
    + ', '.join(
      f'{key.replace("_", " ")} {value:.3f}'
      for key, value in {
        'random_init': found['random_init'],
        **_baselines(found),
      }.items()
    )
    for protocol, found in row.final.items()
    if protocol not in ('knn', 'linear')
  ]


def page(rows: list[Row]) -> str:
  """Returns the page, a table for each source."""
  parts = [_HEAD]
  for source in dict.fromkeys(row.config['data']['name'] for row in rows):
    chosen = [r for r in rows if r.config['data']['name'] == source]
    chosen.sort(key=lambda r: -max(_gains(r), default=0))
    parts.append(f'## {source}\n')
    scored = [r for r in chosen if _gains(r)]
    if scored:
      table = [_COLUMNS, ['---', '---', *['---:'] * (len(_COLUMNS) - 2)]]
      table += [cells(row) for row in scored]
      parts.append('\n'.join(f'| {" | ".join(r)} |' for r in table) + '\n')
    others = [line for row in chosen for line in _others(row)]
    if others:
      parts.append('\n'.join(others) + '\n')
  return '\n'.join(parts)


def _gains(row: Row) -> list[float]:
  return [
    row.final[p]['value'] - row.final[p]['random_init']
    for p in ('knn', 'linear')
    if p in row.final
  ]


def main(argv: list[str]) -> int:
  """Runs the command line; returns an exit code."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('runs', nargs='+', type=pathlib.Path)
  parser.add_argument('--out', type=pathlib.Path, default=_FILE)
  arguments = parser.parse_args(argv)
  rows = [read(run) for run in arguments.runs]
  arguments.out.write_text(page(rows), encoding='utf-8')
  print(f'wrote {len(rows)} runs to {arguments.out}')
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
