"""Losses that compare positives after whitening the batch."""

import itertools

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import whitening
from sslax.ops.cross_entropy import of_views
from sslax.ops.distance import normalize
from sslax.ops.precision import at_least_float32

__all__ = ['dbn', 'wmse', 'zero_cl']


def wmse(views, *, group_size=None, eps=0.01):
  """Distance of positives after whitening the batch.

  mean over pairs of views of mean_i (2 − 2·cos(w_i, w'_i)), each view whitened
  by the Cholesky factor of its own covariance, sub-batch by sub-batch.

  Args:
    views: V views [B, D], any scale; whitened here.
    group_size: rows of one sub-batch, a divisor of B and above D; consecutive
      rows form a group, so permute the batch (all views alike) for random
      ones, and average calls for several slicings. Default: all B.
    eps: shrinks the covariance, (1 − ε)Σ + ε·I.

  Returns:
    Scalar in [0, 4].

  Raises:
    ValueError: the shapes differ, or the groups do not divide the batch.

  References:
    Ermolov et al., Whitening for self-supervised representation learning,
    https://arxiv.org/abs/2007.06346, 2020.

  Deviations:
    The official default is eps=0, which is not finite for a batch of lower
    rank than D.

  >>> import numpy as np
  >>> z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
  >>> round(float(wmse((z, 3 * z), eps=0.0)), 4)
  0.0
  """
  batch = shapes.check(**of_views(views=(views, 'B D')))['B']
  group_size = group_size or batch
  if batch % group_size:
    raise ValueError(
      f'group_size is {group_size}; expected a divisor of the batch, {batch}'
    )
  white = [_whiten_groups(view, group_size, eps) for view in views]
  pairs = list(itertools.combinations(white, 2))
  return sum(_normalized_mse(a, b) for a, b in pairs) / len(pairs)


def dbn(z1, z2, *, num_groups=1, permutation=None, eps=1e-3):
  """Distance of positives after (shuffled) decorrelated batch normalization.

  mean_i (2 − 2·cos(w_i, w'_i)), each view ZCA-whitened by groups of features.

  Args:
    z1: [B, D], any scale; whitened here.
    z2: [B, D], any scale; whitened here.
    num_groups: divides D.
    permutation: [D] a random order of the features, so that the groups change
      from step to step (Shuffled-DBN); default none.
    eps: shrinks the covariance, (1 − ε)Σ + ε·I.

  Returns:
    Scalar in [0, 4].

  Raises:
    ValueError: the shapes differ, or the groups do not divide D.

  References:
    Hua et al., On feature decorrelation in self-supervised learning,
    https://arxiv.org/abs/2105.00470, 2021.

  >>> import numpy as np
  >>> z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
  >>> round(float(dbn(z, 3 * z)), 3)
  0.0
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  z1, z2 = at_least_float32(z1, z2)
  if permutation is not None:
    permutation = jnp.asarray(permutation)
    z1, z2 = z1[:, permutation], z2[:, permutation]
  kwargs = {'kind': 'zca', 'eps': eps, 'num_groups': num_groups}
  return _normalized_mse(
    whitening.whiten(z1, **kwargs), whitening.whiten(z2, **kwargs)
  )


def zero_cl(z1, z2, *, feature_weight=1.0, eps=1e-3):
  """Instance-wise and feature-wise whitening in place of negatives.

  −mean_i cos(h1_i, h2_i) over rows after whitening the instances (the B × B
  affinity), plus weight times the same over columns after whitening the
  features (D × D), both by ZCA.

  Args:
    z1: [B, D], any scale; standardized and whitened here.
    z2: [B, D], any scale; standardized and whitened here.
    feature_weight: weight of the feature-wise term.
    eps: shrinks both covariances, (1 − ε)Σ + ε·I.

  Returns:
    Scalar, at least −1 − feature_weight.

  Raises:
    ValueError: the shapes differ.

  References:
    Zhang et al., Zero-CL: instance and feature decorrelation for negative-free
    symmetric contrastive learning, https://openreview.net/forum?id=RAW9tCdVxLj,
    2022.

  >>> import numpy as np
  >>> z = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5], [0.5, -1.0]])
  >>> round(float(zero_cl(z, z)), 4)
  -2.0
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  z1, z2 = at_least_float32(z1, z2)
  features = _zca_cosine(z1, z2, eps)
  return -_zca_cosine(z1.T, z2.T, eps) - feature_weight * features


def _whiten_groups(view, group_size, eps):
  view = at_least_float32(view)
  groups = jnp.reshape(view, (-1, group_size, view.shape[1]))
  white = jax.vmap(lambda g: whitening.whiten(g, eps=eps))(groups)
  return jnp.reshape(white, view.shape)


def _normalized_mse(a, b):
  return 2 - 2 * jnp.mean(jnp.sum(normalize(a) * normalize(b), -1))


def _zca_cosine(x, y, eps):
  """Mean cosine of two views' columns after whitening them."""
  x, y = (normalize(_whitened_columns(z, eps), 0) for z in (x, y))
  return jnp.mean(jnp.sum(x * y, 0))


def _whitened_columns(x, eps):
  std = jnp.sqrt(jnp.var(x, 0, keepdims=True) + 1e-5)
  return whitening.whiten(x / std, kind='zca', eps=eps)
