"""Overlapping patches: where each comes from, and what jitter leaves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.ops.patch_grid import jittered, patch_grid


def test_patches_are_cut_in_rows_and_columns():
  images = np.random.default_rng(0).normal(size=(2, 10, 13, 3))
  patches = np.asarray(patch_grid(jnp.asarray(images, jnp.float32), 4, 3))
  assert patches.shape == (2, 3, 4, 4, 4, 3)
  for r in range(3):
    for c in range(4):
      expected = images[:, 3 * r : 3 * r + 4, 3 * c : 3 * c + 4]
      np.testing.assert_allclose(patches[:, r, c], expected, rtol=1e-6)


def test_jitter_keeps_a_random_part_in_the_middle():
  ramp = 1.0 + jnp.arange(36.0).reshape(6, 6, 1)
  patches = jnp.broadcast_to(ramp, (16, 2, 6, 6, 1))
  found = np.asarray(jittered(jax.random.key(0), patches, 2))
  assert found.shape == patches.shape
  assert not found[:, :, [0, -1]].any()
  assert not found[:, :, :, [0, -1]].any()
  starts = found[:, :, 1, 1, 0].reshape(-1) - 1
  assert {divmod(int(s), 6) for s in starts} == {
    (y, x) for y in range(3) for x in range(3)
  }
  np.testing.assert_array_equal(found[:, :, 4, 4] - found[:, :, 1, 1], 3 * 7)
  np.testing.assert_array_equal(jittered(None, patches, 0), patches)


@pytest.mark.parametrize(('size', 'stride'), [(11, 1), (4, 0)])
def test_patches_that_do_not_fit_are_refused(size, stride):
  with pytest.raises(BadInputError, match='10 x 12'):
    patch_grid(jnp.zeros((1, 10, 12, 3)), size, stride)
