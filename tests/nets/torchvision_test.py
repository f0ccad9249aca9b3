"""Same weights, same outputs as torchvision and timm, where they are there."""

import jax
import numpy as np
import pytest

from sslax import export
from sslax.nets.resnet import resnet

torch = pytest.importorskip('torch', reason='torch, the oracle, is absent')
torchvision = pytest.importorskip(
  'torchvision', reason='torchvision, the oracle, is absent'
)


def _randomize(model):
  """Gives every parameter and running statistic a value that shows."""
  generator = torch.Generator().manual_seed(0)
  for name, tensor in model.state_dict().items():
    if name.endswith(('running_mean', 'bias')):
      tensor.normal_(0, 0.2, generator=generator)
    elif name.endswith('running_var') or tensor.ndim == 1:
      tensor.uniform_(0.5, 1.5, generator=generator)
  return model


def _images(size=64):
  images = np.random.default_rng(0).normal(size=(4, size, size, 3))
  return images.astype(np.float32)


def _torch_features(model, train):
  model.train(train)
  with torch.no_grad():
    return model(torch.from_numpy(_images().transpose(0, 3, 1, 2))).numpy()


def _tensors(model):
  return {k: v.numpy().copy() for k, v in model.state_dict().items()}


def _assert_close(got, want, tolerance=1e-4):
  scale = np.abs(want).max()
  np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * scale)


def _compare(model, depth):
  params, stats = export.from_timm(_tensors(model))
  apply = jax.jit(resnet(depth=depth).apply, static_argnames='train')
  want = _torch_features(model, train=False)
  got, _ = apply(params, stats, _images(), train=False)
  _assert_close(got, want)
  want = _torch_features(model, train=True)  # moves the model's statistics
  got, moved = apply(params, stats, _images(), train=True)
  _assert_close(got, want)
  _, want = export.from_timm(_tensors(model))
  assert jax.tree.structure(want) == jax.tree.structure(moved)
  for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(want), strict=True):
    _assert_close(a, b)


@pytest.mark.parametrize('depth', [18, 50])
def test_equals_torchvision(depth):
  torch.manual_seed(0)
  model = getattr(torchvision.models, f'resnet{depth}')(weights=None)
  model.fc = torch.nn.Identity()
  _compare(_randomize(model), depth)


def test_exported_file_loads_strictly_in_timm(tmp_path):
  timm = pytest.importorskip('timm', reason='timm, the oracle, is absent')
  safetensors_torch = pytest.importorskip('safetensors.torch')
  net = resnet(depth=18, zero_init_last=False)
  params, stats = net.init(jax.random.key(0), _images())
  path = tmp_path / 'encoder.safetensors'
  export.verified_export(net, params, stats, path, _images())
  model = timm.create_model('resnet18', num_classes=0)
  model.load_state_dict(safetensors_torch.load_file(path), strict=True)
  want, _ = jax.jit(net.apply, static_argnames='train')(
    params, stats, _images(), train=False
  )
  _assert_close(_torch_features(model, train=False), want)
