"""Context encoder: what is hidden, what counts, and who learns from what."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.methods.context_encoder import context_encoder
from sslax.nets import resnet

_SIZE, _BLOCK = 16, 8


def _method(**kwargs):
  encoder = resnet(width=8, stem='small_stride2', stage_sizes=(1, 1))
  return context_encoder(
    encoder,
    block_size=_BLOCK,
    overlap=1,
    tap='stage2',
    bottleneck=8,
    width=4,
    **kwargs,
  )


@pytest.fixture(scope='module')
def setup():
  method = _method(reconstruction_weight=0.5)
  view = jax.random.uniform(
    jax.random.key(0), (8, _SIZE, _SIZE, 3), minval=-1, maxval=1
  )
  batch = {'views': (view,)}
  return method, batch, *method.init(jax.random.key(1), batch)


def test_each_player_gets_the_gradient_of_its_own_loss(setup):
  method, batch, params, state = setup

  def values(params):
    loss, (_, metrics) = method.loss(
      params, state, batch, rng=jax.random.key(2), step=jnp.int32(0)
    )
    painting = 0.5 * metrics['reconstruction'] + 0.5 * metrics['fooled']
    return {'total': loss, 'painting': painting, **metrics}

  of = jax.jit(jax.jacrev(values))(params)
  for part in ('encoder', 'decoder'):
    assert not _any(of['judging'][part])
    assert _any(of['fooled'][part])
    _assert_equal(of['total'][part], of['painting'][part])
  assert not _any(of['painting']['discriminator'])
  assert _any(of['judging']['discriminator'])
  _assert_equal(of['total']['discriminator'], of['judging']['discriminator'])


def _any(tree):
  return any(np.any(leaf) for leaf in jax.tree.leaves(tree))


def _assert_equal(actual, expected):
  for a, b in zip(*map(jax.tree.leaves, (actual, expected)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_what_is_hidden_changes_no_feature_of_the_picture(setup):
  """The painted block depends on the seen pixels only."""
  method, batch, params, state = setup
  view = batch['views'][0]
  first = (_SIZE - _BLOCK) // 2 + 1  # the margin of one pixel is seen
  inner = slice(first, first + _BLOCK - 2)
  other = view.at[:, inner, inner].set(1.0)

  @jax.jit
  def painted(view):
    pictures = method.pictures(
      params, state, {'views': (view,)}, rng=jax.random.key(3)
    )
    return pictures[0].columns

  hole, made, true = painted(view)
  assert not np.any(hole[:, inner, inner])
  assert np.sum(np.asarray(hole) != np.asarray(view)) == 8 * 6 * 6 * 3
  np.testing.assert_array_equal(true, view)
  outside = np.ones((_SIZE, _SIZE), bool)
  outside[first - 1 : first + _BLOCK - 1, first - 1 : first + _BLOCK - 1] = 0
  np.testing.assert_array_equal(
    np.asarray(made)[:, outside], np.asarray(view)[:, outside]
  )
  np.testing.assert_array_equal(painted(other)[1], made)
  margin = view.at[:, first - 1, first - 1].add(0.5)
  assert np.any(painted(margin)[1][:, inner, inner] != made[:, inner, inner])


def test_errors_in_the_margin_count_ten_times(setup):
  method, batch, params, state = setup
  final = params['decoder']['final']
  flat = {'kernel': 0 * final['kernel'], 'bias': 0 * final['bias']}
  params = {**params, 'decoder': {**params['decoder'], 'final': flat}}
  _, (_, metrics) = jax.jit(method.loss)(
    params, state, batch, rng=jax.random.key(4), step=jnp.int32(0)
  )
  start = (_SIZE - _BLOCK) // 2
  block = np.asarray(batch['views'][0])[
    :, start : start + _BLOCK, start : start + _BLOCK
  ]
  weights = np.full((_BLOCK, _BLOCK, 1), 10.0)
  weights[1:-1, 1:-1] = 1
  np.testing.assert_allclose(
    metrics['reconstruction'], np.mean(weights * block**2), rtol=1e-5
  )
