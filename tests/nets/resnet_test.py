import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.nets.resnet import _Block, resnet

# torchvision's counts (their docs' num_params less the fc layer).
_COUNTS = {
  18: 11_176_512,
  34: 21_284_672,
  50: 23_508_032,
  101: 42_500_160,
  152: 58_143_808,
  200: 62_624_832,  # timm's resnet200 without its classifier
}
_TINY = {'width': 4, 'stage_sizes': (1, 1), 'stem': 'small'}


def _images(shape=(4, 8, 8, 3), dtype='float32'):
  return np.random.default_rng(0).normal(size=shape).astype(dtype)


def _shapes(net, size=64):
  images = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
  params, stats = jax.eval_shape(net.init, jax.random.key(0), images)
  outputs, _ = jax.eval_shape(
    lambda p, s, x: net.apply(p, s, x, train=True), params, stats, images
  )
  return params, outputs


def _count(params):
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


@pytest.fixture(scope='module')
def tiny():
  net = resnet(**_TINY, zero_init_last=False)
  return net, *net.init(jax.random.key(0), _images())


@pytest.mark.parametrize('depth', _COUNTS)
def test_parameter_count(depth):
  images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  net = resnet(depth=depth)
  params, _ = jax.eval_shape(net.init, jax.random.key(0), images)
  assert _count(params) == _COUNTS[depth]


def test_small_network():
  net = resnet(width=16, stem='small_stride2', stage_sizes=(1, 1, 1))
  params, features = _shapes(net, size=32)
  assert _count(params) == 77_392
  assert features.shape == (2, 64)


def test_width_multiplier_multiplies_every_channel():
  wide, _ = _shapes(resnet(depth=18, width_multiplier=2))
  same, features = _shapes(resnet(depth=18, width=128))
  assert jax.tree.map(jnp.shape, wide) == jax.tree.map(jnp.shape, same)
  assert features.shape == (2, 1024)


@pytest.mark.parametrize(
  ('stem', 'sizes'),
  [
    ('imagenet', (16, 16, 8)),
    ('small', (64, 64, 32)),
    ('small_stride2', (32, 32, 16)),
  ],
)
def test_stems_and_taps(stem, sizes):
  taps = ('features', 'stem', 'stage1', 'stage2')
  _, outputs = _shapes(resnet(**_TINY | {'stem': stem}, taps=taps))
  shapes = {name: output.shape for name, output in outputs.items()}
  assert shapes == {
    'stem': (2, sizes[0], sizes[0], 4),
    'stage1': (2, sizes[1], sizes[1], 4),
    'stage2': (2, sizes[2], sizes[2], 8),
    'features': (2, 8),
  }


def test_features_tap_is_the_pooled_last_stage(tiny):
  _, params, stats = tiny
  net = resnet(**_TINY, taps=('stage2', 'features'))
  outputs, _ = net.apply(params, stats, _images(), train=False)
  pooled = np.asarray(outputs['stage2']).mean((1, 2))
  np.testing.assert_allclose(outputs['features'], pooled, rtol=1e-5)


def test_zero_init_last_starts_blocks_as_the_identity():
  images = _images()
  net = resnet(width=4, stage_sizes=(1,), stem='small', taps=('stem', 'stage1'))
  params, stats = net.init(jax.random.key(0), images)
  np.testing.assert_array_equal(params['layer1_0']['bn2']['scale'], 0)
  np.testing.assert_array_equal(params['layer1_0']['bn1']['scale'], 1)
  outputs, _ = net.apply(params, stats, images, train=False)
  np.testing.assert_array_equal(outputs['stem'], outputs['stage1'])


def test_zero_init_last_of_a_bottleneck_is_the_third():
  block = _Block(2, 1, bottleneck=True, zero_init_last=True, dtype='float32')
  params = block.init(jax.random.key(0), _images((1, 2, 2, 3)), False)['params']
  scales = [params[f'bn{i}']['scale'].max() for i in (1, 2, 3)]
  assert scales == [1, 1, 0]


def test_kernels_are_kaiming_fan_out():
  net = resnet(width=64, stage_sizes=(1,), stem='imagenet')
  params, _ = net.init(jax.random.key(0), _images((1, 32, 32, 3)))
  fan_out = 7 * 7 * 64
  std = np.std(params['conv1']['kernel'])
  np.testing.assert_allclose(std, math.sqrt(2 / fan_out), rtol=0.05)


def test_remat_gives_the_same_gradients(tiny):
  net, params, stats = tiny
  remat = resnet(**_TINY, remat=True)

  def loss(params, net):
    features, new = net.apply(params, stats, _images(), train=True)
    return jnp.square(features).sum(), new

  want, got = (
    jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnums=1)(params, n)
    for n in (net, remat)
  )
  assert jax.tree.structure(want) == jax.tree.structure(got)
  for a, b in zip(jax.tree.leaves(want), jax.tree.leaves(got), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
  jaxpr = str(
    jax.make_jaxpr(lambda p: jax.grad(loss, has_aux=True)(p, remat))(params)
  )
  assert 'remat' in jaxpr or 'checkpoint' in jaxpr


def test_train_moves_statistics_and_eval_does_not(tiny):
  net, params, stats = tiny
  images = _images()
  _, moved = net.apply(params, stats, images, train=True)
  assert jax.tree.structure(moved) == jax.tree.structure(stats)
  changed = jax.tree.map(lambda a, b: bool((a != b).any()), moved, stats)
  assert all(jax.tree.leaves(changed))
  _, kept = net.apply(params, stats, images, train=False)
  assert kept is stats


def test_statistics_are_torchs(tiny):
  net, params, stats = tiny
  images = _images()
  taps = resnet(**_TINY, taps=('stem',))
  del net
  _, moved = taps.apply(params, stats, images, train=True)
  kernel = np.asarray(params['conv1']['kernel'])
  padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
  windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
  conv = np.einsum('bhwcij,ijco->bhwo', windows, kernel).reshape(-1, 4)
  bn1 = moved['bn1']
  np.testing.assert_allclose(bn1['mean'], 0.1 * conv.mean(0), atol=1e-6)
  unbiased = 0.9 + 0.1 * conv.var(0, ddof=1)
  np.testing.assert_allclose(bn1['var'], unbiased, rtol=1e-5)


def test_bfloat16_keeps_parameters_and_features_in_float32(tiny):
  want_net, params, stats = tiny
  net = resnet(**_TINY, dtype='bfloat16', taps=('stage1', 'features'))
  outputs, moved = net.apply(params, stats, _images(), train=True)
  want, _ = want_net.apply(params, stats, _images(), train=True)
  assert outputs['stage1'].dtype == jnp.bfloat16
  assert outputs['features'].dtype == jnp.float32
  assert {x.dtype.name for x in jax.tree.leaves(moved)} == {'float32'}
  np.testing.assert_allclose(outputs['features'], want, atol=0.05)


def test_float64_stays(x64):
  net = resnet(**_TINY, dtype='float64')
  images = _images(dtype='float32')
  params, stats = net.init(jax.random.key(0), images)
  features, moved = net.apply(params, stats, images, train=True)
  dtypes = {x.dtype.name for x in jax.tree.leaves((params, moved, features))}
  assert dtypes == {'float64'}


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_inputs_of_any_floating_dtype(tiny, dtype):
  net, params, stats = tiny
  images = jnp.asarray(_images()).astype(dtype)
  features, _ = net.apply(params, stats, images, train=False)
  assert features.dtype == jnp.float32


def test_unnormalized_bytes_are_refused(tiny):
  net, params, stats = tiny
  with pytest.raises(ValueError, match='uint8'):
    net.apply(params, stats, np.zeros((1, 8, 8, 3), np.uint8), train=False)


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'depth': 51}, 'net.depth=51 .*18, 34, 50, 101, 152, 200'),
    ({'stem': 'smal'}, "net.stem='smal' .*'small'"),
    ({'taps': ('stage5',)}, "net.taps .*'stage5'.*'stage4'"),
    ({'stage_sizes': ()}, 'net.stage_sizes'),
    ({'stage_sizes': (1, 0)}, 'net.stage_sizes'),
    ({'width': 0}, 'net.width=0'),
    ({'dtype': 'float23'}, "dtype='float23' .*'float32'"),
  ],
)
def test_bad_input(kwargs, message):
  with pytest.raises(BadInputError, match=message):
    resnet(**kwargs)
