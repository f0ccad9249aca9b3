"""What a run writes and says, and what stands after a resumption."""

import json
import math
import time

import numpy as np
import pytest
from rich.console import Console
from tensorboard.backend.event_processing import plugin_event_accumulator

from sslax import log
from sslax.lines import append_line

_BESIDE = {'random_init': 0.31, 'raw_pixels': 0.44}


def _values(step):
  return {'loss': 1 / (step + 1), 'images_per_second': 512.0, 'data_wait': 0.03}


def _open(workdir, start=0, **kwargs):
  return log.Log(workdir, num_steps=10, start_step=start, **kwargs)


def _steps(workdir, first, last, start=0):
  """Runs the loop's order over steps, evaluating at multiples of 3."""
  with _open(workdir, start) as this:
    for step in range(first, last):
      if step % 3 == 0 and 'knn' not in log.evaluations(workdir, step):
        this.evaluation(step, 'knn', 'test', 0.1 * step, _BESIDE)
      this.scalars(step, _values(step))


def _column(path, key='step'):
  return [row[key] for row in log.read_lines(path)]


def test_lines_round_trip(tmp_path):
  rows = [{'step': 0, 'loss': 0.1, 'name': 'a "b"\n<c> ü'}, {'step': 1}]
  for row in rows:
    append_line(tmp_path / 'f', row)
  assert log.read_lines(tmp_path / 'f') == rows


def test_no_file_has_no_lines(tmp_path):
  assert log.read_lines(tmp_path / 'absent') == []


@pytest.mark.parametrize('value', [math.nan, -math.inf, np.float32('inf')])
def test_not_finite_is_null(tmp_path, value):
  append_line(tmp_path / 'f', {'step': np.int32(3), 'loss': value})
  text = (tmp_path / 'f').read_text()
  assert json.loads(text, parse_constant=pytest.fail) == {
    'step': 3,
    'loss': None,
  }


def test_a_torn_last_line_is_left_out(tmp_path):
  path = tmp_path / log.METRICS
  path.write_text('{"step": 0}\n{"step": 1}\n{"step": 2, "lo')
  assert _column(path) == [0, 1]
  log.truncate(tmp_path, 2)
  append_line(path, {'step': 2})
  assert _column(path) == [0, 1, 2]


def test_truncate_keeps_metrics_before_and_evaluations_up_to_the_step(tmp_path):
  _steps(tmp_path, 0, 8)
  log.truncate(tmp_path, 6)
  assert _column(tmp_path / log.METRICS) == [0, 1, 2, 3, 4, 5]
  assert _column(tmp_path / log.EVALUATIONS) == [0, 3, 6]
  assert {p.name for p in tmp_path.iterdir()} == {
    log.METRICS,
    log.EVALUATIONS,
    'tensorboard',
  }


def test_truncate_at_zero_drops_all_metrics(tmp_path):
  _steps(tmp_path, 0, 2)
  log.truncate(tmp_path, 0)
  assert _column(tmp_path / log.METRICS) == []
  assert _column(tmp_path / log.EVALUATIONS) == [0]


def test_after_a_resumption_each_step_stands_once(tmp_path):
  _steps(tmp_path, 0, 8)
  log.truncate(tmp_path, 6)
  time.sleep(1.01)  # TensorBoard orders files by the second they were begun in
  _steps(tmp_path, 6, 10, start=6)
  assert _column(tmp_path / log.METRICS) == list(range(10))
  assert _column(tmp_path / log.EVALUATIONS) == [0, 3, 6, 9]
  board = plugin_event_accumulator.EventAccumulator(
    str(tmp_path / 'tensorboard'),
    size_guidance={plugin_event_accumulator.TENSORS: 0},
  )
  board.Reload()
  tensors = {tag: [e.step for e in board.Tensors(tag)] for tag in
             ('loss', 'eval/knn')}  # fmt: skip
  assert tensors == {'loss': list(range(10)), 'eval/knn': [0, 3, 6, 9]}


def test_metrics_line_is_flat_with_the_agreed_keys(tmp_path):
  with _open(tmp_path) as this:
    this.scalars(4, {**_values(4), 'embedding_std': 0.9, 'nonfinite': False})
  assert log.read_lines(tmp_path / log.METRICS) == [
    {'step': 4, **_values(4), 'embedding_std': 0.9, 'nonfinite': False}
  ]


def test_evaluations_and_baselines_are_found_again(tmp_path):
  with _open(tmp_path) as this:
    this.evaluation(5, 'knn', 'test', 0.5, _BESIDE)
    this.evaluation(10, 'linear', 'test', 0.6, _BESIDE)
  assert log.read_lines(tmp_path / log.EVALUATIONS)[0] == {
    'step': 5, 'protocol': 'knn', 'split': 'test', 'value': 0.5, **_BESIDE
  }  # fmt: skip
  assert log.evaluations(tmp_path, 5) == {'knn': 0.5}
  assert log.evaluations(tmp_path, 6) == {}
  assert log.baselines(tmp_path) == {'knn': _BESIDE, 'linear': _BESIDE}


def test_plain_lines_off_a_terminal(tmp_path, capsys):
  with _open(tmp_path) as this:
    this.scalars(0, _values(0))
    this.scalars(5, _values(5))
    this.evaluation(6, 'knn', 'test', 0.5, _BESIDE)
    this.say('a [bold]word[/bold] stays as written')
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == (
    'step 0/10  loss 1.0000  512 images/s  3% waiting for data'
  )
  assert lines[1].endswith('waiting for data  0:00 left')
  assert lines[2] == (
    'step 6/10  kNN 0.500 on test (random initialization 0.310,'
    ' centered raw pixels 0.440)'
  )
  assert lines[3:] == ['a [bold]word[/bold] stays as written']


def test_live_bar_on_a_terminal(tmp_path, capsys, monkeypatch):
  monkeypatch.setenv('TTY_COMPATIBLE', '1')
  monkeypatch.setenv('COLUMNS', '120')
  with _open(tmp_path, start=3) as this:
    this.scalars(3, _values(3))
    this.scalars(9, _values(9))
  out = capsys.readouterr().out
  assert 'step 10/10' in out
  assert 'loss 0.1000' in out
  assert 'left' in out
  assert '\x1b[' in out


def test_other_processes_neither_write_nor_speak(tmp_path, capsys):
  with _open(tmp_path, is_writer=False) as this:
    this.scalars(0, _values(0))
    this.evaluation(0, 'knn', 'test', 0.5, _BESIDE)
    this.say('nothing')
  assert list(tmp_path.iterdir()) == []
  assert capsys.readouterr() == ('', '')


def _row(value, protocol='knn', **beside):
  return {'step': 9, 'protocol': protocol, 'split': 'test', 'value': value,
          **{**_BESIDE, **beside}}  # fmt: skip


@pytest.mark.parametrize(
  ('row', 'sentences'),
  [
    (_row(0.5), []),
    (_row(0.35), ['kNN 0.350 is below centered raw pixels 0.440.']),
    (_row(0.44), ['kNN 0.440 only equals centered raw pixels 0.440.']),
    (
      _row(0.2),
      [
        'kNN 0.200 is below random initialization 0.310.',
        'kNN 0.200 is below centered raw pixels 0.440.',
      ],
    ),
    (_row(None), ['kNN is not finite.']),
    (_row(0.2, random_init=None, raw_pixels=None), []),
    (_row(0.2, protocol='rankme'), []),
  ],
)
def test_verdicts_say_plainly_what_is_below_a_baseline(row, sentences):
  assert log.verdicts([row]) == sentences


def test_results_table_has_baselines_gain_and_sentence():
  console = Console(width=100)
  with console.capture() as captured:
    console.print(log.results_table([_row(0.35)]))
  text = captured.get()
  for word in ('kNN (test)', '0.350', '0.310', '0.440', '+0.040', 'is below'):
    assert word in text


def test_results_show_the_newest_of_each_protocol(tmp_path, capsys):
  with _open(tmp_path) as this:
    this.evaluation(5, 'knn', 'test', 0.222, _BESIDE)
    this.evaluation(10, 'knn', 'test', 0.555, _BESIDE)
    this.evaluation(10, 'linear', 'test', 0.666, _BESIDE)
  capsys.readouterr()
  log.results(tmp_path)
  out = capsys.readouterr().out
  assert '0.222' not in out
  assert '0.555' in out
  assert '0.666' in out
  assert str(tmp_path) in out


def test_comparison_prints_runs_beside_baselines(capsys):
  values = {'this run': {'knn': 0.5}, 'random_init': {'knn': 0.4},
            'raw_pixels': {'knn': 0.6}}  # fmt: skip
  log.comparison(values, step=7)
  out = capsys.readouterr().out
  assert '+0.100' in out
  assert 'kNN 0.500 is below centered raw pixels 0.600.' in out


def test_describe_fits_and_takes_names_literally(capsys):
  log.describe({'method': 'byol [b]', 'source': 'q' * 200})
  out = capsys.readouterr().out
  assert 'byol [b]' in out
  assert out.count('q') == 200
  assert max(map(len, out.splitlines())) <= 100


def test_settings_list_key_default_and_help(capsys):
  log.settings([('data.name', 'photos', 'source: [folder] or TFDS')])
  out = capsys.readouterr().out
  assert 'data.name' in out
  assert "'photos'" in out
  assert 'source: [folder] or TFDS' in out


@pytest.mark.parametrize(
  ('seconds', 'text'), [(0, '0:00'), (59.6, '1:00'), (3661, '1:01:01')]
)
def test_duration(seconds, text):
  assert log.duration(seconds) == text


def test_rows_of_another_modality_have_their_own_baselines(tmp_path, capsys):
  heard = {'random_init': 0.3, 'log_mel_stats': 0.7}
  with _open(tmp_path) as this:
    this.evaluation(0, 'knn', 'test', 0.5, heard)
    this.evaluation(0, 'zero_shot', 'test', 0.5, {'chance': 0.1})
  rows = log.read_lines(tmp_path / log.EVALUATIONS)
  assert 'raw_pixels' not in rows[0]
  assert log.baselines(tmp_path) == {
    'knn': heard, 'zero_shot': {'chance': 0.1}
  }  # fmt: skip
  assert list(log.beside(rows)) == ['random_init', 'log_mel_stats', 'chance']
  assert list(log.beside([{}])) == list(log.BASELINES)
  assert log.verdicts(rows) == ['kNN 0.500 is below log-mel statistics 0.700.']
  log.results(tmp_path)
  out = capsys.readouterr().out
  assert 'log-mel' in out
  assert 'pixels' not in out
