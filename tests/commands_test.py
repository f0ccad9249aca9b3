"""The commands, on one finished smoke run; and what they refuse."""

import json
import pathlib

import jax
import numpy as np
import pytest
import safetensors
from PIL import Image

import sslax
from sslax import config as config_lib
from sslax import embed, evaluate, export, init_from, main, workdir
from sslax.errors import BadInputError
from tests import command

SMOKE = f'--config={command.ROOT}/configs/byol.py:smoke'


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  path = tmp_path_factory.mktemp('run')
  words = ('--config.eval.every_steps=0', '--config.eval.final=knn')
  assert main.main([SMOKE, *words, f'--workdir={path}']) == 0
  return path


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
  """Two classes of eight images, of several sizes and modes."""
  root = tmp_path_factory.mktemp('pictures')
  rng = np.random.default_rng(0)
  for name, low in (('dark', 0), ('light', 128)):
    (root / name).mkdir()
    for i in range(24):
      pixels = rng.integers(low, low + 128, (20 + i, 30, 3), np.uint8)
      image = Image.fromarray(pixels)
      image = image.convert(('RGB', 'L', 'RGBA')[i % 3])
      image.save(root / name / f'{i}.png')
  return root


def test_load_gives_a_function_of_images(finished):
  encoder = sslax.load(finished)
  images = np.random.default_rng(0).integers(0, 256, (5, 40, 30, 3), np.uint8)
  features = encoder(images)
  assert features.shape == (5, 16)
  assert features.dtype == np.float32
  np.testing.assert_allclose(encoder(images / 255), features, atol=1e-5)
  np.testing.assert_allclose(encoder(images[:1]), features[:1], atol=1e-5)
  with pytest.raises(ValueError, match=r'expected \[B, H, W, 3\]'):
    encoder(images[0])
  with pytest.raises(ValueError, match='floats in'):
    encoder(images.astype(np.float32))


def test_load_refuses_a_folder_without_a_run(tmp_path):
  with pytest.raises(BadInputError, match=r'no run: there is no .*config.json'):
    sslax.load(tmp_path)


def test_a_run_starts_from_the_weights_of_another(finished, tmp_path):
  words = (SMOKE, '--config.num_steps=1', '--config.optim.learning_rate=0.0')
  words = (*words, '--config.eval.final=rankme', '--config.eval.every_steps=0')
  words = (*words, f'--config.init_from={finished}', f'--workdir={tmp_path}')
  assert main.main(words) == 0
  weights = [sslax.load(path).params for path in (finished, tmp_path)]
  jax.tree.map(np.testing.assert_array_equal, *weights)


def test_export_writes_weights_that_a_run_can_start_from(finished, tmp_path):
  path = tmp_path / 'encoder.safetensors'
  words = [f'--workdir={finished}', '--to=safetensors', f'--out={path}']
  assert export.main(words) == 0
  encoder = sslax.load(finished)
  params, stats = export.from_timm(export.read_safetensors(path))
  jax.tree.map(np.testing.assert_array_equal, params, encoder.params)
  jax.tree.map(np.testing.assert_array_equal, stats, encoder.stats)
  with safetensors.safe_open(path, 'numpy') as file:
    metadata = file.metadata()
  assert json.loads(metadata['mean']) == list(encoder.config.views.mean)
  assert metadata['step'] == '4'
  fresh = encoder.at_random_init()
  started = init_from.load_weights(str(path), fresh)
  jax.tree.map(np.testing.assert_array_equal, started.params['encoder'], params)


def test_weights_from_nowhere_are_refused():
  with pytest.raises(BadInputError, match='neither is there'):
    init_from.load_weights('nowhere', None)


@pytest.mark.parametrize('kind', ['npz', 'parquet'])
def test_embed_writes_a_row_an_image(finished, pictures, tmp_path, kind):
  out = tmp_path / f'out.{kind}'
  words = [f'--workdir={finished}', f'--images={pictures}', f'--out={out}']
  assert embed.main(words) == 0
  if kind == 'npz':
    with np.load(out) as file:
      paths, rows = file['path'], file['embedding']
  else:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(out).to_pydict()
    paths, rows = table['path'], np.array(table['embedding'])
  assert len(paths) == len(rows) == 48
  assert np.isfinite(rows).all()


def test_embed_refuses_another_ending(finished, pictures):
  words = [f'--workdir={finished}', f'--images={pictures}', '--out=x.csv']
  with pytest.raises(BadInputError, match=r'\.npz or \.parquet'):
    embed.main(words)


def test_evaluate_prints_the_run_beside_its_baselines(finished, capsys):
  assert evaluate.main([f'--workdir={finished}', '--protocols=knn']) == 0
  out = capsys.readouterr().out
  row = json.loads(
    (finished / 'evaluations.jsonl').read_text().splitlines()[-1]
  )
  assert row['protocol'] == 'knn'
  assert f'{row["value"]:.3f}' in out
  assert f'{row["random_init"]:.3f}' in out


def test_evaluate_refuses_labels_that_are_not_there(finished, pictures):
  words = [f'--workdir={finished}', '--source=folder', f'--path={pictures}']
  with pytest.raises(BadInputError, match='needs labels'):
    evaluate.main([*words, '--protocols=knn'])
  with pytest.raises(BadInputError, match="did you mean 'knn'"):
    evaluate.main([*words, '--protocols=kn'])


def test_a_folder_without_labels_trains_and_reports(pictures, tmp_path, capsys):
  words = (
    f'--config={command.ROOT}/configs/byol.py:folder',
    f'--config.data.path={pictures}',
    '--config.num_steps=2',
    '--config.batch_size=8',
    '--config.net.width=8',
    '--config.net.stage_sizes=(1,1)',
    '--config.views.size=32',
    f'--workdir={tmp_path / "run"}',
  )
  assert main.main(words) == 0
  assert 'view retrieval' in capsys.readouterr().out
  assert (tmp_path / 'run' / 'report.html').is_file()


@pytest.mark.parametrize(
  ('words', 'sentence'),
  [
    ([], '--config is missing'),
    (['--config=bijol'], "did you mean 'byol'"),
    (['--config=byol:cifar'], "did you mean 'cifar10'"),
    (['--config=byol', '--config.bach_size=8'], "did you mean 'batch_size'"),
    (['--config=byol', '--config.method.name=bylo'], "did you mean 'byol'"),
    (['--config=byol', '--config.method.hiden_size=8'], 'hidden_size'),
    (['--config=byol', '--config.net.width=wide'], 'expected int'),
    (['--config=byol', '--config.num_steps=0'], 'num_steps is 0'),
    (['--config=byol', '--config.dtype=float16'], 'dtype is'),
    (['--config=byol', '--wrkdir=x'], "did you mean '--workdir'"),
    (['--config=byol', '--config.data.name=folder'], 'data.path'),
    (['--config=byol', '--config.batch_size=4000'], 'batch_size is 4000'),
    (['--config=byol', '--config.batch_size=12'], '8 or 16'),
    (['--config=byol', '--config.mesh.fsdp=3'], 'mesh.fsdp is 3'),
  ],
)
def test_bad_input_is_one_sentence(words, sentence, tmp_path, capsys):
  from sslax.cli import BAD_INPUT, run_main

  workdir = [] if '--wrkdir=x' in words else [f'--workdir={tmp_path / "run"}']
  assert run_main(main.main, [*words, *workdir]) == BAD_INPUT
  err = capsys.readouterr().err
  assert sentence in err
  assert err.count('\n') == 1
  assert not (tmp_path / 'run').exists()


def test_a_folder_with_other_files_is_no_workdir(tmp_path):
  (tmp_path / 'thesis.tex').write_text('x')
  config = config_lib.override(config_lib.load('byol:smoke'), [])
  with pytest.raises(BadInputError, match='holds no run'):
    workdir.check(tmp_path, config)


def test_list_shows_every_key_with_its_help(capsys):
  assert main.main(['--config=byol', '--list']) == 0
  out = capsys.readouterr().out
  for key in ('method.momentum', 'optim.learning_rate', 'data.path'):
    assert key in out
  config = config_lib.override(config_lib.load('byol'), [])
  for key, _, text in config_lib.help_lines(config):
    assert text, f'{key} has no help'


def test_help_names_the_examples(capsys):
  with pytest.raises(SystemExit):
    main.main(['--help'])
  out = capsys.readouterr().out
  assert 'configs/byol.py' in out
  assert 'exit codes' in out


def test_a_bucket_is_refused_before_anything_is_written():
  path = pathlib.Path('gs://bucket/run')
  with pytest.raises(BadInputError, match='gs:/bucket/run is an address'):
    workdir.check(path, None)
