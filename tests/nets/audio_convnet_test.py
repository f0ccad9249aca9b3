import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.nets import build
from sslax.nets.audio_convnet import audio_convnet
from sslax.ops.log_mel import log_mel

_TINY = {'width': 4, 'stage_sizes': (1, 1)}


def _spectrograms(batch=4):
  rng = np.random.default_rng(0)
  return rng.normal(size=(batch, 12, 8)).astype(np.float32)


@pytest.fixture(scope='module')
def tiny():
  net = audio_convnet(**_TINY)
  params, stats = net.init(jax.random.key(0), _spectrograms())
  return jax.jit(net.apply, static_argnames='train'), params, stats


def test_features_have_the_last_stages_width():
  net = audio_convnet()
  sound = jax.ShapeDtypeStruct((2, 16_000), jnp.float32)
  spectrograms = jax.eval_shape(log_mel, sound)
  assert spectrograms.shape == (2, 98, 64)
  params, stats = jax.eval_shape(net.init, jax.random.key(0), spectrograms)
  features, _ = jax.eval_shape(
    lambda p, s, x: net.apply(p, s, x, train=True), params, stats, spectrograms
  )
  assert (features.shape, features.dtype) == ((2, 256), jnp.float32)


def test_a_channel_axis_changes_nothing(tiny):
  apply, params, stats = tiny
  want, _ = apply(params, stats, _spectrograms(), train=False)
  got, _ = apply(params, stats, _spectrograms()[..., None], train=False)
  np.testing.assert_array_equal(want, got)


def test_pools_the_largest(tiny):
  apply, params, stats = tiny
  largest, _ = apply(params, stats, _spectrograms(), train=False)
  mean, _ = audio_convnet(**_TINY, pool='mean').apply(
    params, stats, _spectrograms(), train=False
  )
  assert largest.shape == mean.shape == (4, 8)
  assert (largest >= mean).all()
  assert (largest > mean + 1e-3).any()


def test_first_normalization_makes_up_for_the_scale(tiny):
  apply, params, stats = tiny
  want, moved = apply(params, stats, 50 * _spectrograms(), train=True)
  got, _ = apply(params, stats, 5000 * _spectrograms(), train=True)
  np.testing.assert_allclose(want, got, atol=1e-3)
  changed = jax.tree.map(lambda a, b: bool((a != b).any()), moved, stats)
  assert all(jax.tree.leaves(changed))


def test_bfloat16_keeps_features_in_float32(tiny):
  _, params, stats = tiny
  net = audio_convnet(**_TINY, dtype='bfloat16')
  features, _ = net.apply(params, stats, _spectrograms(), train=False)
  assert features.dtype == jnp.float32


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'pool': 'mx'}, "net.pool='mx' .*'max'"),
    ({'stage_sizes': ()}, 'net.stage_sizes'),
    ({'width': 0}, 'net.width=0'),
    ({'widths': 3}, "net.widths.*'width'"),
  ],
)
def test_bad_input(kwargs, message):
  with pytest.raises(BadInputError, match=message):
    build('audio_convnet', **kwargs)


def test_wrong_shape():
  with pytest.raises(ValueError, match=r'spectrograms has shape \[2, 4, 4, 3'):
    audio_convnet().init(jax.random.key(0), np.zeros((2, 4, 4, 3), np.float32))
