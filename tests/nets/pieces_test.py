import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import losses
from sslax.errors import BadInputError
from sslax.nets import resnet, vit
from sslax.nets.pieces import in_pieces

_PIECES = 4


def _vit(**kwargs):
  return vit(
    width=16, depth=2, num_heads=2, patch_size=4, image_size=8, **kwargs
  )


def _resnet(**kwargs):
  return resnet(width=8, stem='small_stride2', stage_sizes=(1, 1), **kwargs)


def _views(dtype, batch=16):
  rng = np.random.default_rng(0)
  return [
    jnp.asarray(rng.normal(size=(batch, 8, 8, 3)), dtype) for _ in range(2)
  ]


def _loss(net):
  """A loss of all pairs of the batch, and its gradients."""

  def run(params, stats, views):
    z1, stats = net.apply(params, stats, views[0], train=True)
    z2, stats = net.apply(params, stats, views[1], train=True)
    return losses.ntxent(z1, z2), stats

  return jax.jit(jax.value_and_grad(run, has_aux=True))


def _assert_close(a, b, tolerance):
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, tolerance, tolerance), a, b
  )


def test_a_coupled_loss_is_that_of_the_whole_batch(x64):
  net, views = _vit(dtype='float64'), _views(np.float64)
  params, stats = net.init(jax.random.key(0), views[0])
  whole = _loss(net)(params, stats, views)
  _assert_close(_loss(in_pieces(net, _PIECES))(params, stats, views), whole,
                1e-12)  # fmt: skip


def test_batch_statistics_are_those_of_groups_of_the_batch(x64):
  views = _views(np.float64)
  net = _resnet(dtype='float64')
  params, stats = net.init(jax.random.key(0), views[0])
  pieces = _loss(in_pieces(net, _PIECES))(params, stats, views)
  # Groups are consecutive examples, and a piece is every fourth.
  order = np.arange(16).reshape(-1, _PIECES).T.reshape(-1)
  groups = _loss(_resnet(dtype='float64', batch_groups=_PIECES))(
    params, stats, [view[order] for view in views]
  )
  _assert_close(pieces, groups, 1e-10)


def test_activations_of_one_piece_are_in_memory():
  net, views = _vit(), _views(np.float32, batch=256)
  shapes = jax.eval_shape(net.init, jax.random.key(0), views[0])

  def bytes_of(net):
    compiled = _loss(net).lower(*shapes, views).compile()
    return compiled.memory_analysis().temp_size_in_bytes

  assert bytes_of(in_pieces(net, 8)) < bytes_of(net) / 4


def test_each_piece_draws_its_own_random_numbers():
  net = in_pieces(_vit(drop_path=0.9), 2)
  (view, _) = _views(np.float32, batch=2)
  same = jnp.concatenate([view[:1], view[:1]])
  params, stats = net.init(jax.random.key(0), same)
  drops = [
    net.apply(params, stats, same, train=True, rng=jax.random.key(i))[0]
    for i in range(8)
  ]
  assert any((rows[0] != rows[1]).any() for rows in drops)


def test_refuses_pieces_that_no_batch_has():
  with pytest.raises(BadInputError, match='batch_pieces is 0'):
    in_pieces(_vit(), 0)
  net, (view, _) = in_pieces(_vit(), 3), _views(np.float32)
  params, stats = net.init(jax.random.key(0), view)
  with pytest.raises(BadInputError, match='does not divide the 16 examples'):
    net.apply(params, stats, view, train=True)
