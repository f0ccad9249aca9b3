import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.nets import build
from sslax.nets.resnet3d import _by_frames, _directly, resnet3d

# torchvision's counts (their docs' num_params less the fc layer); those of
# depth 50 are of its VideoResNet with Bottleneck blocks.
_COUNTS = {
  ('r3d', 18): 33_166_272,
  ('r2plus1d', 18): 31_300_125,
  ('r3d', 50): 46_161_344,
  ('r2plus1d', 50): 53_130_091,
}
_TINY = {'width': 4, 'stage_sizes': (1, 1), 'stem': 'small'}


def _clips(shape=(2, 4, 8, 8, 3), dtype='float32'):
  return np.random.default_rng(0).normal(size=shape).astype(dtype)


def _shapes(net, shape=(2, 8, 32, 32, 3)):
  clips = jax.ShapeDtypeStruct(shape, jnp.float32)
  params, stats = jax.eval_shape(net.init, jax.random.key(0), clips)
  outputs, _ = jax.eval_shape(
    lambda p, s, x: net.apply(p, s, x, train=True), params, stats, clips
  )
  return params, outputs


def _count(params):
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(('kind', 'depth'), _COUNTS)
def test_parameter_count(kind, depth):
  params, features = _shapes(resnet3d(kind=kind, depth=depth))
  assert _count(params) == _COUNTS[kind, depth]
  assert features.shape == (2, 512 if depth == 18 else 2048)


@pytest.mark.parametrize(
  ('stem', 'size'), [('kinetics', 16), ('small', 32), ('small_stride2', 16)]
)
def test_stems_and_taps(stem, size):
  taps = ('features', 'stem', 'stage1', 'stage2')
  _, outputs = _shapes(resnet3d(**_TINY | {'stem': stem}, taps=taps))
  shapes = {name: output.shape for name, output in outputs.items()}
  assert shapes == {
    'stem': (2, 8, size, size, 4),
    'stage1': (2, 8, size, size, 4),
    'stage2': (2, 4, size // 2, size // 2, 8),
    'features': (2, 8),
  }


@pytest.mark.parametrize('kind', ['r3d', 'r2plus1d'])
def test_trains_and_evaluates(kind):
  net = resnet3d(**_TINY, kind=kind)
  params, stats = net.init(jax.random.key(0), _clips())
  apply = jax.jit(net.apply, static_argnames='train')
  features, moved = apply(params, stats, _clips(), train=True)
  assert features.shape == (2, 8)
  changed = jax.tree.map(lambda a, b: bool((a != b).any()), moved, stats)
  assert all(jax.tree.leaves(changed))
  _, kept = apply(params, stats, _clips(), train=False)
  for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(stats), strict=True):
    np.testing.assert_array_equal(a, b)


def test_order_of_frames_matters():
  net = resnet3d(**_TINY, zero_init_last=False)
  params, stats = net.init(jax.random.key(0), _clips())
  apply = jax.jit(net.apply, static_argnames='train')
  forward, _ = apply(params, stats, _clips(), train=False)
  backward, _ = apply(params, stats, _clips()[:, ::-1], train=False)
  assert np.abs(forward - backward).max() > 1e-2


@pytest.mark.parametrize(
  ('size', 'strides'),
  [
    ((3, 3, 3), (1, 1, 1)),
    ((3, 3, 3), (2, 2, 2)),
    ((3, 7, 7), (1, 2, 2)),
    ((3, 1, 1), (2, 1, 1)),
    ((1, 1, 1), (2, 2, 2)),
  ],
)
def test_convolutions_by_frames_are_3d_convolutions(size, strides):
  clips = _clips((2, 5, 8, 6, 3))
  kernel = np.random.default_rng(1).normal(size=(*size, 3, 4))
  kernel = kernel.astype(np.float32)
  padding = [(n // 2, n // 2) for n in size]
  kwargs = {'strides': strides, 'padding': padding, 'precision': None}
  want = _directly(clips, kernel, **kwargs)
  got = _by_frames(clips, kernel, **kwargs)
  np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * np.abs(want).max())


def test_zero_init_last_starts_blocks_as_the_identity():
  taps = ('stem', 'stage1')
  net = resnet3d(width=4, stage_sizes=(1,), stem='small', taps=taps)
  params, stats = net.init(jax.random.key(0), _clips())
  outputs, _ = net.apply(params, stats, _clips(), train=False)
  np.testing.assert_array_equal(outputs['stem'], outputs['stage1'])


def test_remat_is_there():
  net = resnet3d(**_TINY, remat=True)
  params, stats = net.init(jax.random.key(0), _clips())
  want, _ = resnet3d(**_TINY).apply(params, stats, _clips(), train=True)

  def loss(params):
    features, _ = net.apply(params, stats, _clips(), train=True)
    return features.sum(), features

  jaxpr = str(jax.make_jaxpr(jax.grad(loss, has_aux=True))(params))
  assert 'remat' in jaxpr or 'checkpoint' in jaxpr
  np.testing.assert_allclose(loss(params)[1], want, rtol=1e-4, atol=1e-5)


def test_bfloat16_keeps_parameters_and_features_in_float32():
  net = resnet3d(**_TINY, dtype='bfloat16', taps=('stage1', 'features'))
  params, outputs = _shapes(net)
  assert outputs['stage1'].dtype == jnp.bfloat16
  assert outputs['features'].dtype == jnp.float32
  assert {x.dtype.name for x in jax.tree.leaves(params)} == {'float32'}


def test_float64_stays(x64):
  _, features = _shapes(resnet3d(**_TINY, dtype='float64'))
  assert features.dtype == jnp.float64


def test_bytes_and_images_are_refused():
  net = resnet3d(**_TINY)
  with pytest.raises(ValueError, match='uint8'):
    net.init(jax.random.key(0), np.zeros((1, 2, 8, 8, 3), np.uint8))
  with pytest.raises(ValueError, match=r'\[B, T, H, W, C\]'):
    net.init(jax.random.key(0), np.zeros((1, 8, 8, 3), np.float32))


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'kind': 'r3'}, "net.kind='r3' .*'r3d'"),
    ({'depth': 101}, 'net.depth=101 .*18, 34, 50'),
    ({'stem': 'imagenet'}, "net.stem='imagenet'"),
    ({'stage_sizes': ()}, 'net.stage_sizes'),
    ({'stage_sizes': (1, 0)}, 'net.stage_sizes=0'),
    ({'width': 0}, 'net.width=0'),
    ({'taps': ('stage5',)}, "net.taps .*'stage5'"),
    ({'dtype': 'float23'}, "dtype='float23'"),
    ({'dept': 18}, "net.dept.*'depth'"),
  ],
)
def test_bad_input(kwargs, message):
  with pytest.raises(BadInputError, match=message):
    build('resnet3d', **kwargs)


_LEAVES = {
  'bias': 'bias',
  'running_mean': 'mean',
  'running_var': 'var',
}
_NAMES = [  # torchvision's path -> ours
  (r'^stem\.0$', 'conv1.conv'),
  (r'^stem\.1$', 'bn1'),
  (r'^layer(\d)\.(\d)\.', r'layer\1_\2.'),
  (r'downsample\.0$', 'downsample_conv.conv'),
  (r'downsample\.1$', 'downsample_bn'),
  (r'conv(\d)\.1$', r'bn\1'),
]
_R3D = [(r'(conv\d)\.0$', r'\1.conv')]
_R2PLUS1D = [
  (r'^stem\.0$', 'conv1.spatial'),
  (r'^stem\.1$', 'conv1.bn'),
  (r'^stem\.3$', 'conv1.temporal'),
  (r'^stem\.4$', 'bn1'),
  (r'(conv\d)\.0\.0$', r'\1.spatial'),
  (r'(conv\d)\.0\.1$', r'\1.bn'),
  (r'(conv\d)\.0\.3$', r'\1.temporal'),
]


def _from_torchvision(tensors, names):
  """(params, stats) of a torchvision VideoResNet."""
  trees = {}, {}
  for name, tensor in tensors.items():
    path, _, leaf = name.rpartition('.')
    if leaf == 'num_batches_tracked' or path == 'fc':
      continue
    for pattern, ours in names:
      path = re.sub(pattern, ours, path)
    array = tensor.numpy().copy()
    if array.ndim == 5:
      array, leaf = array.transpose(2, 3, 4, 1, 0), 'kernel'
    leaf = _LEAVES.get(leaf, 'scale' if leaf == 'weight' else leaf)
    branch = trees[leaf in ('mean', 'var')]
    for key in path.split('.'):
      branch = branch.setdefault(key, {})
    branch[leaf] = array
  return trees


@pytest.mark.parametrize(
  ('kind', 'names'),
  [('r3d', _R3D + _NAMES), ('r2plus1d', _R2PLUS1D + _NAMES)],
)
def test_equals_torchvision(kind, names):
  torch = pytest.importorskip('torch', reason='torch, the oracle, is absent')
  video = pytest.importorskip(
    'torchvision.models.video', reason='torchvision, the oracle, is absent'
  )
  torch.manual_seed(0)
  model = getattr(video, f'{kind}_18')(weights=None)
  model.fc = torch.nn.Identity()
  for name, tensor in model.state_dict().items():
    if name.endswith(('running_mean', 'bias')):
      tensor.normal_(0, 0.2)
    elif name.endswith('running_var') or tensor.ndim == 1:
      tensor.uniform_(0.5, 1.5)
  params, stats = _from_torchvision(model.state_dict(), names)
  net = resnet3d(kind=kind)
  clips = _clips((2, 5, 24, 24, 3))
  like = jax.eval_shape(net.init, jax.random.key(0), clips)
  assert jax.tree.map(jnp.shape, (params, stats)) == jax.tree.map(
    lambda x: x.shape, like
  )
  apply = jax.jit(net.apply, static_argnames='train')
  for train in (False, True):
    model.train(train)
    with torch.no_grad():
      want = model(torch.from_numpy(clips.transpose(0, 4, 1, 2, 3).copy()))
    got, _ = apply(params, stats, clips, train=train)
    scale = float(want.abs().max())
    np.testing.assert_allclose(got, want.numpy(), rtol=0, atol=1e-4 * scale)
