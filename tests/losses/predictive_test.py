"""What the losses that predict a sequence promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.quick import losses


def _sequences():
  return np.random.default_rng(0).normal(size=(2, 4, 6, 3))


def test_cpc_looks_the_stated_number_of_steps_ahead(x64):
  targets = 5 * np.eye(24).reshape(4, 6, 24)
  for steps in (1, 2, 5):
    ahead = np.roll(targets, -steps, axis=1)
    loss = losses.cpc(ahead, targets, num_steps_ahead=steps)
    assert float(loss) < 1e-6
    behind = np.roll(targets, steps, axis=1)
    assert float(losses.cpc(behind, targets, num_steps_ahead=steps)) > 20


def test_cpc_of_equal_latents_is_the_log_of_the_candidates(x64):
  loss = losses.cpc(np.ones((4, 6, 3)), np.ones((4, 6, 3)))
  np.testing.assert_allclose(loss, np.log(24))


def test_the_last_predictions_of_a_sequence_are_not_read(x64):
  predictions, targets = map(jnp.asarray, _sequences())
  grad = jax.grad(losses.cpc)(predictions, targets, num_steps_ahead=2)
  assert not np.any(grad[:, -2:])
  assert np.all(np.any(grad[:, :-2], axis=-1))


def test_the_order_of_sequences_is_free_and_of_time_is_not(x64):
  predictions, targets = _sequences()
  order = np.array([2, 0, 3, 1])
  loss = losses.cpc(predictions, targets)
  np.testing.assert_allclose(
    losses.cpc(predictions[order], targets[order]), loss
  )
  backwards = losses.cpc(predictions[:, ::-1], targets[:, ::-1])
  assert abs(float(backwards - loss)) > 1e-3


def test_a_step_beyond_the_sequence_is_refused():
  predictions, targets = _sequences()
  with pytest.raises(ValueError, match='num_steps_ahead=6'):
    losses.cpc(predictions, targets, num_steps_ahead=6)


def test_masked_words_are_averaged_over_the_whole_batch(x64):
  logits = np.random.default_rng(0).normal(size=(2, 3, 5))
  tokens = np.array([[0, 1, 2], [3, 4, 0]])
  mask = np.array([[1, 1, 1], [0, 0, 1]])
  each = [
    float(losses.masked_language_modeling(logits, tokens, one))
    for one in (mask * [[1], [0]], mask * [[0], [1]])
  ]
  loss = losses.masked_language_modeling(logits, tokens, mask)
  np.testing.assert_allclose(loss, (3 * each[0] + each[1]) / 4)


def test_words_in_sight_give_no_gradient(x64):
  logits = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 5)))
  tokens, mask = np.zeros((2, 3), int), np.array([[1, 0, 0], [0, 1, 1]])
  grad = jax.grad(losses.masked_language_modeling)(logits, tokens, mask)
  np.testing.assert_array_equal(np.any(grad, axis=-1), mask == 1)
