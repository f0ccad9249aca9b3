"""DirectPred: a linear predictor that is set, not trained."""

import jax.numpy as jnp

from sslax import shapes
from sslax.ops.precision import at_least_float32


def update_correlation(correlation, features, *, momentum=0.3):
  """Moving average of the correlation of the predictor's inputs.

  F ← ρF + (1 − ρ) mean_i f_i f_iᵀ.

  Args:
    correlation: [D, D], the average before this batch.
    features: [B, D] inputs of the predictor, any scale; not centered.
    momentum: ρ, the share kept, in [0, 1].

  Returns:
    [D, D], the dtype of `correlation`.

  Raises:
    ValueError: a shape is wrong.

  References:
    Tian et al., Understanding self-supervised learning dynamics without
    contrastive pairs, https://arxiv.org/abs/2102.06810, 2021.
  """
  shapes.check(features=(features, 'B D'), correlation=(correlation, 'D D'))
  dtype = jnp.asarray(correlation).dtype
  correlation, features = at_least_float32(correlation, features)
  batch = features.T @ features / features.shape[0]
  return (momentum * correlation + (1 - momentum) * batch).astype(dtype)


def direct_predictor(
  correlation, *, eps=0.3, power=0.5, eps_inside=False, shrinkage=0.0
):
  """The predictor's weight from the eigenvalues of the correlation.

  W = U·diag(p)·Uᵀ with p_i = (λ_i / max λ)^½ + ε, where F = U·diag(λ)·Uᵀ.

  Args:
    correlation: [D, D] symmetric, of `update_correlation`.
    eps: ε, added to every p; may be negative, p stays at least 1e-4.
    power: the exponent of the relative eigenvalues; ½ in the paper.
    eps_inside: add ε to λ_i / max λ, before the power.
    shrinkage: multiplies the result by 1 − shrinkage.

  Returns:
    [D, D] symmetric; the prediction is features @ W.

  Raises:
    ValueError: the correlation is not square.

  References:
    Tian et al., Understanding self-supervised learning dynamics without
    contrastive pairs, https://arxiv.org/abs/2102.06810, 2021. The official
    code: facebookresearch/luckmatters, byol_trainer.py, compute_w_corr with
    balance_type=boost_scale.

  >>> import jax.numpy as jnp
  >>> weight = direct_predictor(jnp.diag(jnp.array([4.0, 1.0])), eps=0.0)
  >>> [round(float(weight[i, i]), 4) for i in range(2)]
  [1.0, 0.5]
  """
  shapes.check(correlation=(correlation, 'D D'))
  correlation = at_least_float32(correlation)
  values, vectors = jnp.linalg.eigh(correlation)
  smallest = float(jnp.finfo(values.dtype).tiny)
  top = jnp.maximum(values[-1], smallest)
  values = jnp.maximum(values, 0) / top
  if eps_inside:
    values = jnp.maximum(values + eps, 1e-4) ** power
  else:
    values = jnp.maximum(values**power + eps, 1e-4)
  return (1 - shrinkage) * (vectors * values[None, :]) @ vectors.T


def direct_copy_predictor(correlation, *, eps=0.3):
  """The correlation itself as predictor, without an eigendecomposition.

  W = F + ε·I.

  Args:
    correlation: [D, D] symmetric, of `update_correlation`.
    eps: ε.

  Returns:
    [D, D] symmetric.

  Raises:
    ValueError: the correlation is not square.

  References:
    The official code: facebookresearch/luckmatters, byol_trainer.py,
    compute_w_corr with balance_type=direct.
  """
  shapes.check(correlation=(correlation, 'D D'))
  correlation = at_least_float32(correlation)
  return correlation + eps * jnp.eye(len(correlation), dtype=correlation.dtype)
