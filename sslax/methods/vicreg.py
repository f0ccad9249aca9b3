"""Variance-invariance-covariance regularization."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import losses
from sslax.evals.diagnostics import embedding_std
from sslax.losses import redundancy
from sslax.method import Method, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.ops.precision import at_least_float32


class VicregState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of the parts of each branch


def vicreg(
  encoder: Net,
  *,
  hidden_size: int = 8192,
  projection_size: int = 8192,
  invariance_weight: float = 25.0,
  variance_weight: float = 25.0,
  covariance_weight: float = 1.0,
  shared: bool = True,
  dtype: str = 'float32',
) -> Method:
  """VICReg: pull two views together, keep each feature's spread, decorrelate.

  With Z = g(f(v)) of the global batch, loss = λ·mean (Z₁ − Z₂)² +
  μ·[v(Z₁) + v(Z₂)]/2 + ν·[c(Z₁) + c(Z₂)], where v(Z) = mean_j max(0, 1 −
  √(Var_j + 1e-4)) and c(Z) = Σ_{i≠j} Cov_ij² / D. Each branch is regularized by
  itself, so the two need not share anything. Reads two views.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    hidden_size: width of the projector's two hidden layers.
    projection_size: size of the embedding Z.
    invariance_weight: λ.
    variance_weight: μ.
    covariance_weight: ν.
    shared: whether both views go through the same encoder and projector;
      otherwise the second view has its own, `second_encoder` and
      `second_projector`.
    dtype: compute dtype of the projector.

  Returns:
    A Method whose features are the (first) encoder's output. Its metric `std`
    is 1 − v(Z₁).

  References:
    Bardes et al., VICReg: variance-invariance-covariance regularization for
    self-supervised learning, https://arxiv.org/abs/2105.04906, 2021;
    https://github.com/facebookresearch/vicreg/blob/main/main_vicreg.py.

  Deviations:
    None known. As in the official code the variance terms are halved, which
    the paper's loss does not say.
  """
  projector = mlp(
    hidden=(hidden_size, hidden_size),
    features=projection_size,
    final_bias=False,
    dtype=dtype,
  )
  first = chain(encoder=encoder, projector=projector)
  second = chain(second_encoder=encoder, second_projector=projector)
  branches = (first, first if shared else second)

  def init(rng, batch):
    params, stats = {}, {}
    for key, branch, view in zip(
      jax.random.split(rng), branches, batch['views'], strict=True
    ):
      made, made_stats = branch.init(key, view)
      params, stats = {**made, **params}, {**made_stats, **stats}
    return params, VicregState(stats)

  def loss(params, state, batch, *, rng, step):
    del step
    z, stats = [], state.stats
    keys = jax.random.split(rng)
    for key, branch, view in zip(keys, branches, batch['views'], strict=True):
      embedding, stats = branch.apply(params, stats, view, train=True, rng=key)
      z.append(at_least_float32(embedding))
    value = losses.vicreg(
      *z,
      invariance_weight=invariance_weight,
      variance_weight=variance_weight,
      covariance_weight=covariance_weight,
    )
    spread = 1 - redundancy.variance_hinge(z[0], 1e-4)
    metrics = {
      # The loss asks for a deviation of 1; below 0.1 rows shrink to a point.
      'embedding_std': embedding_std(z[0]) * jnp.minimum(10 * spread, 1),
      'std': spread,
      'invariance': jnp.mean((z[0] - z[1]) ** 2),
      'covariance': redundancy.covariance(z[0]),
    }
    return value, (VicregState(stats), metrics)

  features = encoder_features(encoder)
  safeguard = 'the variance term: variance_weight is too small for its rivals'
  return Method(init, loss, unchanged, features, safeguard=safeguard)
