"""Images put together from patches are those that were cut."""

import numpy as np
import pytest

from sslax.ops.patches import patchify
from sslax.ops.unpatchify import unpatchify


def test_it_undoes_patchify():
  images = np.random.default_rng(0).normal(size=(2, 6, 9, 4)).astype(np.float32)
  again = unpatchify(patchify(images, 3), (2, 3), 3)
  np.testing.assert_array_equal(again, images)


def test_another_number_of_patches_is_refused():
  with pytest.raises(ValueError, match='patches has shape'):
    unpatchify(np.zeros((2, 6, 27)), (2, 2), 3)
