"""Prints a plan."""

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sslax.plan import topology as topology_lib

_SHOWN_SPLITS = 8
_WIDTH = 100  # characters, where there is no terminal


def size(count: float) -> str:
  """Returns bytes in binary units."""
  for unit in ('B', 'KiB', 'MiB', 'GiB'):
    if abs(count) < 1024 or unit == 'GiB':
      return f'{count:,.0f} {unit}' if unit == 'B' else f'{count:,.2f} {unit}'
    count /= 1024
  raise AssertionError('a unit is always found')


def number(count: float) -> str:
  """Returns a number in powers of a thousand."""
  for unit in ('', ' k', ' M', ' G', ' T', ' P'):
    if abs(count) < 1000 or unit == ' P':
      return f'{count:,.3g}{unit}'
    count /= 1000
  raise AssertionError('a unit is always found')


def milliseconds(seconds: float) -> str:
  """Returns a time in ms."""
  return f'{1e3 * seconds:,.2f} ms'


def _table(*columns: str) -> Table:
  table = Table(box=None, padding=(0, 2, 0, 0), header_style='dim')
  for i, column in enumerate(columns):
    table.add_column(column, justify='right' if i else 'left', overflow='fold')
  return table


def show(plan: Mapping[str, Any]) -> None:
  """Prints a plan as tables, and whether it fits.

  Args:
    plan: from planning.plan.
  """
  console = Console(highlight=False, file=sys.stdout)
  if not console.is_terminal:
    console = Console(highlight=False, file=sys.stdout, width=_WIDTH)
  for title, table in _sections(plan):
    console.print(Text(title, style='bold'))
    console.print(table)
    console.print()
  for sentence in (*plan.get('alarms', ()), verdict(plan)):
    console.print(Text(sentence))


def _sections(plan) -> list[tuple[str, Table]]:
  name, topology = plan['method'], plan['topology']
  sections = [(f'{name} on {topology}: memory of each device', _memory(plan))]
  if plan['splits']:
    title = f'Split over devices: {len(plan["splits"])} arrays, the largest'
    sections.append((title, _splits(plan)))
  if not plan['refusal']:
    sections.append(('Work of a step', _work(plan)))
    sections.append(('Exchanged in a step', _exchanges(plan)))
  if plan.get('seconds'):
    page = topology_lib.CHIPS[topology.partition(':')[0]].source
    sections.append((f'Time of a step, at the peaks of {page}', _times(plan)))
    sections.append(('Estimates', _speeds(plan)))
  return sections


def verdict(plan: Mapping[str, Any]) -> str:
  """Returns the sentence that says whether the step fits."""
  limit = f'{size(plan["limit"])} of each of {plan["devices"]} devices'
  batch = f'a global batch of {plan["batch_size"]:,}'
  advice = 'a smaller batch_size, mesh.fsdp or more devices would help'
  if plan['refusal']:
    return (
      f'does not fit: {batch} needs more than the {limit}; {advice}'
      f' ({plan["refusal"]})'
    )
  total = sum(plan['memory'].values())
  takes = f'{batch} takes {size(total)}, {total / plan["limit"]:.0%} of'
  if plan['fits']:
    return f'fits: {takes} the {limit}'
  return f'does not fit: {takes} the {limit}; {advice}'


def _memory(plan) -> Table:
  table = _table('kind', 'bytes', 'of what there is')
  for kind, count in plan['memory'].items():
    table.add_row(kind, size(count), f'{count / plan["limit"]:.1%}')
  total = sum(plan['memory'].values())
  name = 'without temporaries' if plan['refusal'] else 'total'
  table.add_row(name, size(total), f'{total / plan["limit"]:.1%}')
  return table


def _work(plan) -> Table:
  table = _table('', 'of a device', 'of all')
  n = plan['devices']
  rows = (
    ('matrix FLOPs of the method', plan['model_flops'] / n, number),
    ('as compiled, views included', plan['flops'], number),
    ('by passes of the matrix units', plan['passes'], number),
    ('bytes of main memory moved', plan['traffic'], size),
  )
  for name, count, form in rows:
    table.add_row(name, form(count), form(count * n))
  table.add_row('instructions started', f'{plan["programs"]:,}', '')
  return table


def _exchanges(plan) -> Table:
  table = _table('kind', 'of', 'count', 'bytes')
  for row in plan['collectives']['rows']:
    table.add_row(
      row['kind'], row['purpose'], f'{row["count"]:,}', size(row['bytes'])
    )
  for name, count in plan['collectives']['least'].items():
    table.add_row('least possible', name, '', size(count))
  return table


def _splits(plan) -> Table:
  table = _table('array', 'shape', 'of a device', 'bytes')
  shown = sorted(plan['splits'], key=lambda s: -s['bytes'])[:_SHOWN_SPLITS]
  for s in shown:
    path = f'{s["kind"]}/{s["path"]}'
    table.add_row(path, str([*s['shape']]), str([*s['held']]), size(s['bytes']))
  return table


def _times(plan) -> Table:
  table = _table('', '')
  names = {
    'matrix': 'matrix units',
    'memory': 'main memory',
    'links': 'links between chips',
    'waits': 'of which computing waits',
  }
  for key, name in names.items():
    table.add_row(name, milliseconds(plan['seconds'][key]))
  return table


def _speeds(plan) -> Table:
  table = _table('', 'step', 'images/s', 'schedule', 'model-FLOPs used')
  names = {'roofline': 'roofline', 'compiler': "compiler's cycles"}
  for key, speed in plan['speed'].items():
    table.add_row(
      names[key],
      milliseconds(speed['seconds']),
      f'{speed["images_per_second"]:,.0f}',
      f'{speed["hours"]:,.2f} h',
      f'{speed["utilization"]:.1%}',
    )
  return table
