"""BiGAN: two players, each with its own gradients, and an encoder in one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import config as config_lib
from sslax import optim
from sslax.errors import BadInputError
from sslax.methods.bigan import bigan
from sslax.nets import resnet

PLAYERS_OPPOSE = True
_SIZE = 16
_MAKERS = ('encoder', 'head', 'generator')


def _method(**kwargs):
  encoder = resnet(width=8, stem='small_stride2', stage_sizes=(1,))
  return bigan(
    encoder, **{'code_size': 4, 'image_size': _SIZE, 'width': 4, **kwargs}
  )


@pytest.fixture(scope='module')
def setup():
  method = _method()
  view = jax.random.uniform(
    jax.random.key(0), (8, _SIZE, _SIZE, 3), minval=-1, maxval=1
  )
  batch = {'views': (view,)}
  return method, batch, *method.init(jax.random.key(1), batch)


def _any(tree):
  return any(np.any(leaf) for leaf in jax.tree.leaves(tree))


def _assert_equal(actual, expected):
  for a, b in zip(*map(jax.tree.leaves, (actual, expected)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_each_player_gets_the_gradient_of_its_own_loss(setup):
  method, batch, params, state = setup

  def values(params):
    loss, (_, metrics) = method.loss(
      params, state, batch, rng=jax.random.key(2), step=jnp.int32(0)
    )
    return {'total': loss, **metrics}

  of = jax.jit(jax.jacrev(values))(params)
  for part in _MAKERS:
    assert not _any(of['judging'][part])
    assert _any(of['fooling'][part])
    _assert_equal(of['total'][part], of['fooling'][part])
  assert not _any(of['fooling']['discriminator'])
  assert _any(of['judging']['discriminator'])
  _assert_equal(of['total']['discriminator'], of['judging']['discriminator'])


def test_without_a_difference_the_players_losses_are_opposite(setup):
  """Where D says logit l to all, one has softplus(-l) + softplus(l)."""
  method, batch, params, state = setup
  final = params['discriminator']['final']
  flat = {'kernel': 0 * final['kernel'], 'bias': 0 * final['bias'] + 1.5}
  params = {
    **params,
    'discriminator': {**params['discriminator'], 'final': flat},
  }
  _, (_, metrics) = jax.jit(method.loss)(
    params, state, batch, rng=jax.random.key(2), step=jnp.int32(0)
  )
  both = np.log1p(np.exp(-1.5)) + np.log1p(np.exp(1.5))
  np.testing.assert_allclose(metrics['judging'], both, rtol=1e-5)
  np.testing.assert_allclose(metrics['fooling'], both, rtol=1e-5)
  assert metrics['judged_right'] == 0.5


def test_by_turns_one_player_moves_a_step():
  config = config_lib.load('bigan:in_turns')
  tx = optim.build(
    'adamw', learning_rate=0.1, batch_size=256, num_steps=4,
    in_turns=config.optim.in_turns,
  )  # fmt: skip
  ones = {part: {'kernel': jnp.ones(2)} for part in (*_MAKERS, 'discriminator')}
  state = tx.init(ones)
  for movers in (('discriminator',), _MAKERS, ('discriminator',)):
    with jax.numpy_dtype_promotion('standard'):
      updates, state = tx.update(ones, state, ones)
    assert {k for k, v in updates.items() if _any(v)} == set(movers)


def test_pictures_are_the_image_its_reconstruction_and_a_new_one(setup):
  method, batch, params, state = setup
  (picture,) = method.pictures(params, state, batch, rng=jax.random.key(3))
  view, again, made = picture.columns
  np.testing.assert_array_equal(view, batch['views'][0])
  assert view.shape == again.shape == made.shape
  # The reconstruction follows the image, what is generated does not.
  flipped = {'views': (batch['views'][0][::-1],)}
  (other,) = method.pictures(params, state, flipped, rng=jax.random.key(3))
  np.testing.assert_allclose(other.columns[1], again[::-1], atol=1e-5)
  np.testing.assert_allclose(other.columns[2], made, atol=1e-5)


def test_views_of_another_size_are_refused(setup):
  with pytest.raises(BadInputError, match=r'image_size is 8.* 16 x 16'):
    _method(image_size=8).init(jax.random.key(0), setup[1])
