"""Pictures of clusters: the images of each side by side."""

import math

import jax.numpy as jnp

from sslax.frames import framed
from sslax.method import Picture

_NUM_COLUMNS = 8


def of_clusters(images, clusters) -> Picture:
  """Lays views out in the order of their clusters, framed in their colors.

  Args:
    images: views [B, H, W, 3].
    clusters: int32 [B].
  """
  order = jnp.argsort(clusters)
  sheet = framed(images, clusters)[order]
  columns = math.gcd(len(images), _NUM_COLUMNS)
  sheet = sheet.reshape(-1, columns, *images.shape[1:])
  caption = (
    'Row by row, in the order of their clusters. One color is a cluster.'
  )
  return Picture('Clusters', caption, tuple(sheet.swapaxes(0, 1)), is_view=True)
