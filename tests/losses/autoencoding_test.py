"""Losses of labels and of reconstruction."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.quick import losses


def test_a_certain_label_keeps_its_relative_accuracy():
  logits = jnp.array([[30.0, 0.0, -1.0]])
  loss = losses.softmax_cross_entropy(logits, jnp.array([0]))
  expected = np.log1p(np.exp(-30.0) + np.exp(-31.0))
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_only_the_clusters_of_the_own_super_class_count():
  rng = np.random.default_rng(0)
  coarse, fine = rng.normal(size=(3, 2)), rng.normal(size=(3, 2, 4))
  y, c = np.array([0, 1, 0]), np.array([3, 0, 2])
  loss = losses.deeper_cluster(coarse, fine, y, c)
  other = fine.copy()
  other[np.arange(3), 1 - y] = 9
  np.testing.assert_array_equal(
    losses.deeper_cluster(coarse, other, y, c), loss
  )


def test_absent_entries_do_not_count():
  x = jnp.array([[1.0, 5.0]])
  mask = jnp.array([[1, 0]])
  assert losses.reconstruction(x, 0 * x, mask) == 1
  assert losses.reconstruction(x, 0 * x, 0 * mask) == 0


def test_the_best_scale_of_a_normal_decoder_is_the_error_s():
  x = jnp.array([[3.0, -3.0]])
  losses_by_scale = [
    float(losses.gaussian_reconstruction(x, 0 * x, np.log(s)))
    for s in (2.5, 3.0, 3.5)
  ]
  assert np.argmin(losses_by_scale) == 1


def test_bad_masks_and_forms_are_named():
  x = jnp.zeros((2, 3))
  with pytest.raises(ValueError, match=r'mask has shape \[3\]'):
    losses.reconstruction(x, x, jnp.ones(3))
  with pytest.raises(ValueError, match="form is 'l2'"):
    losses.reconstruction(x, x, form='l2')
