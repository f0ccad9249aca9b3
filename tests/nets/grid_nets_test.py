"""Contexts that see no row below, and networks of the parts of an example."""

import jax
import numpy as np

from sslax.nets import mlp
from sslax.nets.each import each
from sslax.nets.pixelcnn import pixelcnn


def test_a_context_depends_on_its_row_and_those_above():
  grid = jax.random.normal(jax.random.key(0), (1, 5, 6, 4))
  net = pixelcnn(num_blocks=2, width=8)
  params, stats = net.init(jax.random.key(1), grid)

  def place(grid):
    return net.apply(params, stats, grid, train=True)[0][0, 3, 2].sum()

  reach = np.abs(jax.jit(jax.grad(place))(grid))[0].sum(-1) > 0
  assert not reach[4].any()
  assert reach[3, :5].all()  # two blocks see two columns to each side
  assert not reach[3, 5]
  assert reach[1:3, 2].all()
  assert not reach[0].any()  # and two rows up


def test_each_part_goes_through_the_network_by_itself():
  net = mlp(hidden=(5,), features=3)
  inputs = jax.random.normal(jax.random.key(2), (4, 2, 3, 6))
  params, stats = each(net, 2).init(jax.random.key(3), inputs)
  outputs, new = each(net, 2).apply(params, stats, inputs, train=True)
  flat, expected = net.apply(params, stats, inputs.reshape(24, 6), train=True)
  np.testing.assert_allclose(outputs, flat.reshape(4, 2, 3, 3), rtol=1e-6)
  jax.tree.map(np.testing.assert_array_equal, new, expected)
  own, _ = net.init(jax.random.key(3), inputs[:, 0, 0])
  jax.tree.map(np.testing.assert_array_equal, params, own)
