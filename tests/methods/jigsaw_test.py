"""Jigsaw: tiles one at a time, in an order that the label says."""

import jax
import jax.numpy as jnp
import numpy as np

from sslax.methods.jigsaw import jigsaw
from sslax.nets import Net
from sslax.ops import tiles as tiling
from sslax.ops.permutations import spread_permutations

_NUM = 6


def _pixels():
  """A network that flattens its input."""

  def apply(params, stats, x, *, train, rng=None):
    del params, train, rng
    return x.reshape(len(x), -1), stats

  return Net(lambda rng, x: ({}, {}), apply)


def _method():
  return jigsaw(
    _pixels(), num_permutations=_NUM, gap=1, projection_size=4, hidden_size=8
  )


def _tiled(order):
  """Images of 9 x 9 pixels; the cell i has a slope of its own."""
  slopes = jnp.eye(9).reshape(9, 3, 3)[jnp.asarray(order)]
  return tiling.laid_out(slopes[None, :, :, :, None], border=0)


def test_the_puzzle_is_the_tiles_in_the_order_of_the_label(monkeypatch):
  """What reaches the network, against the permutation that is its label."""
  seen = {}
  method = _method()
  images = jnp.tile(_tiled(range(9)), (4, 1, 1, 3))

  def record(logits, labels):
    seen['labels'] = labels
    return jnp.zeros(()), jnp.zeros(())

  def standardized(tiles):
    seen['tiles'] = tiles
    return tiles

  monkeypatch.setattr('sslax.methods.jigsaw.classify', record)
  monkeypatch.setattr(tiling, 'standardized', standardized)
  monkeypatch.setattr(  # tiles at a fixed place, so that they can be compared
    tiling,
    'jittered_tiles',
    lambda rng, x, gap: jnp.stack(
      [x[:, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3]
       for i in range(3) for j in range(3)], axis=1),
  )  # fmt: skip
  params, state = method.init(jax.random.key(0), {'views': (images,)})
  method.loss(
    params, state, {'views': (images,)}, rng=jax.random.key(1), step=0
  )
  order = spread_permutations(_NUM)[np.asarray(seen['labels'])]
  which = np.asarray(seen['tiles'])[..., 0].reshape(4, 9, 9).argmax(-1)
  np.testing.assert_array_equal(which, order)
  assert len(set(seen['labels'].tolist())) > 1


def test_pictures_put_the_tiles_in_the_order_that_is_predicted():
  """Where the right label is predicted, the picture is whole again."""
  method = _method()
  images = jax.random.normal(jax.random.key(2), (4, 9, 9, 3))
  params, state = method.init(jax.random.key(0), {'views': (images,)})
  for label in range(_NUM):
    head = params['head']['linear2']
    head['kernel'] = jnp.zeros_like(head['kernel'])
    head['bias'] = jnp.zeros(_NUM).at[label].set(1.0)
    (picture,) = method.pictures(
      params, state, {'views': (images,)}, rng=jax.random.key(3)
    )
    _, puzzle, solved = map(np.asarray, picture.columns)
    back = _blocks(solved)[:, spread_permutations(_NUM)[label]]
    np.testing.assert_array_equal(back, _blocks(puzzle))


def _blocks(pictures):
  """[B, 9, S, S, C] of pictures [B, 3·S, 3·S, C]."""
  b, h, _, c = pictures.shape
  x = pictures.reshape(b, 3, h // 3, 3, h // 3, c).swapaxes(2, 3)
  return x.reshape(b, 9, h // 3, h // 3, c)
