"""Tiles lie in their cells, anywhere, and come back in their order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.ops import tiles as tiling

_SIZE, _GAP = 16, 2  # cells of 5 pixels, one is left over; tiles of 3


def _coordinates(batch):
  """Images whose two channels are the row and the column of each pixel."""
  rows, columns = jnp.meshgrid(*[jnp.arange(_SIZE)] * 2, indexing='ij')
  image = jnp.stack([rows, columns], -1).astype(jnp.float32)
  return jnp.broadcast_to(image, (batch, *image.shape))


def test_tiles_lie_in_their_cells_row_by_row_and_at_every_place():
  cut = jax.jit(lambda k, x: tiling.jittered_tiles(k, x, gap=_GAP))
  tiles = np.asarray(cut(jax.random.key(0), _coordinates(64)))
  assert tiles.shape == (64, 9, 3, 3, 2)
  corners = tiles[:, :, 0, 0]
  np.testing.assert_array_equal(tiles[:, :, 2, 2] - corners, 2)
  for i in range(9):
    inside = corners[:, i] - 5 * np.array([i // 3, i % 3])
    places = {tuple(place) for place in inside.tolist()}
    assert places == {(y, x) for y in range(3) for x in range(3)}


def test_a_standardized_tile_has_lost_brightness_and_contrast():
  tiles = jax.random.normal(jax.random.key(1), (2, 9, 4, 4, 3))
  changed = 3 * tiles + jnp.arange(9.0).reshape(1, 9, 1, 1, 1)
  before, after = map(tiling.standardized, (tiles, changed))
  np.testing.assert_allclose(after, before, atol=1e-4)
  np.testing.assert_allclose(jnp.std(after, (2, 3)), 1, atol=1e-4)
  assert np.all(tiling.standardized(jnp.ones((1, 1, 4, 4, 3))) == 0)


def test_laid_out_tiles_are_rows_of_the_picture():
  tiles = jnp.arange(4.0).reshape(1, 4, 1, 1, 1)
  picture = tiling.laid_out(tiles, border=1)[0, :, :, 0]
  np.testing.assert_array_equal(picture[1::3, 1::3], [[0, 1], [2, 3]])
  assert picture.shape == (6, 6)
  assert picture.sum() == 6


def test_a_gap_that_leaves_nothing_is_refused():
  with pytest.raises(BadInputError, match='0 to 4 would be right'):
    tiling.jittered_tiles(jax.random.key(0), _coordinates(1), gap=5)
