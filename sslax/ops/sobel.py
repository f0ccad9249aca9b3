"""Edges of images: Sobel filters."""

import jax
import jax.numpy as jnp

from sslax import shapes


def sobel(images):
  """Horizontal and vertical differences of brightness, without colors.

  Args:
    images: [B, H, W, C], any range; brightness is the mean of the channels,
      and 0 beyond the border.

  Returns:
    [B, H, W, 2]: left minus right, and top minus bottom, each as a 3 x 3
    filter of weights 1, 2, 1.

  Raises:
    ValueError: the shape is wrong.

  References:
    Caron et al., Deep clustering for unsupervised learning of visual features,
    https://arxiv.org/abs/1807.05520, 2018; models/alexnet.py in
    https://github.com/facebookresearch/deepcluster.

  >>> edges = sobel(jnp.ones((1, 3, 3, 3)))
  >>> edges[0, 1, 1].tolist(), edges[0, 1, 2].tolist()
  ([0.0, 0.0], [4.0, 0.0])
  """
  shapes.check(images=(images, 'B H W C'))
  gray = jnp.mean(images, -1, keepdims=True)
  smooth, slope = (jnp.array(x, gray.dtype) for x in ((1, 2, 1), (1, 0, -1)))
  across = smooth[:, None] * slope[None, :]
  kernel = jnp.stack([across, across.T], -1)[:, :, None]
  return jax.lax.conv_general_dilated(
    gray, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
