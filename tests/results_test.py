"""The table of results is what the runs wrote, and refuses unfinished ones."""

import importlib.util
import json
import pathlib

import pytest

_PATH = pathlib.Path(__file__).parent.parent / 'docs' / 'results.py'
_SPEC = importlib.util.spec_from_file_location('docs_results', _PATH)
results = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(results)


def _run(folder, name, knn, last=10):
  folder.mkdir()
  config = {
    'method': {'name': name},
    'net': {'name': 'resnet'},
    'data': {'name': 'photos'},
    'num_steps': 10,
    'batch_size': 64,
    'seed': 3,
  }
  rows = [{'step': s, 'images_per_second': 320, 'peak_memory_mib': 7 + s}
          for s in range(3)]  # fmt: skip
  scores = [
    {'step': last, 'protocol': p, 'value': v, 'random_init': 0.5,
     'raw_pixels': 0.25}
    for p, v in (('knn', knn), ('sts', 0.75))
  ]  # fmt: skip
  (folder / 'config.json').write_text(json.dumps(config))
  for file, lines in (('metrics', rows), ('evaluations', scores)):
    text = ''.join(json.dumps(line) + '\n' for line in lines)
    (folder / f'{file}.jsonl').write_text(text)
  return str(folder)


def test_rows_hold_what_the_runs_wrote_and_the_best_gain_is_first(tmp_path):
  runs = [_run(tmp_path / n, n, v) for n, v in (('low', 0.4), ('high', 0.625))]
  out = tmp_path / 'results.md'
  assert results.main([*runs, f'--out={out}']) == 0
  text = out.read_text()
  row = '| high | resnet | 640 | 0.625 | +0.125 |  |  | 0.250 | 320 | 0.0 | 9'
  assert row in text
  assert text.index('| high |') < text.index('| low |')
  assert '- high, sts: 0.750; random init 0.500, raw pixels 0.250' in text


def test_a_run_that_did_not_finish_is_refused(tmp_path):
  run = _run(tmp_path / 'short', 'short', 0.5, last=5)
  with pytest.raises(SystemExit, match='stopped at 5 of 10 steps'):
    results.main([run, f'--out={tmp_path / "results.md"}'])
  with pytest.raises(SystemExit, match='not the folder of a run'):
    results.main([str(tmp_path), f'--out={tmp_path / "results.md"}'])
