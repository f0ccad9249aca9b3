"""Contact sheets keep the images of a cluster together."""

import jax.numpy as jnp
import numpy as np

from sslax import contact_sheet


def test_images_stand_in_the_order_of_their_clusters():
  images = jnp.arange(12.0).reshape(12, 1, 1, 1)
  images = jnp.broadcast_to(images, (12, 6, 6, 3))
  clusters = jnp.array([2, 0, 1] * 4)
  picture = contact_sheet.of_clusters(images, clusters)
  assert len(picture.columns) == 4
  rows = np.stack(picture.columns, axis=1)
  order = rows[:, :, 3, 3, 0].ravel().astype(int)
  assert order.tolist() == [1, 4, 7, 10, 2, 5, 8, 11, 0, 3, 6, 9]
  colors = rows[:, :, 0, 0]
  np.testing.assert_array_equal(colors, np.repeat(colors[:, :1], 4, axis=1))
  assert len(np.unique(colors.reshape(-1, 3), axis=0)) == 3
