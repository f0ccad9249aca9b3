"""RotNet: the four turns of each image, and the labels that they make."""

import jax
import jax.numpy as jnp
import numpy as np

from sslax.methods import rotnet as rotnet_module
from sslax.nets import Net


def _sums():
  """A network whose features are the sums of the four corners."""

  def apply(params, stats, x, *, train, rng=None):
    del train, rng
    corners = [
      x[:, i, j].sum(-1) for i, j in ((0, 0), (0, -1), (-1, -1), (-1, 0))
    ]
    return jnp.stack(corners, axis=1) * params['scale'], stats

  return Net(lambda rng, x: ({'scale': jnp.ones(())}, {}), apply)


def _setup(images, **kwargs):
  method = rotnet_module.rotnet(_sums(), **kwargs)
  batch = {'views': (images,)}
  return method, batch, *method.init(jax.random.key(0), batch)


def test_the_angle_is_read_off_the_corner_that_was_turned():
  """A mark in the top left corner goes to the corner that the angle says."""
  images = jnp.zeros((8, 6, 6, 3)).at[:, 0, 0].set(9)
  method, batch, params, state = _setup(images)
  # Counter-clockwise, the top left corner comes to the bottom left first.
  order = np.eye(4, dtype=np.float32)[:, [0, 3, 2, 1]]
  params['head']['linear1'] = {
    'kernel': jnp.asarray(order),
    'bias': jnp.zeros(4),
  }
  loss, (_, metrics) = jax.jit(method.loss)(
    params, state, batch, rng=jax.random.key(1), step=jnp.int32(0)
  )
  assert metrics['accuracy'] == 1
  assert loss < 1e-6


def test_an_image_without_a_direction_cannot_be_told():
  method, batch, params, state = _setup(jnp.ones((8, 6, 6, 3)))
  loss, (_, metrics) = jax.jit(method.loss)(
    params, state, batch, rng=jax.random.key(1), step=jnp.int32(0)
  )
  assert metrics['accuracy'] == 0.25
  assert loss >= np.log(4)


def test_pictures_show_each_image_four_times():
  images = jax.random.normal(jax.random.key(2), (2, 6, 6, 3))
  method, batch, params, state = _setup(images)
  (picture,) = method.pictures(params, state, batch, rng=jax.random.key(3))
  assert len(picture.columns) == len(picture.names) == 4
  for k, column in enumerate(picture.columns):
    np.testing.assert_array_equal(column, np.rot90(images, k, axes=(1, 2)))
