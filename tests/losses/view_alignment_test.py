"""What makes partially view-aligned clustering."""

import jax
import numpy as np

from sslax.ops import alignment
from sslax.ops.distance import squared_distances
from tests.losses.quick import losses


def test_descent_on_the_plan_teaches_who_belongs_to_whom(x64):
  rng = np.random.default_rng(0)
  x, order = rng.normal(size=(6, 4)), rng.permutation(6)
  y = (x @ rng.normal(size=(4, 4)))[order]  # another modality, shuffled
  plan = np.eye(6)[order].T

  def loss(weights):
    return losses.pvc(x, y @ weights, plan)

  def found(weights):
    costs = squared_distances(x, y @ weights)
    return np.argmax(np.asarray(alignment.align(costs, num_steps=100)), 0)

  weights = np.eye(4)
  assert (found(weights) != order).any()
  step = jax.jit(lambda w: w - 0.05 * jax.grad(loss)(w))
  for _ in range(150):
    weights = step(weights)
  np.testing.assert_array_equal(found(weights), order)
