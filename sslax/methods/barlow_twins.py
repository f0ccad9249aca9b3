"""Barlow Twins."""

from typing import Any, NamedTuple

import jax

from sslax import losses
from sslax.evals.diagnostics import embedding_std
from sslax.method import Method, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.net import Net


class BarlowTwinsState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of encoder and projector


def barlow_twins(
  encoder: Net,
  *,
  hidden_size: int = 8192,
  projection_size: int = 8192,
  off_diagonal_weight: float = 0.0051,
  dtype: str = 'float32',
) -> Method:
  """Barlow Twins: make the views' cross-correlation the identity.

  With Z = g(f(v)), each feature standardized over the global batch, and C =
  Z₁ᵀZ₂ / B, loss = Σ_i (1 − C_ii)² + λ Σ_{i≠j} C_ij²: every feature is the same
  in both views, and no two features are alike. Reads two views.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    hidden_size: width of the projector's two hidden layers.
    projection_size: size of the embedding Z.
    off_diagonal_weight: λ.
    dtype: compute dtype of the projector.

  Returns:
    A Method whose features are the encoder's output.

  References:
    Zbontar et al., Barlow Twins: self-supervised learning via redundancy
    reduction, https://arxiv.org/abs/2103.03230, 2021;
    https://github.com/facebookresearch/barlowtwins/blob/main/main.py.

  Deviations:
    The standardization keeps no running statistics: nothing reads them.
  """
  projector = mlp(
    hidden=(hidden_size, hidden_size),
    features=projection_size,
    hidden_bias=False,
    final_bias=False,
    dtype=dtype,
  )
  whole = chain(encoder=encoder, projector=projector)

  def init(rng, batch):
    params, stats = whole.init(rng, batch['views'][0])
    return params, BarlowTwinsState(stats)

  def loss(params, state, batch, *, rng, step):
    del step
    z, stats = [], state.stats
    keys = jax.random.split(rng)
    for key, view in zip(keys, batch['views'], strict=True):
      embedding, stats = whole.apply(params, stats, view, train=True, rng=key)
      z.append(embedding)
    value = losses.barlow_twins(*z, off_diagonal_weight=off_diagonal_weight)
    on_diagonal = losses.barlow_twins(*z, off_diagonal_weight=0.0)
    metrics = {
      'embedding_std': embedding_std(z[0]),
      'on_diagonal': on_diagonal,
      'off_diagonal': value - on_diagonal,
    }
    return value, (BarlowTwinsState(stats), metrics)

  features = encoder_features(encoder)
  safeguard = 'the off-diagonal term: off_diagonal_weight is too small'
  return Method(init, loss, unchanged, features, safeguard=safeguard)
