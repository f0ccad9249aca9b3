"""What the losses between two modalities promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.ops.distance import normalize
from tests.losses.quick import losses


def _pairs():
  pair = np.random.default_rng(0).normal(size=(2, 8, 5))
  return pair / np.linalg.norm(pair, axis=-1, keepdims=True)


def _rotation():
  return np.linalg.qr(np.random.default_rng(3).normal(size=(5, 5)))[0]


@pytest.mark.parametrize(
  'loss',
  [
    lambda i, t: losses.clip(i, t, 7.0),
    lambda i, t: losses.siglip(i, t, 7, -2),
  ],
  ids=['clip', 'siglip'],
)
def test_order_swap_and_a_common_rotation_change_nothing(loss, x64):
  image, text = _pairs()
  order, rotation = np.random.default_rng(1).permutation(8), _rotation()
  expected = loss(image, text)
  np.testing.assert_allclose(loss(image[order], text[order]), expected)
  np.testing.assert_allclose(loss(text, image), expected)
  np.testing.assert_allclose(loss(image @ rotation, text @ rotation), expected)
  assert abs(float(loss(image @ rotation, text) - expected)) > 1e-3
  assert abs(float(loss(image[order], text) - expected)) > 1e-3


def test_clip_weighs_two_directions(x64):
  image, text = _pairs()
  forward = losses.clip(image, text, 7.0, image_weight=1.0)
  backward = losses.clip(image, text, 7.0, image_weight=0.0)
  assert abs(float(forward - backward)) > 1e-3
  np.testing.assert_allclose(
    losses.clip(image, text, 7.0), (forward + backward) / 2
  )
  np.testing.assert_allclose(
    losses.clip(text, image, 7.0, image_weight=0.0), forward
  )


def test_clip_of_equal_similarities_is_log_batch(x64):
  np.testing.assert_allclose(
    losses.clip(np.ones((8, 3)), np.ones((8, 3)), 1.0), np.log(8)
  )


def test_a_certain_clip_keeps_its_relative_accuracy():
  # Two pairs 60 apart: the loss is log(1 + e^-60), not rounded to zero.
  image = np.sqrt(np.float32(60)) * np.eye(2, dtype=np.float32)
  loss = losses.siglip(image, image, 1.0, -30.0)
  np.testing.assert_allclose(loss, 2 * np.exp(-30.0), rtol=1e-5)


@pytest.mark.parametrize(
  'loss',
  [
    lambda i, t: losses.clip(i, t, 5.0),
    lambda i, t: losses.siglip(i, t, 5.0, -2.0),
  ],
  ids=['clip', 'siglip'],
)
def test_descent_pairs_free_embeddings(loss, x64):
  start = {k: jnp.asarray(v) for k, v in zip('it', _pairs(), strict=True)}

  def value(x):
    return loss(normalize(x['i']), normalize(x['t']))

  @jax.jit
  def step(x):
    return jax.tree.map(lambda a, g: a - g, x, jax.grad(value)(x))

  x = start
  for _ in range(300):
    x = step(x)
  similarity = normalize(x['i']) @ normalize(x['t']).T
  np.testing.assert_array_equal(jnp.argmax(similarity, 1), np.arange(8))
  off_diagonal = similarity[~np.eye(8, dtype=bool)]
  assert float(jnp.diagonal(similarity).min() - off_diagonal.max()) > 0.3


def test_siglip_learns_the_bias_of_rare_pairs(x64):
  # With equal embeddings the best bias is the log odds of a pair.
  def loss(bias):
    return losses.siglip(np.zeros((8, 3)), np.zeros((8, 3)), 1.0, bias)

  np.testing.assert_allclose(jax.grad(loss)(-np.log(7.0)), 0, atol=1e-12)


def test_mil_nce_with_one_candidate_counts_each_negative_once(x64):
  video = np.random.default_rng(0).normal(size=(8, 5))
  text = np.random.default_rng(1).normal(size=(8, 1, 5))
  zero = losses.mil_nce(0 * video, text)
  np.testing.assert_allclose(zero, np.log(1 + 2 * 7))
  double = losses.mil_nce(0 * video, text, count_positives_twice=True)
  np.testing.assert_allclose(double, np.log(2 + 2 * 7))


def test_mil_nce_needs_one_right_candidate_in_any_place(x64):
  video = 6 * np.eye(8)
  text = np.zeros((8, 3, 8))
  text[np.arange(8), np.arange(8) % 3] = np.eye(8) * 3
  loss = losses.mil_nce(video, text)
  assert float(loss) < 1e-3
  np.testing.assert_allclose(losses.mil_nce(video, text[:, ::-1]), loss)


def test_only_hidden_regions_count(x64):
  rng = np.random.default_rng(0)
  predictions, features = rng.normal(size=(2, 2, 4, 3))
  mask = np.array([[1, 0, 0, 1], [0, 0, 1, 0]])
  loss = losses.masked_region_regression(predictions, features, mask)
  changed = np.where(mask[..., None] == 1, predictions, 100.0)
  np.testing.assert_allclose(
    losses.masked_region_regression(changed, features, mask), loss
  )
  unmasked = losses.masked_region_regression(changed, features, 1 - mask)
  assert float(unmasked) > 1e3
