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


def dbn(z1, z2, *, num_groups=1, permutations=None, eps=1e-3):
  """Distance of positives after (shuffled) decorrelated batch normalization.

  mean_i ‖w_i − w'_i‖², each view ZCA-whitened by groups of features.

  Args:
    z1: [B, D], any scale; whitened here.
    z2: [B, D], any scale; whitened here.
    num_groups: divides D.
    permutations: [2, D] for each view a random order in which its features are
      grouped, so that the groups change from step to step (Shuffled-DBN);
      default none.
    eps: shrinks the covariance, (1 − ε)Σ + ε·I.

  Returns:
    Scalar, at least 0; at most 4D at ε = 0.

  Raises:
    ValueError: the shapes differ, or the groups do not divide D.

  References:
    Hua et al., On feature decorrelation in self-supervised learning,
    https://arxiv.org/abs/2105.00470, 2021. The official code:
    patrickhua/FeatureDecorrelationSSL.

  Deviations:
    The official code divides the covariance by B, here by B − 1, and does not
    shrink it.

  >>> import numpy as np
  >>> z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
  >>> round(float(dbn(z, 3 * z, eps=0.0)), 4)
  0.0
  """
  sizes = shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  z1, z2 = at_least_float32(z1, z2)
  if permutations is None:
    permutations = jnp.stack([jnp.arange(sizes['D'])] * 2)
  shapes.check(permutations=(permutations, f'2 {sizes["D"]}'))
  kwargs = {'kind': 'zca', 'eps': eps, 'num_groups': num_groups}
  gap = _shuffled(z1, permutations[0], **kwargs)
  gap = gap - _shuffled(z2, permutations[1], **kwargs)
  return jnp.mean(jnp.sum(gap**2, -1))


def _shuffled(z, order, **kwargs):
  """Whitens the features in another order, and puts them back."""
  order = jnp.asarray(order)
  return whitening.whiten(z[:, order], **kwargs)[:, jnp.argsort(order)]


def zero_cl(z1, z2, *, feature_weight=1.0, eps=0.1):
  """Instance-wise and feature-wise whitening in place of negatives.

  Σ_i (1 − ⟨h1_i, h2_i⟩ / D)² + λ Σ_d (1 − ⟨g1_d, g2_d⟩ / B)², h the rows after
  whitening the instances (B × B), g the columns after whitening the features
  (D × D), both standardized first and whitened by ZCA matrices that are
  constants for the gradient.

  Args:
    z1: [B, D], any scale; standardized and whitened here; D at least 2.
    z2: [B, D], any scale; standardized and whitened here.
    feature_weight: λ, of the feature-wise term.
    eps: shrinks both covariances, (1 − ε)Σ + ε·I.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Zhang et al., Zero-CL: instance and feature decorrelation for negative-free
    symmetric contrastive learning, https://openreview.net/forum?id=RAW9tCdVxLj,
    2022, and its authors' code.

  >>> import numpy as np
  >>> z = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5], [0.5, -1.0]])
  >>> round(float(zero_cl(z, z)), 4)
  3.1139
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  z1, z2 = at_least_float32(z1, z2)
  instances = _zca_mismatch(z1.T, z2.T, eps, ddof=1)
  return instances + feature_weight * _zca_mismatch(z1, z2, eps, ddof=0)


def _whiten_groups(view, group_size, eps):
  view = at_least_float32(view)
  groups = jnp.reshape(view, (-1, group_size, view.shape[1]))
  white = jax.vmap(lambda g: whitening.whiten(g, eps=eps))(groups)
  return jnp.reshape(white, view.shape)


def _normalized_mse(a, b):
  return jnp.mean(jnp.sum((normalize(a) - normalize(b)) ** 2, -1))


def _zca_mismatch(x, y, eps, ddof):
  """How far two views' whitened columns are from correlation one."""
  x, y = (_whitened_columns(z, eps, ddof) for z in (x, y))
  return jnp.sum((1 - jnp.mean(x * y, 0)) ** 2)


def _whitened_columns(x, eps, ddof):
  std = jnp.sqrt(jnp.var(x, 0, keepdims=True, ddof=ddof) + 1e-5)
  x = x / std
  if eps > 0 and x.shape[1] > x.shape[0]:
    return _whitened_by_few_rows(x, eps)
  moments = whitening.statistics(x, eps=eps)
  fixed = jax.lax.stop_gradient(moments.covariance)
  moments = whitening.Statistics(moments.mean, fixed)
  return whitening.apply(x, moments, kind='zca')


def _whitened_by_few_rows(x, eps):
  """The same by a matrix of the rows, where columns are more than rows.

  Σ^-½ = (a·xᵀx + ε·I)^-½ = ε^-½·I + xᵀ·g(x·xᵀ)·x, where g takes an eigenvalue
  s to ((a·s + ε)^-½ − ε^-½) / s.
  """
  x = x - jnp.mean(x, 0, keepdims=True)
  fixed = jax.lax.stop_gradient(x)
  values, vectors = jnp.linalg.eigh(fixed @ fixed.T)
  share = (1 - eps) / (x.shape[0] - 1)
  root = jnp.sqrt(share * jnp.maximum(values, 0) + eps)
  # g(s), after its division by s.
  slopes = -share / (eps**0.5 * root * (root + eps**0.5))
  inner = (x @ fixed.T) @ (vectors * slopes[None, :]) @ vectors.T
  return x / eps**0.5 + inner @ fixed
