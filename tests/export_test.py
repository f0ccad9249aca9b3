import jax
import numpy as np
import pytest
import safetensors

from sslax import export, nets
from sslax.errors import BadInputError
from sslax.nets.net import Net

_NET = {'width': 4, 'stage_sizes': (1, 1), 'stem': 'small'}


def _images():
  images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
  return images.astype(np.float32)


@pytest.fixture(scope='module')
def trained():
  """A network whose every number is its own."""
  net = nets.resnet(**_NET)
  params, stats = net.init(jax.random.key(0), _images())
  rng = np.random.default_rng(1)

  def draw(x):
    return rng.uniform(0.5, 1.5, x.shape).astype(x.dtype)

  return net, *jax.tree.map(draw, (params, stats))


def _assert_equal(got, want):
  assert jax.tree.structure(got) == jax.tree.structure(want)
  jax.tree.map(np.testing.assert_array_equal, got, want)


def test_names_are_timms(trained):
  _, params, stats = trained
  tensors = export.to_timm(params, stats)
  norm = ['weight', 'bias', 'running_mean', 'running_var']
  blocks = {'layer1.0': False, 'layer2.0': True}
  want = {'conv1.weight', *(f'bn1.{leaf}' for leaf in norm)}
  for block, downsample in blocks.items():
    want |= {f'{block}.conv1.weight', f'{block}.conv2.weight'}
    want |= {f'{block}.bn{i}.{leaf}' for i in (1, 2) for leaf in norm}
    if downsample:
      want |= {f'{block}.downsample.0.weight'}
      want |= {f'{block}.downsample.1.{leaf}' for leaf in norm}
  assert set(tensors) == want


def test_kernels_are_out_in_height_width(trained):
  _, params, stats = trained
  got = export.to_timm(params, stats)['layer2.0.conv1.weight']
  kernel = params['layer2_0']['conv1']['kernel']
  assert got.shape == (8, 4, 3, 3)
  assert got[5, 2, 0, 1] == kernel[0, 1, 2, 5]


def test_round_trip_through_a_file(trained, tmp_path):
  _, params, stats = trained
  path = tmp_path / 'encoder.safetensors'
  export.write_safetensors(path, params, stats, {'note': 'x'})
  got = export.from_timm(export.read_safetensors(path))
  _assert_equal(got, (params, stats))
  with safetensors.safe_open(path, 'numpy') as file:
    assert file.metadata() == {'format': 'pt', 'note': 'x'}
  assert list(tmp_path.iterdir()) == [path]


def test_classifier_and_counters_are_left_out(trained):
  _, params, stats = trained
  tensors = export.to_timm(params, stats)
  tensors['fc.weight'], tensors['fc.bias'] = np.ones((2, 8)), np.ones(2)
  tensors['bn1.num_batches_tracked'] = np.array(3)
  _assert_equal(export.from_timm(tensors), (params, stats))


@pytest.mark.parametrize(
  'name', ['conv1.0.weight', 'layer1.0.se.fc1.weight', 'bn1.gamma']
)
def test_another_networks_tensor_is_named(name):
  with pytest.raises(BadInputError, match=f"'{name}'"):
    export.from_timm({name: np.ones(3)})


def test_another_network_is_refused(tmp_path):
  net = nets.mlp(hidden=(4,), features=2)
  params, stats = net.init(jax.random.key(0), _images()[:, 0, 0])
  path = tmp_path / 'encoder.safetensors'
  with pytest.raises(BadInputError, match=r'only net\.name=resnet'):
    export.write_safetensors(path, params, stats)
  assert not list(tmp_path.iterdir())


def test_verified_export_gives_the_same_features(trained, tmp_path):
  net, params, stats = trained
  path = tmp_path / 'encoder.safetensors'
  export.verified_export(net, params, stats, path, _images())
  params, stats = export.from_timm(export.read_safetensors(path))
  got, _ = net.apply(params, stats, _images(), train=False)
  want, _ = net.apply(trained[1], trained[2], _images(), train=False)
  np.testing.assert_array_equal(got, want)


def test_other_features_are_not_written(trained, tmp_path, monkeypatch):
  net, params, stats = trained
  path = tmp_path / 'encoder.safetensors'
  path.write_bytes(b'older')
  read = export.read_safetensors

  def damaged(file):
    tensors = read(file)
    tensors['bn1.bias'] = tensors['bn1.bias'] + np.float32(0.5)
    return tensors

  monkeypatch.setattr(export, 'read_safetensors', damaged)
  with pytest.raises(RuntimeError, match='other features'):
    export.verified_export(net, params, stats, path, _images())
  assert path.read_bytes() == b'older'
  assert list(tmp_path.iterdir()) == [path]


def test_features_that_are_not_finite_are_not_written(trained, tmp_path):
  net, params, stats = trained
  broken = Net(
    net.init,
    lambda *args, **kwargs: (net.apply(*args, **kwargs)[0] * np.nan, stats),
  )
  path = tmp_path / 'encoder.safetensors'
  with pytest.raises(RuntimeError, match='not finite'):
    export.verified_export(broken, params, stats, path, _images())
  assert not list(tmp_path.iterdir())


def test_float64_stays_in_the_file(trained, tmp_path, x64):
  _, params, stats = jax.tree.map(lambda x: x, trained)
  wide = jax.tree.map(lambda x: x.astype(np.float64) / 3, (params, stats))
  path = tmp_path / 'encoder.safetensors'
  export.write_safetensors(path, *wide)
  _assert_equal(export.from_timm(export.read_safetensors(path)), wide)


def test_no_folder_to_write_in(trained, tmp_path):
  _, params, stats = trained
  path = tmp_path / 'absent' / 'encoder.safetensors'
  with pytest.raises(BadInputError, match=r'absent.* cannot be written'):
    export.write_safetensors(path, params, stats)


def test_damaged_and_absent_files(trained, tmp_path):
  _, params, stats = trained
  path = tmp_path / 'encoder.safetensors'
  with pytest.raises(BadInputError, match='cannot be read'):
    export.read_safetensors(path)
  export.write_safetensors(path, params, stats)
  path.write_bytes(path.read_bytes()[:-5])
  with pytest.raises(BadInputError, match='cannot be read'):
    export.read_safetensors(path)


def test_unknown_format_is_refused(capsys):
  with pytest.raises(SystemExit) as stopped:
    export.main(['--workdir=x', '--to=onnx'])
  assert stopped.value.code == 2
  assert 'safetensors' in capsys.readouterr().err
