"""The report of a run: one HTML file that needs nothing else."""

import datetime
import html
import json
import pathlib
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import sslax
from sslax import galleries, log
from sslax import workdir as workdir_lib
from sslax.charts import Level, Line, chart, with_mean
from sslax.galleries import Extra, Neighbors, Pictures
from sslax.page import PAGE, charts, section

__all__ = ('Extra', 'Neighbors', 'Pictures', 'headline', 'write')


def write(
  workdir: str | pathlib.Path, pictures: Pictures | None = None
) -> pathlib.Path:
  """Writes `report.html` from the files of a run, whole or not at all.

  Args:
    workdir: folder of the run; of config.json, metrics.jsonl and
      evaluations.jsonl those that exist are shown.
    pictures: what the experiment saw.

  Returns:
    The path of the report.
  """
  workdir, pictures = pathlib.Path(workdir), pictures or Pictures()
  metrics = log.read_lines(workdir / log.METRICS)
  rows = log.read_lines(workdir / log.EVALUATIONS)
  final = log.final_rows(workdir)
  config = _config(workdir)
  body = [
    _header(config, metrics, final),
    _results(rows, final),
    _training(metrics),
    galleries.galleries(pictures),
    _again(workdir, config),
  ]
  title = html.escape(_title(config))
  path = workdir / 'report.html'
  page = PAGE.replace('{{title}}', title).replace('{{body}}', '\n'.join(body))
  workdir_lib.write_text(path, page)
  return path


def _config(workdir: pathlib.Path) -> dict[str, Any]:
  """Returns the flat config of the run; empty where there is none."""
  file = workdir / 'config.json'
  return _flat(json.loads(file.read_text())) if file.is_file() else {}


def _flat(tree: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  flat = {}
  for key, value in tree.items():
    if isinstance(value, Mapping):
      flat.update(_flat(value, f'{prefix}{key}.'))
    else:
      flat[prefix + key] = value
  return flat


# Head: what was run, and what came out.


def _title(config: Mapping[str, Any]) -> str:
  method = str(config.get('method.name', 'a run'))
  source = config.get('data.name')
  return f'{method} on {source}' if source else method


def _header(config, metrics, final) -> str:
  facts = []
  if 'num_steps' in config:
    facts.append(f'{config["num_steps"]:,} steps')
  if 'batch_size' in config:
    facts.append(f'global batch {config["batch_size"]:,}')
  rates = [v for r in metrics if (v := r.get('images_per_second')) is not None]
  if rates:
    facts.append(f'{np.median(rates):,.0f} images/s (median)')
  facts.append(f'written {datetime.datetime.now():%Y-%m-%d %H:%M}')
  return (
    f'<header><p class="kicker">{html.escape(_title(config))}</p>'
    f'<h1>{html.escape(headline(final))}</h1>'
    f'<p class="facts">{html.escape(" · ".join(facts))}</p></header>'
  )


def headline(final: Sequence[Mapping[str, Any]]) -> str:
  """Returns the first protocol's result against its baselines, in a sentence.

  Args:
    final: last evaluation of each protocol, as in evaluations.jsonl.
  """
  if not final:
    return 'This run has not been evaluated.'
  row = final[0]
  word = log.protocol_name(row['protocol'])
  if row['value'] is None:
    return f'After training, {word} is not finite.'
  differences = [
    _difference(row['value'], other, words)
    for key, words in log.beside([row]).items()
    if (other := row.get(key)) is not None
  ]
  sentence = f'After training, {word} is {log.number(row["value"])}'
  return sentence + ', ' * bool(differences) + ' and '.join(differences) + '.'


def _difference(value: float, other: float, words: str) -> str:
  if value == other:
    return f'the same as {words}'
  side = 'above' if value > other else 'below'
  return f'{log.number(abs(value - other))} {side} {words}'


def _results(rows, final) -> str:
  curves = [_curve(rows, row['protocol'], row.get('split')) for row in final]
  warnings = ''.join(
    f'<p class="below">{html.escape(s)}</p>' for s in log.verdicts(final)
  )
  return section(
    'What it learned',
    'The same protocol on several encodings of the same examples: this run, the'
    ' same encoder before training, and the input without any learning. A run'
    ' that learned stays above all others.',
    _results_table(final),
    warnings,
    charts(*curves),
  )


def _results_table(final) -> str:
  if not final:
    return ''
  baselines = log.beside(final)
  names = ('protocol', 'step', 'this run', *baselines.values(), 'gain')
  head = ''.join(f'<th scope="col">{html.escape(n)}</th>' for n in names)
  rows = ''
  for row in final:
    first, *rest = map(html.escape, log.cells(row, baselines))
    cells = ''.join(f'<td>{cell}</td>' for cell in rest)
    rows += f'<tr><th scope="row">{first}</th>{cells}</tr>'
  return (
    '<div class="scroll"><table class="results"><thead><tr>'
    f'{head}</tr></thead><tbody>{rows}</tbody></table></div>'
  )


def _curve(rows, protocol, split) -> str:
  """Returns the chart of a protocol over two steps or more."""
  mine = [
    r for r in rows if (r['protocol'], r.get('split')) == (protocol, split)
  ]
  if len(mine) < 2:
    return ''
  levels = [
    Level(words, mine[-1][key], 'before' if key == 'random_init' else 'second')
    for key, words in log.beside(mine[-1:]).items()
    if mine[-1].get(key) is not None
  ]
  line = Line('this run', [r['step'] for r in mine], [r['value'] for r in mine])
  return chart(log.protocol_name(protocol), [line], levels)


# Curves of the training.

_KNOWN = {
  'loss': ('loss', {}, 'Of the step itself, not averaged.'),
  'embedding_std': (
    'spread of the embedding',
    {'zero': True},
    'embedding_std: 1 is spread evenly over the sphere, 0 is one point, which'
    ' is collapse.',
  ),
  'rankme': (
    'RankMe',
    {'zero': True},
    'Effective number of dimensions in use; a fall to 1 is collapse.',
  ),
  'grad_norm': (
    'gradient norm',
    {'zero': True},
    'Spikes ask for a lower learning rate or a longer warm-up.',
  ),
  'images_per_second': (
    'images per second',
    {'zero': True},
    'Evaluation and saving left out; dips are the machine doing something'
    ' else.',
  ),
  'data_wait': (
    'share of time waiting for data',
    {'zero': True},
    'Near 0 the devices are the limit; near 1 reading is.',
  ),
}
_SILENT = ('step', 'nonfinite')


def _training(metrics) -> str:
  names = dict.fromkeys(k for row in metrics for k in row if k not in _SILENT)
  known = [_scalar(metrics, name) for name in _KNOWN if name in names]
  others = [_scalar(metrics, name) for name in names if name not in _KNOWN]
  more = ''
  if others:
    more = (
      '<details><summary>Other scalars of the method</summary>'
      f'{charts(*others)}</details>'
    )
  return section(
    'How training went',
    'A faint line is what was logged, the strong one over it its running mean.',
    charts(*known),
    more,
  )


def _scalar(metrics, name: str) -> str:
  rows = [row for row in metrics if name in row]
  title, options, caption = _KNOWN.get(name, (name, {}, ''))
  lines = with_mean(title, [r['step'] for r in rows], [r[name] for r in rows])
  return chart(title, lines, caption=caption, **options)


# Foot: how to run it again.


def _again(workdir, config) -> str:
  command = shlex.join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]])
  facts = {'command': command, 'folder': str(workdir), **_versions()}
  settings = ''
  if config:
    settings = (
      f'<details><summary>Config, {len(config)} keys</summary>'
      f'{_pairs(config)}</details>'
    )
  return section(
    'To run it again',
    'The order of the images and every augmentation follow from the seed and'
    ' the step, so the same config gives the same batches.',
    _pairs(facts),
    settings,
  )


def _versions() -> dict[str, str]:
  import jax

  return {
    'sslax': sslax.__version__,
    'jax': f'{jax.__version__}, {jax.device_count()} {jax.default_backend()}',
    'python': platform.python_version(),
  }


def _pairs(pairs: Mapping[str, Any]) -> str:
  rows = ''.join(
    f'<tr><th scope="row">{html.escape(str(k))}</th>'
    f'<td>{html.escape(str(v))}</td></tr>'
    for k, v in pairs.items()
  )
  return f'<div class="scroll"><table class="pairs">{rows}</table></div>'
