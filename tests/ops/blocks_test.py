"""Blocks of images: where they are, and back in their places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.ops import blocks


def _coordinates(batch, height, width):
  rows, columns = jnp.meshgrid(
    jnp.arange(height), jnp.arange(width), indexing='ij'
  )
  image = jnp.stack([rows, columns], -1)
  return jnp.broadcast_to(image, (batch, *image.shape))


@pytest.mark.parametrize('place', blocks.PLACES)
def test_blocks_are_cut_where_their_corners_are(place):
  images = _coordinates(128, 6, 8)
  corners = blocks.corners_of(jax.random.key(0), images, 3, place)
  cut = np.asarray(blocks.cut(images, corners, 3))
  np.testing.assert_array_equal(cut[:, 0, 0], corners)
  np.testing.assert_array_equal(cut[:, 2, 2] - cut[:, 0, 0], 2)
  seen = {tuple(c) for c in np.asarray(corners).tolist()}
  everywhere = {(y, x) for y in range(4) for x in range(6)}
  assert seen == ({(1, 2)} if place == 'center' else everywhere)


def test_pasting_changes_the_block_alone():
  images = _coordinates(4, 6, 8)
  corners = blocks.corners_of(jax.random.key(1), images, 3, 'random')
  block = blocks.cut(images, corners, 3)
  np.testing.assert_array_equal(blocks.paste(images, corners, block), images)
  changed = np.asarray(blocks.paste(images, corners, block + 100))
  assert np.sum(changed != np.asarray(images)) == 4 * 9 * 2
  np.testing.assert_array_equal(blocks.cut(changed, corners, 3), block + 100)


def test_inside_leaves_a_margin():
  expected = np.zeros((5, 5), bool)
  expected[1:4, 1:4] = True
  np.testing.assert_array_equal(blocks.inside(5, 1), expected)
  assert np.all(blocks.inside(5, 0))


@pytest.mark.parametrize(
  ('size', 'place', 'words'),
  [(3, 'left', 'center, random'), (7, 'center', 'half of a side')],
)
def test_what_cannot_be_is_refused(size, place, words):
  with pytest.raises(BadInputError, match=words):
    blocks.corners_of(jax.random.key(0), _coordinates(1, 6, 8), size, place)
