"""Attention of the class token, and images lit by it."""

import jax
import jax.numpy as jnp
import numpy as np

from sslax import attention_maps
from sslax.nets import resnet, vit

_IMAGES = jnp.asarray(
  np.random.default_rng(0).normal(size=(2, 6, 6, 3)), jnp.float32
)


def test_maps_are_the_class_tokens_row_without_prefix_tokens():
  encoder = vit(
    width=8, depth=1, num_heads=2, patch_size=2, image_size=6, registers=3
  )
  params, stats = encoder.init(jax.random.key(0), _IMAGES)
  maps = attention_maps.attention_maps(encoder, params, stats, _IMAGES)
  seen, _ = encoder.apply(
    params, stats, _IMAGES, train=False, taps=('attention',)
  )
  rows = np.asarray(seen['attention'])[:, :, 0, 4:].reshape(2, 2, 3, 3)
  expected = rows / rows.max((2, 3), keepdims=True)
  np.testing.assert_allclose(maps, expected, atol=1e-6)
  (picture,) = attention_maps.pictures(encoder, params, stats, _IMAGES)
  assert picture.names == ('view', 'head 1', 'head 2')
  assert all(column.shape == _IMAGES.shape for column in picture.columns)


def test_a_network_without_attention_shows_nothing():
  encoder = resnet(width=8, stem='small', stage_sizes=(1,))
  params, stats = encoder.init(jax.random.key(0), _IMAGES)
  assert attention_maps.pictures(encoder, params, stats, _IMAGES) == ()


def test_hidden_patches_are_black_and_others_as_they_were():
  mask = jnp.zeros((2, 9), bool).at[0, 1].set(True)
  whole, seen = attention_maps.of_mask(_IMAGES, mask).columns
  expected = np.array(whole)
  expected[0, :2, 2:4] = _IMAGES.min()
  np.testing.assert_allclose(seen, expected, atol=1e-6)
