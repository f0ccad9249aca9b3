"""What distillation and entropy losses promise beyond the contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.quick import losses


def _views(count, *shape, seed=0):
  rng = np.random.default_rng(seed)
  return tuple(rng.normal(size=shape) for _ in range(count))


def _turn(dim, seed=9):
  return np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0]


def test_dino_does_not_know_the_order_of_the_batch(x64):
  views, center = _views(5, 6, 4), np.arange(4.0)
  order = np.array([3, 1, 5, 0, 2, 4])
  loss = losses.dino(views[:3], views[3:], center)
  mixed = tuple(view[order] for view in views)
  again = losses.dino(mixed[:3], mixed[3:], center)
  np.testing.assert_allclose(again, loss, rtol=1e-12)


def test_dino_does_not_know_which_global_view_is_first(x64):
  s0, s1, local, t0, t1 = _views(5, 6, 4)
  center = np.zeros(4)
  loss = losses.dino((s0, s1, local), (t0, t1), center)
  swapped = losses.dino((s1, s0, local), (t1, t0), center)
  np.testing.assert_allclose(swapped, loss, rtol=1e-12)
  # Pairing a view with itself is another loss.
  assert abs(losses.dino((s1, s0, local), (t0, t1), center) - loss) > 1e-3


def test_dino_knows_the_scale_but_not_a_common_shift_of_the_logits(x64):
  views, center = _views(4, 6, 4), np.zeros(4)
  loss = losses.dino(views[:2], views[2:], center)
  shifted = tuple(view + 7 for view in views)
  again = losses.dino(shifted[:2], shifted[2:], center)
  np.testing.assert_allclose(again, loss, rtol=1e-9)
  scaled = tuple(2 * view for view in views)
  assert abs(losses.dino(scaled[:2], scaled[2:], center) - loss) > 1e-3


def test_dino_is_least_where_student_and_teacher_agree(x64):
  (view,) = _views(1, 6, 4)
  center, same = np.zeros(4), {'student_temperature': 0.5}
  same['teacher_temperature'] = 0.5
  gradient = jax.grad(
    lambda s: losses.dino((s, s), (view, view), center, **same)
  )
  np.testing.assert_allclose(gradient(jnp.asarray(view)), 0, atol=1e-12)


def test_dino_vmf_knows_the_norm_of_the_prototypes(x64):
  views, (weights,) = _views(4, 6, 16), _views(1, 5, 16, seed=1)
  center = np.full(5, 0.2)

  def loss(weights, views=views):
    return losses.dino_vmf(views[:2], views[2:], weights, weights, center)

  turn = _turn(16)
  turned = loss(weights @ turn, tuple(view @ turn for view in views))
  np.testing.assert_allclose(turned, loss(weights), rtol=1e-9)
  scaled = loss(weights, tuple(3 * view for view in views))
  np.testing.assert_allclose(scaled, loss(weights), rtol=1e-9)
  assert abs(loss(2 * weights) - loss(weights)) > 1e-3


def test_distillation_at_a_high_temperature_matches_logits(x64):
  student, teacher = _views(2, 6, 4)
  loss = losses.knowledge_distillation(student, teacher, temperature=1e4)
  gap = student - teacher
  gap = gap - gap.mean(1, keepdims=True)
  expected = np.mean(np.sum(gap**2, 1)) / (2 * 4)
  np.testing.assert_allclose(loss, expected, rtol=1e-3)


def test_near_zero_distillation_keeps_its_digits(x64):
  (teacher,) = _views(1, 6, 4)
  step = 1e-7 * np.eye(4)[0]
  small = losses.knowledge_distillation(teacher + step, teacher)
  large = losses.knowledge_distillation(teacher + 100 * step, teacher)
  np.testing.assert_allclose(large / small, 1e4, rtol=1e-2)


def test_diversity_rises_and_certainty_falls_with_temperature(x64):
  (logits,) = _views(1, 20, 4)
  hot = losses.entropy_minimization(logits, temperature=9.0)
  cold = losses.entropy_minimization(logits, temperature=0.1)
  assert cold < hot <= np.log(4)
  assert losses.mean_entropy(logits) >= -np.log(4)


@pytest.mark.parametrize('order', [[2, 0, 3, 1]])
def test_twist_does_not_know_views_or_class_names(order, x64):
  f1, f2 = _views(2, 8, 4)
  loss = losses.twist(f1, f2, temperature=0.5)
  np.testing.assert_allclose(
    losses.twist(f2, f1, temperature=0.5), loss, rtol=1e-12
  )
  renamed = losses.twist(f1[:, order], f2[:, order], temperature=0.5)
  np.testing.assert_allclose(renamed, loss, rtol=1e-12)
  one_sided = losses.twist(f1[:, order], f2, temperature=0.5)
  assert abs(one_sided - loss) > 1e-3


def test_twist_collapses_without_its_diversity(x64):
  collapsed = np.tile([50.0, 0.0, 0.0], (6, 1))
  spread = 50 * np.eye(3)[np.arange(6) % 3]
  for weight, best in ((0.0, 'tie'), (1.0, 'spread')):
    gap = losses.twist(
      collapsed, collapsed, diversity_weight=weight
    ) - losses.twist(spread, spread, diversity_weight=weight)
    assert (abs(gap) < 1e-3) if best == 'tie' else gap > 1
