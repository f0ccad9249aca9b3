"""Both players in one loss, each with its own gradients only."""

import jax
import jax.numpy as jnp
import numpy as np

from sslax.ops import adversarial


def _discriminate(params, stats, x, z):
  return (x * params['x'] + z * params['z'])[:, 0], {
    'calls': stats['calls'] + 1
  }


def _verdicts(params, maker):
  """A discriminator of numbers, and a maker that scales them."""
  x = jnp.array([[1.0], [-2.0], [0.5]])
  real, fake = (x, maker['real'] * x), (maker['fake'] * x, x)
  stats = {'calls': jnp.zeros((), jnp.int32)}
  return adversarial.judge(_discriminate, params, stats, real, fake)


_PARAMS = {'x': jnp.array(0.7), 'z': jnp.array(-1.3)}
_MAKER = {'real': jnp.array(0.3), 'fake': jnp.array(1.1)}


def test_the_discriminator_alone_learns_from_its_verdict():
  def judging(params, maker):
    own, _, _ = _verdicts(params, maker)
    return adversarial.called_real(own.real) + adversarial.called_fake(own.fake)

  own, other = jax.grad(judging, (0, 1))(_PARAMS, _MAKER)
  assert all(np.all(g != 0) for g in jax.tree.leaves(own))
  assert not any(np.any(g) for g in jax.tree.leaves(other))


def test_the_other_player_alone_learns_from_the_other_verdict():
  def fooling(params, maker):
    _, others, _ = _verdicts(params, maker)
    return adversarial.called_real(others.fake) + adversarial.called_fake(
      others.real
    )

  own, other = jax.grad(fooling, (0, 1))(_PARAMS, _MAKER)
  assert not any(np.any(g) for g in jax.tree.leaves(own))
  assert all(np.all(g != 0) for g in jax.tree.leaves(other))


def test_both_verdicts_agree_and_statistics_move_once_for_each_side():
  own, others, stats = _verdicts(_PARAMS, _MAKER)
  np.testing.assert_array_equal(own, others)
  assert stats['calls'] == 2


def test_losses_are_minus_log_probabilities():
  logits = jnp.array([-1.0, 0.0, 3.0])
  p = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
  np.testing.assert_allclose(
    adversarial.called_real(logits), -np.mean(np.log(p)), rtol=1e-6
  )
  np.testing.assert_allclose(
    adversarial.called_fake(logits), -np.mean(np.log(1 - p)), rtol=1e-6
  )


def test_share_right():
  verdict = adversarial.Verdict(jnp.array([1.0, -1.0]), jnp.array([-2.0, -3.0]))
  assert adversarial.share_right(verdict) == 0.75
