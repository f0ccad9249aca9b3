"""What the regularizers promise."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np

from sslax import losses
from sslax.losses import regularizers


def test_the_examples_are_true():
  assert doctest.testmod(regularizers).failed == 0


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


def test_vat_keeps_its_direction_where_gradients_are_tiny():
  def flat(x):
    return 1e-12 * _linear(x).astype(x.dtype)

  x = np.ones((2, 3), np.float32)
  with jax.numpy_dtype_promotion('standard'):
    loss = losses.vat(
      lambda z: 1e-3 * z @ np.eye(3, 2, dtype=np.float32),
      x,
      x,
      radius=1e3,
    )
    assert float(loss) > 1e-3
    assert np.isfinite(losses.vat(flat, x, x, radius=1.0))


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
