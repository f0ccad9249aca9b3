"""What the regularizers promise."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.losses.quick import losses


def _linear(x):
  return x @ np.array([[3.0, 0.0], [0.0, 0.1], [0.0, 0.0]])


def test_the_perturbation_of_vat_is_adversarial(x64):
  rng = np.random.default_rng(0)
  x, d = rng.normal(size=(2, 16, 3))
  hard = losses.vat(_linear, x, d, radius=0.5, num_iterations=5)
  for seed in range(5):
    random = np.random.default_rng(seed).normal(size=(16, 3))
    random *= 0.5 / np.linalg.norm(random, axis=1, keepdims=True)
    p, q = (jax.nn.log_softmax(_linear(z)) for z in (x, x + random))
    easy = jnp.mean(jnp.sum(jnp.exp(p) * (p - q), -1))
    assert float(easy) < float(hard)


def test_vat_finds_its_direction_where_gradients_are_tiny():
  # In float32 a finite difference of this flat net is lost in rounding.
  slope = 1e-6 * np.eye(3, 2, dtype=np.float32)
  x, d = np.ones((2, 3), np.float32), np.array([[1, 2, 3]] * 2, np.float32)
  loss = losses.vat(lambda z: z @ slope, x, d, radius=1e6)
  # r = ±1e6 (1, -1, 0)/√2 moves the two equal logits √2 apart.
  np.testing.assert_allclose(loss, np.log(np.cosh(2**-0.5)), rtol=1e-2)


def test_group_dro_moves_to_the_worst_group(x64):
  values, groups = np.array([1.0, 1.0, 4.0, 2.0]), np.array([0, 0, 1, 2])
  weights = np.ones(3) / 3
  first, _ = losses.group_dro(values, groups, weights, step_size=0.0)
  np.testing.assert_allclose(first, 7 / 3)
  for _ in range(50):
    loss, weights = losses.group_dro(values, groups, weights, step_size=0.5)
  np.testing.assert_allclose(loss, 4, rtol=1e-6)
  np.testing.assert_allclose(weights, [0, 1, 0], atol=1e-6)


def test_affinity_fields_are_zero_for_a_sharp_right_map(x64):
  labels = np.array([[[0, 0, 1], [0, 0, 1]]])
  right = np.eye(2)[labels]
  np.testing.assert_allclose(losses.affinity_field(right, labels), 0, atol=1e-3)
  swapped = np.eye(2)[1 - labels]
  np.testing.assert_allclose(
    losses.affinity_field(swapped, labels), 0, atol=1e-3
  )  # it sees relations, not labels
  moved = np.eye(2)[np.roll(labels, 1, axis=2)]
  assert float(losses.affinity_field(moved, labels)) > 1
