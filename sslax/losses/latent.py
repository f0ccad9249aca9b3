"""Losses of masked prediction in the teacher's feature space."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.cross_entropy import of_views, stacked
from sslax.ops.precision import at_least_float32

__all__ = ['data2vec', 'data2vec_targets']


def data2vec(predictions, targets, mask, *, beta=0.0, scale=None):
  """Regression of the teacher's contextual features at hidden positions.

  scale·Σ_hidden Σ_c ℓ(p − y), ℓ the squared error where β = 0, else the smooth
  L1 loss: d² / 2β where |d| < β, |d| − β / 2 beyond. A sum: divide it by the
  number of hidden positions for a mean.

  Args:
    predictions: [B, T, C] of the student.
    targets: [B, T, C] of `data2vec_targets`; no gradient.
    mask: [B, T], 1 = hidden.
    beta: β, at least 0.
    scale: default 1 / √C.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Baevski et al., data2vec: a general framework for self-supervised learning
    in speech, vision and language, https://arxiv.org/abs/2202.03555, 2022. The
    official code: facebookresearch/fairseq, data2vec_audio.py.

  >>> import numpy as np
  >>> x = np.zeros((1, 2, 1))
  >>> float(data2vec(x + 3, x, np.array([[1, 0]]), beta=2.0))
  2.0
  """
  shapes.check(
    predictions=(predictions, 'B T C'),
    targets=(targets, 'B T C'),
    mask=(mask, 'B T'),
  )
  targets = jax.lax.stop_gradient(targets)
  predictions, targets, mask = at_least_float32(predictions, targets, mask)
  gap = jnp.abs(predictions - targets)
  error = gap**2
  if beta > 0:
    error = jnp.where(gap < beta, error / (2 * beta), gap - beta / 2)
  scale = predictions.shape[-1] ** -0.5 if scale is None else scale
  return scale * jnp.sum(jnp.sum(error, -1) * mask)


def data2vec_targets(
  layers, *, layer_norm='layer', target_norm='none', eps=1e-5
):
  """The mean of the teacher's normalized top layers.

  Args:
    layers: outputs [B, T, C] of the teacher's top K blocks.
    layer_norm: normalization of every layer before the mean: 'layer' (over
      channels), 'instance' (over time, per channel), 'batch' (over batch and
      time), 'group' (over time and channels) or 'none'.
    target_norm: the same for the mean: 'layer', 'instance' or 'none'.
    eps: added to the variance.

  Returns:
    [B, T, C]; no gradient flows.

  Raises:
    ValueError: the shapes differ, or a norm is unknown.

  References:
    Baevski et al., data2vec, https://arxiv.org/abs/2202.03555, 2022. The
    official code: facebookresearch/fairseq.
  """
  shapes.check(**of_views(layers=(layers, 'B T C')))
  for name in (layer_norm, target_norm):
    if name not in _NORM_AXES:
      raise ValueError(
        f'the norm is {name!r}; expected one of {sorted(_NORM_AXES)}'
      )
  # The leading axis of the stack counts layers.
  layers = jax.lax.stop_gradient(stacked(layers))
  mean = jnp.mean(_standardized(layers, _NORM_AXES[layer_norm], eps), 0)
  return _standardized(mean, _NORM_AXES[target_norm], eps)


# Axes from the end of [..., B, T, C].
_NORM_AXES = {
  'none': (),
  'layer': (-1,),
  'instance': (-2,),
  'group': (-2, -1),
  'batch': (-3, -2),
}


def _standardized(x, axes, eps):
  x = at_least_float32(x)
  if not axes:
    return x
  centered = x - jnp.mean(x, axes, keepdims=True)
  variance = jnp.mean(centered**2, axes, keepdims=True)
  return centered / jnp.sqrt(variance + eps)
