"""Losses of the Hilbert-Schmidt independence criterion."""

import jax.numpy as jnp

from sslax import shapes
from sslax.ops import multiquadric
from sslax.ops.cross_entropy import of_views, stacked

__all__ = ['ssl_hsic']


def ssl_hsic(views, features, self_features, *, regularization_weight=3.0):
  """Dependence on the image's identity, against dependence on itself.

  γ·√HSIC(Z, Z) − HSIC(Z, Y), Y the one-hot identity of the image and the
  kernel of Z the inverse multiquadric, by random Fourier features.

  Args:
    views: V ≥ 2 views [B, D], unit rows expected; not normalized here.
    features: `ops.multiquadric.RandomFeatures` of D dimensions, one draw a
      step.
    self_features: a second, independent draw: HSIC(Z, Z) pairs the two.
    regularization_weight: γ.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ, or there is one view.

  References:
    Li et al., Self-supervised learning with kernel dependence maximization,
    https://arxiv.org/abs/2106.08320, 2021. The official code:
    google-deepmind/ssl_hsic, kernels.py.

  >>> import jax, numpy as np
  >>> from sslax.ops import multiquadric as imq
  >>> draws = [imq.draw(np.random.default_rng(s), 64, 4) for s in (0, 1)]
  >>> bool(ssl_hsic((np.eye(4), np.eye(4)), *draws) < ssl_hsic(
  ...   (np.eye(4), np.roll(np.eye(4), 1, 0)), *draws))
  True
  """
  shapes.check(**of_views(views=(views, 'B D')))
  if len(views) < 2:
    raise ValueError(f'views has {len(views)} view; expected at least 2')
  views = stacked(views)
  first = multiquadric.transform(views, features)
  second = multiquadric.transform(views, self_features)
  redundancy = multiquadric.hsic_with_itself(second, first)
  # √ has no slope at 0, where all embeddings are one: floor it.
  root = jnp.sqrt(jnp.maximum(redundancy, 1e-12))
  return regularization_weight * root - multiquadric.hsic_with_identity(first)
