"""What the supervised contrastive losses must and must not change under."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.contrastive_cases import unit
from tests.losses.quick import losses

LABELS = jnp.array([0, 0, 1, 1, 2, 2])


def _features(num_views=2, seed=0):
  x = np.random.default_rng(seed).normal(size=(6, num_views, 4))
  return jnp.asarray(unit(x), jnp.float32)


@pytest.mark.parametrize('form', ['out', 'in'])
def test_names_of_classes_and_order_of_images_and_views_do_not_matter(form):
  z = _features()

  def loss(z, y):
    return losses.supcon(z, y, temperature=0.3, form=form)

  expected = loss(z, LABELS)
  order = np.array([3, 0, 5, 1, 4, 2])
  np.testing.assert_allclose(loss(z[order], LABELS[order]), expected, rtol=1e-5)
  np.testing.assert_allclose(loss(z[:, ::-1], LABELS), expected, rtol=1e-5)
  np.testing.assert_allclose(loss(z, 7 - LABELS), expected, rtol=1e-6)
  assert abs(float(loss(z, LABELS[order]) - expected)) > 1e-3


def test_the_out_form_bounds_the_in_form_from_above():
  z = _features(3)
  outside = losses.supcon(z, LABELS, temperature=0.3)
  assert float(outside) > float(
    losses.supcon(z, LABELS, temperature=0.3, form='in')
  )


def test_without_labels_it_is_simclr():
  z = _features()
  loss = losses.supcon(z, temperature=0.3)
  expected = losses.ntxent(z[:, 0], z[:, 1], temperature=0.3)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_a_mask_of_equal_labels_is_the_labels():
  z = _features()
  mask = LABELS[:, None] == LABELS[None, :]
  np.testing.assert_allclose(
    losses.supcon(z, mask=mask), losses.supcon(z, LABELS), rtol=1e-6
  )
  with pytest.raises(ValueError, match='labels and mask'):
    losses.supcon(z, LABELS, mask)


def test_lonely_anchors_can_leave_the_mean():
  z, y = _features(1), jnp.array([0, 0, 1, 2, 3, 4])
  counted = losses.supcon(z, y)
  left_out = losses.supcon(z, y, count_lonely=False)
  np.testing.assert_allclose(counted, left_out / 3, rtol=1e-6)


def test_scale_matters_because_rows_are_taken_as_they_are():
  z = _features()
  gap = losses.supcon(2 * z, LABELS) - losses.supcon(z, LABELS)
  assert abs(float(gap)) > 1e-2


def test_its_optimum_is_a_simplex_of_collapsed_classes():
  x = jnp.asarray(np.random.default_rng(0).normal(size=(6, 1, 4)), jnp.float32)

  def loss(x):
    z = x / jnp.linalg.norm(x, axis=-1, keepdims=True)
    return losses.supcon(z, LABELS, temperature=0.5)

  step = jax.jit(lambda x: x - 0.5 * jax.grad(loss)(x))
  for _ in range(500):
    x = step(x)
  z = unit(np.asarray(x)[:, 0])
  same = np.asarray(LABELS)[:, None] == np.asarray(LABELS)[None, :]
  np.testing.assert_allclose(z @ z.T, np.where(same, 1, -0.5), atol=0.02)


def test_l_spread_separates_a_class_that_supcon_collapses():
  z = jnp.ones((4, 2)) / np.sqrt(2)
  y = jnp.zeros(4, int)
  near = jnp.eye(2)[jnp.array([0, 1, 0, 1])]
  collapsed = losses.l_spread(z, z, y, alpha=0.0)
  assert float(losses.l_spread(near, near, y, alpha=0.0)) < float(collapsed)


def test_exemplar_moco_ignores_keys_of_the_same_class():
  rng = np.random.default_rng(0)
  q, queue = unit(rng.normal(size=(2, 6, 4))).astype(np.float32)
  loss = losses.exemplar_moco(q, q, queue, LABELS, LABELS)
  moved = queue.copy()
  moved[0] = -moved[0]  # the queue's class 0 touches the others alone
  changed = losses.exemplar_moco(q[:2], q[:2], moved, LABELS[:2], LABELS)
  kept = losses.exemplar_moco(q[:2], q[:2], queue, LABELS[:2], LABELS)
  assert float(changed) == float(kept)
  assert float(losses.exemplar_moco(q, q, moved, LABELS, LABELS)) != float(loss)
