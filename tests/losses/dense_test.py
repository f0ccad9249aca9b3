"""What dense losses promise beyond the contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.quick import losses


def _normal(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape)


def _turn(dim):
  return np.linalg.qr(_normal(dim, dim, seed=9))[0]


BOXES = np.array([[0.0, 0.0, 1.0, 1.0], [0.2, 0.1, 0.8, 0.9]])


def test_pixpro_of_equal_crops_pairs_each_cell_with_itself(x64):
  x, y = _normal(2, 2, 3, 4), _normal(2, 2, 3, 4, seed=1)
  loss = losses.pixpro(x, y, BOXES, BOXES, pos_ratio=0.1)
  count = 6 / (6 + 1e-6)
  expected = -2 * np.mean(np.sum(x * y, -1)) * count
  np.testing.assert_allclose(loss, expected, rtol=1e-9)


def test_pixpro_of_distant_crops_is_zero(x64):
  x = _normal(2, 2, 3, 4)
  assert losses.pixpro(x, x, BOXES, BOXES + 5) == 0


def test_pixpro_swaps_crops_and_forgets_the_size_of_the_image(x64):
  x, y = _normal(2, 2, 3, 4), _normal(2, 2, 3, 4, seed=1)
  other = BOXES + np.array([0.1, -0.2, 0.3, 0.1])
  loss = losses.pixpro(x, y, BOXES, other)
  for again in (
    losses.pixpro(y, x, other, BOXES),
    losses.pixpro(x, y, 224 * BOXES, 224 * other),
    losses.pixpro(x @ _turn(4), y @ _turn(4), BOXES, other),
  ):
    np.testing.assert_allclose(again, loss, rtol=1e-9)
  assert abs(losses.pixpro(x, y, BOXES, BOXES) - loss) > 1e-3


def test_propagation_keeps_orthogonal_pixels_apart(x64):
  features = np.eye(6).reshape(1, 2, 3, 6)
  values = _normal(1, 2, 3, 5)
  out = losses.pixel_propagation(features, values)
  unit = values / np.linalg.norm(values, axis=-1, keepdims=True)
  np.testing.assert_allclose(out, unit, rtol=1e-9)
  blurred = losses.pixel_propagation(np.ones((1, 2, 3, 6)), values)
  expected = unit.sum((1, 2), keepdims=True)
  np.testing.assert_allclose(blurred, expected + 0 * out, rtol=1e-9)


def test_densecl_follows_the_cells(x64):
  q, k = _normal(2, 3, 4), _normal(2, 3, 4, seed=1)
  maps, queue = np.stack([np.eye(3)] * 2), _normal(5, 4, seed=2)
  loss = losses.densecl_dense(q, k, maps, maps, queue)
  order = np.array([2, 0, 1])
  moved = losses.densecl_dense(q, k[:, order], maps, maps[:, order], queue)
  np.testing.assert_allclose(moved, loss, rtol=1e-9)
  lost = losses.densecl_dense(q, k[:, order], maps, maps, queue)
  assert abs(lost - loss) > 1e-3


def _detcon(order=(0, 1, 2), masks=None):
  order = np.array(order)
  p, t = (
    tuple(_normal(4, 3, 5, seed=s)[:, order] for s in seeds)
    for seeds in ((0, 1), (2, 3))
  )
  masks = masks or (np.array([[0, 1, 2]] * 4),) * 2
  return losses.detcon(p, t, tuple(m[:, order] for m in masks))


def test_detcon_forgets_the_order_and_the_names_of_masks(x64):
  loss = _detcon()
  np.testing.assert_allclose(_detcon((2, 0, 1)), loss, rtol=1e-9)
  named = (np.array([[7, 3, 5]] * 4),) * 2
  np.testing.assert_allclose(_detcon(masks=named), loss, rtol=1e-9)
  other = np.array([[0, 1, 2]] * 4), np.array([[1, 0, 2]] * 4)
  assert abs(_detcon(masks=other) - loss) > 1e-3


def test_detcon_without_common_masks_is_zero(x64):
  apart = np.array([[0, 1, 2]] * 4), np.array([[3, 4, 5]] * 4)
  assert _detcon(masks=apart) == 0


def test_detcon_of_one_mask_an_image_is_a_cross_entropy(x64):
  z, mask = _normal(4, 1, 5), np.zeros((4, 1), int)
  loss = losses.detcon((z, z), (z, z), (mask, mask), temperature=0.5)
  unit = z[:, 0] / np.linalg.norm(z[:, 0], axis=1, keepdims=True)
  other = unit @ unit.T / 0.5
  own = np.where(np.eye(4) > 0, -np.inf, other)
  log_probs = jax.nn.log_softmax(np.concatenate([other, own], 1), -1)
  expected = -2 * np.mean(np.diag(log_probs[:, :4]))
  np.testing.assert_allclose(loss, expected, rtol=1e-9)


def _maps():
  rng = np.random.default_rng(0)
  return tuple(rng.dirichlet(np.ones(3), (2, 4, 4)) for _ in range(2))


def test_iic_seg_without_displacement_is_iic_over_pixels(x64):
  x, y = _maps()
  loss = losses.iic_seg(x, y, np.ones((2, 4, 4)))
  flat = losses.iic(x.reshape(-1, 3), y.reshape(-1, 3))
  np.testing.assert_allclose(loss, flat, rtol=1e-9)


def test_iic_seg_forgives_a_small_displacement(x64):
  classes = np.kron(np.arange(16).reshape(4, 4) % 3, np.ones((2, 2), int))
  x = np.eye(3)[classes][None]
  shifted = np.roll(x, 1, 1)
  mask = np.ones((1, 8, 8))
  aligned = losses.iic_seg(x, x, mask)
  loss = losses.iic_seg(x, shifted, mask)
  assert aligned < loss


VICREGL = ((8, 4), (8, 6, 3), (8, 6, 2))


def _vicregl(order=(0, 1), cells=slice(None), **kwargs):
  views = [
    tuple(_normal(*shape, seed=10 * i + j) for j in order)
    for i, shape in enumerate(VICREGL)
  ]
  maps, places = (tuple(x[:, cells] for x in part) for part in views[1:])
  return losses.vicregl(views[0], maps, places, num_matches=(4, 4), **kwargs)


def test_vicregl_forgets_the_order_of_views_and_cells(x64):
  loss = _vicregl()
  np.testing.assert_allclose(_vicregl((1, 0)), loss, rtol=1e-9)
  mixed = _vicregl(cells=np.array([3, 1, 5, 0, 2, 4]))
  np.testing.assert_allclose(mixed, loss, rtol=1e-9)


def test_vicregl_of_whole_images_alone_is_vicreg(x64):
  features = tuple(_normal(8, 4, seed=j) for j in (0, 1))
  # vicreg sums the covariance over the two views; here it is a mean.
  expected = losses.vicreg(*features, covariance_weight=0.5)
  np.testing.assert_allclose(_vicregl(global_weight=1.0), expected, rtol=1e-9)


def test_matches_are_the_nearest(x64):
  x, y = _normal(1, 5, 2), _normal(1, 7, 2, seed=1)
  kept, found = losses.nearest_matches(x, y, x, y, 3)
  gaps = np.linalg.norm(x[0][:, None] - y[0][None], axis=-1)
  rows = np.argsort(gaps.min(1))[:3]
  np.testing.assert_array_equal(kept[0], x[0][rows])
  np.testing.assert_array_equal(found[0], y[0][gaps.argmin(1)[rows]])
  every, _ = losses.nearest_matches(x, y, x, y, 99)
  assert every.shape == x.shape


def test_names_the_view_whose_shape_is_wrong():
  boxes = np.zeros((2, 3))
  x = np.zeros((2, 2, 3, 4))
  with pytest.raises(ValueError, match='student_boxes'):
    losses.pixpro(x, x, boxes, boxes)


def test_no_gradient_reaches_the_matching(x64):
  q, k = _normal(2, 3, 4), _normal(2, 3, 4, seed=1)
  queue = _normal(5, 4, seed=2)
  gradient = jax.grad(
    lambda maps: losses.densecl_dense(q, k, maps, maps, queue)
  )(jnp.asarray(_normal(2, 3, 4, seed=3)))
  assert not np.asarray(gradient).any()
