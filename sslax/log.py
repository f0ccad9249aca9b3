"""What a run says: the screen, JSON lines and TensorBoard.

Metrics of step s are those of the step with index s, counted from 0: the one
that turns s steps taken into s + 1. An evaluation at step s sees the state
after s steps, before the step of index s runs.
"""

import math
import pathlib
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from sslax.board import Board
from sslax.lines import append_line, read_lines, write_lines

METRICS = 'metrics.jsonl'
EVALUATIONS = 'evaluations.jsonl'
BASELINES = {  # of images; beside() says which ones rows have
  'random_init': 'random initialization',
  'raw_pixels': 'centered raw pixels',
}
_OTHER_BASELINES = {
  'log_mel_stats': 'log-mel statistics',
  'word_vectors': 'mean random word vectors',
  'tf_idf': 'tf-idf of tokens',
  'chance': 'the commonest answer',
}
_WORDS = {
  'knn': 'kNN',
  'linear': 'linear probe',
  'retrieval': 'view retrieval',
  'rankme': 'RankMe',
  'sts': 'sentence similarity',
  'zero_shot': 'zero-shot',
  'text_retrieval': 'text retrieval',
}
# More effective dimensions are not in themselves a better encoder.
_NOT_A_SCORE = ('rankme',)
_WIDTH = 100  # characters, at most


def beside(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
  """Returns {baseline: words} of those that rows have; of images if none.

  Args:
    rows: lines of evaluations.jsonl, or values by the names of baselines.
  """
  rows = list(rows)
  found = {
    key: words
    for key, words in {**BASELINES, **_OTHER_BASELINES}.items()
    if any(row.get(key) is not None for row in rows)
  }
  return found if {*found} - {'random_init'} else {**BASELINES, **found}


def protocol_name(protocol: str) -> str:
  """Returns how a protocol is written for people."""
  return _WORDS.get(protocol, protocol)


def number(value: float | None) -> str:
  """Returns a value as text: three decimals, or one from 10 on."""
  if value is None or not math.isfinite(value):
    return 'not finite'
  return f'{value:.3f}' if abs(value) < 10 else f'{value:,.1f}'


# Files.


def truncate(workdir: str | pathlib.Path, step: int) -> None:
  """Drops the lines that a run resumed at a step will write again.

  A state restored at step s has taken the steps 0 to s - 1, and the loop
  evaluates before it saves. So metrics before s stand, and evaluations up to
  and including s.

  Args:
    workdir: folder of the run.
    step: steps taken by the restored state; 0 for a fresh start.
  """
  for name, last in ((METRICS, step - 1), (EVALUATIONS, step)):
    path = pathlib.Path(workdir) / name
    if path.is_file():
      kept = [row for row in read_lines(path) if row['step'] <= last]
      write_lines(path, kept)


def evaluations(
  workdir: str | pathlib.Path, step: int
) -> dict[str, float | None]:
  """Returns {protocol: value} of the evaluations that stand at a step."""
  rows = read_lines(pathlib.Path(workdir) / EVALUATIONS)
  return {r['protocol']: r['value'] for r in rows if r['step'] == step}


def baselines(
  workdir: str | pathlib.Path,
) -> dict[str, dict[str, float | None]]:
  """Returns {protocol: {baseline: value}} of the evaluations that stand."""
  rows = read_lines(pathlib.Path(workdir) / EVALUATIONS)
  known = {**BASELINES, **_OTHER_BASELINES}
  return {
    r['protocol']: {k: v for k, v in r.items() if k in known} for r in rows
  }


def final_rows(workdir: str | pathlib.Path) -> list[dict[str, Any]]:
  """Returns the newest evaluation of each protocol and split."""
  rows = read_lines(pathlib.Path(workdir) / EVALUATIONS)
  return list({(r['protocol'], r.get('split')): r for r in rows}.values())


# The run.


class Log:
  """The log of one run, a context manager; all but one process say nothing."""

  def __init__(
    self,
    workdir: str | pathlib.Path,
    *,
    num_steps: int,
    start_step: int = 0,
    is_writer: bool = True,
  ):
    """Opens the files; the screen starts with the `with` block.

    Args:
      workdir: folder of the run, already truncated to start_step.
      num_steps: of the whole run.
      start_step: steps taken before this process began.
      is_writer: whether this process writes and speaks at all.
    """
    self._workdir = pathlib.Path(workdir)
    self._is_writer = is_writer
    self._num_steps = num_steps
    self._first = None  # (time, step) of the first line: compilation is over
    if is_writer:
      self._console = _console()
      self._board = Board(self._workdir, start_step)
      for protocol, value in evaluations(workdir, start_step).items():
        self._board.write(start_step, {f'eval/{protocol}': value})
      self._progress = _progress(self._console, num_steps, start_step)

  def __enter__(self) -> 'Log':
    if self._is_writer and self._console.is_terminal:
      self._progress.start()
    return self

  def __exit__(self, *_) -> None:
    if self._is_writer:
      if self._console.is_terminal:
        self._progress.stop()
      self._board.close()

  def scalars(self, step: int, values: Mapping[str, Any]) -> None:
    """Logs the metrics of the step with index `step`.

    Args:
      step: index of the step, from 0.
      values: flat; `loss`, `images_per_second` and `data_wait` (a share of
        time in [0, 1]) go to the screen too.
    """
    if not self._is_writer:
      return
    append_line(self._workdir / METRICS, {'step': step, **values})
    self._board.write(step, values)
    text = _progress_text(values, self._time_left(step))
    if self._console.is_terminal:
      self._progress.update(0, completed=step + 1, text=text)
    else:
      self.say(f'step {step}/{self._num_steps}  {text}')

  def evaluation(
    self,
    step: int,
    protocol: str,
    split: str,
    value: float,
    baselines: Mapping[str, float],
  ) -> None:
    """Logs what a protocol says of the state after `step` steps.

    Args:
      step: steps taken.
      protocol: name of the protocol.
      split: that was scored.
      value: of this run.
      baselines: `random_init` and others on the same protocol.
    """
    if not self._is_writer:
      return
    words = beside([baselines])
    row = {'step': step, 'protocol': protocol, 'split': split, 'value': value}
    values = {key: baselines.get(key) for key in words}
    append_line(self._workdir / EVALUATIONS, {**row, **values})
    self._board.write(step, {f'eval/{protocol}': value})
    against = ', '.join(f'{words[k]} {number(v)}' for k, v in values.items())
    self.say(
      f'step {step}/{self._num_steps}  {protocol_name(protocol)}'
      f' {number(value)} on {split} ({against})'
    )

  def say(self, sentence: str) -> None:
    """Prints a sentence, above the bar where there is one."""
    if self._is_writer:
      self._console.print(Text(sentence), soft_wrap=True)

  def _time_left(self, step: int) -> float | None:
    """Returns seconds, by the pace since the first line."""
    now = time.monotonic()
    if self._first is None:
      self._first = (now, step)
    elapsed, done = now - self._first[0], step - self._first[1]
    return elapsed / done * (self._num_steps - step - 1) if done else None


def _progress(console: Console, num_steps: int, start_step: int) -> Progress:
  bar = Progress(
    TextColumn('step {task.completed}/{task.total}'),
    BarColumn(bar_width=None),
    TextColumn('{task.fields[text]}', markup=False),
    console=console,
  )
  bar.add_task('', total=num_steps, completed=start_step, text='compiling')
  return bar


def _progress_text(values: Mapping[str, Any], left: float | None) -> str:
  """Returns loss, images a second, share of waiting and time left as text."""
  words = []
  if 'loss' in values:
    words.append(f'loss {values["loss"]:.4f}')
  if 'images_per_second' in values:
    words.append(f'{values["images_per_second"]:,.0f} images/s')
  if 'data_wait' in values:
    words.append(f'{values["data_wait"]:.0%} waiting for data')
  if left is not None:
    words.append(f'{duration(left)} left')
  return '  '.join(words)


def duration(seconds: float) -> str:
  """Returns a length of time as h:mm:ss, or m:ss below an hour."""
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return (
    f'{hours}:{minutes:02}:{seconds:02}' if hours else f'{minutes}:{seconds:02}'
  )


# Tables.


def _console() -> Console:
  """Returns a console: up to _WIDTH wide on a terminal, else just that."""
  console = Console(highlight=False, file=sys.stdout)
  width = min(console.width, _WIDTH) if console.is_terminal else _WIDTH
  return Console(highlight=False, file=sys.stdout, width=width)


def describe(about: Mapping[str, Any]) -> None:
  """Prints what a run is about to do.

  Args:
    about: name -> value, in the order to show; `method` is the title.
  """
  grid = Table.grid(padding=(0, 2))
  grid.add_column(style='dim', no_wrap=True)
  grid.add_column(overflow='fold')
  for key, value in about.items():
    grid.add_row(Text(str(key)), Text(str(value)))
  _console().print(Panel(grid, title='sslax', title_align='left', expand=False))


def results_table(rows: Iterable[Mapping[str, Any]]) -> Group:
  """Returns this run beside its baselines, and where it is below one, so said.

  Args:
    rows: lines of evaluations.jsonl, one a protocol.
  """
  rows = list(rows)
  table = Table(title='results', title_justify='left', title_style='bold')
  for name in ('protocol', 'step'):
    table.add_column(name)
  baselines = beside(rows)
  for name in ('this run', *baselines.values(), 'gain'):
    table.add_column(name, justify='right')
  for row in rows:
    table.add_row(*map(Text, cells(row, baselines)))
  return Group(table, *map(Text, verdicts(rows)))


def cells(
  row: Mapping[str, Any], baselines: Iterable[str] = tuple(BASELINES)
) -> list[str]:
  """Returns the cells of a row of the results table, as text.

  Args:
    row: a line of evaluations.jsonl.
    baselines: those that the table has, from `beside`.
  """
  gain = (
    ''
    if row.get('random_init') is None or row['value'] is None
    else (f'{row["value"] - row["random_init"]:+.3f}')
  )
  others = ['' if (v := row.get(k)) is None else number(v) for k in baselines]
  name = f'{protocol_name(row["protocol"])} ({row.get("split", "test")})'
  return [name, str(row['step']), number(row['value']), *others, gain]


def verdicts(rows: Iterable[Mapping[str, Any]]) -> list[str]:
  """Returns a sentence for each baseline that a run is not above."""
  return [sentence for row in rows for sentence in _verdicts(row)]


def _verdicts(row: Mapping[str, Any]) -> list[str]:
  word, value = protocol_name(row['protocol']), row['value']
  if value is None:
    return [f'{word} is not finite.']
  if row['protocol'] in _NOT_A_SCORE:
    return []
  others = {words: row.get(key) for key, words in beside([row]).items()}
  return [
    f'{word} {number(value)} {"is below" if value < other else "only equals"}'
    f' {words} {number(other)}.'
    for words, other in others.items()
    if other is not None and value <= other
  ]


def results(workdir: str | pathlib.Path) -> None:
  """Prints the results of a run and the folder that holds it."""
  rows = final_rows(workdir)
  console = _console()
  if rows:
    console.print(results_table(rows))
  console.print(Text(f'all of it is in {workdir}'), soft_wrap=True)


def comparison(
  values: Mapping[str, Mapping[str, float]], *, step: int, split: str = 'test'
) -> None:
  """Prints the results of an evaluation that belongs to no log.

  Args:
    values: 'this run', 'random_init', ... -> {protocol: value}.
    step: steps taken by the encoder.
    split: that was scored.
  """
  _console().print(
    results_table(
      {
        'step': step,
        'protocol': protocol,
        'split': split,
        'value': value,
        **{k: v.get(protocol) for k, v in values.items() if k != 'this run'},
      }
      for protocol, value in values['this run'].items()
    )
  )


def settings(lines: Iterable[tuple[str, Any, str]]) -> None:
  """Prints what can be set.

  Args:
    lines: (key, value, one line of help).
  """
  table = Table(box=None, padding=(0, 2, 0, 0))
  table.add_column('--config.', no_wrap=True)
  table.add_column('default', overflow='fold')
  table.add_column('', overflow='fold')
  for key, value, text in lines:
    table.add_row(Text(key), Text(repr(value)), Text(text))
  _console().print(table)
