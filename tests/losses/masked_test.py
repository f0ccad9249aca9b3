"""What losses of masked prediction promise beyond the contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.ops import patches
from tests.losses.quick import losses


def _normal(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape)


MASK = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]])
TOKENS = np.random.default_rng(2).integers(0, 5, (3, 4))
HIDDEN = {
  'mae': lambda x: losses.mae(x, _normal(3, 4, 5, seed=1), MASK),
  'beit': lambda x: losses.beit(x, TOKENS, MASK),
  'patch_distillation': lambda x: losses.patch_distillation(
    x, jax.nn.softmax(_normal(3, 4, 5, seed=1), -1), MASK
  ),
  'data2vec': lambda x: losses.data2vec(x, _normal(3, 4, 5, seed=1), MASK),
}


@pytest.mark.parametrize('name', HIDDEN)
def test_only_hidden_tokens_get_a_gradient(name, x64):
  gradient = jax.grad(HIDDEN[name])(jnp.asarray(_normal(3, 4, 5)))
  np.testing.assert_array_equal(np.abs(gradient).sum(-1) > 0, MASK > 0)


def test_only_hidden_pixels_get_a_gradient(x64):
  images, mask = _normal(1, 4, 6, 3, seed=1), np.array([[[1, 0, 0], [0, 1, 0]]])
  gradient = jax.grad(lambda x: losses.simmim(x, images, mask))(
    jnp.asarray(_normal(1, 4, 6, 3))
  )
  hidden = np.kron(mask[0], np.ones((2, 2)))
  np.testing.assert_array_equal(np.abs(gradient[0]).sum(-1) > 0, hidden > 0)


def test_a_boolean_mask_is_the_same_mask(x64):
  x, y = _normal(3, 4, 5), _normal(3, 4, 5, seed=1)
  for loss in (losses.mae, losses.data2vec, losses.patch_distillation):
    np.testing.assert_allclose(loss(x, y, MASK > 0), loss(x, y, MASK))


@pytest.mark.parametrize('loss', [losses.mae, losses.data2vec])
def test_nothing_hidden_is_no_loss(loss, x64):
  assert loss(_normal(3, 4, 5), _normal(3, 4, 5, seed=1), 0 * MASK) == 0


def test_patches_are_read_row_by_row():
  images = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3)
  cut = np.asarray(patches.patchify(images, 2))
  assert cut.shape == (2, 6, 12)
  np.testing.assert_array_equal(cut[1, 4].reshape(2, 2, 3), images[1, 2:4, 2:4])
  with pytest.raises(ValueError, match='multiple of 4'):
    patches.patchify(images, 4)


def test_normalized_patches_forget_brightness_and_contrast(x64):
  x = _normal(2, 3, 12)
  white = patches.normalized_patches(x, eps=0.0)
  np.testing.assert_allclose(np.std(white, -1, ddof=1), 1, rtol=1e-9)
  again = patches.normalized_patches(3 * x + 2, eps=0.0)
  np.testing.assert_allclose(again, white, rtol=1e-9)
  assert np.isfinite(patches.normalized_patches(np.ones((1, 1, 4)))).all()


def test_ibot_swaps_its_views_and_forgets_local_patches(x64):
  cls = [_normal(3, 5, seed=s) for s in range(5)]
  tokens = [_normal(3, 4, 6, seed=s) for s in range(4)]
  masks = MASK, 1 - MASK

  def loss(order):
    i, j = order
    return losses.ibot(
      (cls[i], cls[j], cls[4]),
      (cls[2 + i], cls[2 + j]),
      (tokens[i], tokens[j]),
      (tokens[2 + i], tokens[2 + j]),
      (masks[i], masks[j]),
      np.zeros(5),
      np.zeros(6),
    )

  np.testing.assert_allclose(loss((1, 0)), loss((0, 1)), rtol=1e-12)


def _msn(**kwargs):
  views = _normal(8, 6), _normal(8, 6, seed=1)
  return losses.msn(
    views, _normal(8, 6, seed=2), _normal(5, 6, seed=3), **kwargs
  )


def test_msn_turns_and_renames(x64):
  turn = np.linalg.qr(_normal(6, 6, seed=9))[0]
  views = _normal(8, 6), _normal(8, 6, seed=1)
  order = np.array([4, 2, 0, 1, 3])
  turned = losses.msn(
    (views[1] @ turn, 3 * views[0] @ turn),
    _normal(8, 6, seed=2) @ turn,
    2 * _normal(5, 6, seed=3)[order] @ turn,
  )
  np.testing.assert_allclose(turned, _msn(), rtol=1e-9)


def test_msn_needs_its_diversity_or_its_balance(x64):
  collapsed = np.tile(_normal(6), (8, 1))
  prototypes = 50 * np.eye(6)
  prototypes[0] = collapsed[0]

  def loss(**kwargs):
    return losses.msn((collapsed,), collapsed, prototypes, **kwargs)

  free = loss(diversity_weight=0.0, num_iterations=0)
  assert loss(diversity_weight=1.0, num_iterations=0) > free + 1
  assert loss(diversity_weight=0.0, num_iterations=3) > free + 1


def test_pmsn_with_a_flat_prior_shares_its_optimum_with_msn(x64):
  # Both regularizers vanish on a uniform mean prediction.
  views, prototypes = np.eye(4), np.eye(4)
  kwargs = {'num_iterations': 3}
  plain = losses.msn((views,), views, prototypes, **kwargs)
  prior = losses.pmsn((views,), views, prototypes, exponent=0.0, **kwargs)
  np.testing.assert_allclose(prior, plain, rtol=1e-9)
  skewed = losses.pmsn((views,), views, prototypes, exponent=1.0, **kwargs)
  assert skewed > plain + 0.05


def test_msn_targets_are_balanced(x64):
  targets = losses.msn_targets(
    _normal(20, 6),
    _normal(5, 6, seed=1),
    temperature=1.0,
    num_iterations=200,
  )
  np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-9)
  np.testing.assert_allclose(targets.sum(0), 4, rtol=1e-3)


AXES = {'layer': 2, 'instance': 1, 'batch': (0, 1), 'group': (1, 2)}


@pytest.mark.parametrize('norm', AXES)
def test_data2vec_targets_are_means_of_standardized_layers(norm, x64):
  layers = [5 + 3 * _normal(2, 6, 4, seed=s) for s in (0, 1)]
  actual = losses.data2vec_targets(layers, layer_norm=norm)
  axes = AXES[norm]
  expected = [
    (x - x.mean(axes, keepdims=True))
    / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    for x in layers
  ]
  np.testing.assert_allclose(actual, np.mean(expected, 0), rtol=1e-9)


def test_data2vec_names_an_unknown_norm():
  with pytest.raises(ValueError, match="'layr'"):
    losses.data2vec_targets([np.ones((1, 2, 3))], layer_norm='layr')
