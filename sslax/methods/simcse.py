"""Simple contrastive learning of sentence embeddings."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from sslax import losses
from sslax.evals.diagnostics import embedding_std
from sslax.evals.matching import match_accuracy
from sslax.method import Method, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.multi_crop import by_size
from sslax.nets.net import Net


class SimcseState(NamedTuple):
  """What changes beside the parameters: nothing, in a transformer."""

  stats: dict[str, Any]  # of encoder and projector


def simcse(
  encoder: Net,
  *,
  projection_size: int = 768,
  temperature: float = 0.05,
  dtype: str = 'float32',
) -> Method:
  """SimCSE, unsupervised: dropout as the only augmentation of a sentence.

  A sentence passes the encoder f twice, with other dropout each time, and then
  g(x) = tanh(W x + b); with z = g(f(x)),
  loss = mean_i −log exp(cos(zᵢ, z'ᵢ)/temperature) /
  Σ_j exp(cos(zᵢ, z'_j)/temperature). Reads two equal views, tokens [B, L].

  Args:
    encoder: with dropout, [B, L] -> [B, D].
    projection_size: size of z; the official code has D.
    temperature: of the softmax.
    dtype: compute dtype of the projector.

  Returns:
    A Method whose features are the encoder's output, without the projector.

  References:
    Gao et al., SimCSE: Simple contrastive learning of sentence embeddings,
    https://arxiv.org/abs/2104.08821, 2021;
    https://github.com/princeton-nlp/SimCSE, simcse/models.py.

  Deviations:
    The official code goes on from a trained BERT; here the encoder starts at
    random, unless init_from says otherwise.
  """
  linear = {'hidden': (), 'features': projection_size, 'norm': 'none'}
  whole = chain(encoder=encoder, projector=mlp(**linear, dtype=dtype))
  project = by_size(whole.apply)

  def init(rng, batch):
    params, stats = whole.init(rng, batch['views'][0])
    return params, SimcseState(stats)

  def loss(params, state, batch, *, rng, step):
    del step
    made, stats = project(
      params, state.stats, batch['views'], train=True, rng=rng
    )
    z1, z2 = (jnp.tanh(x) for x in made)
    value = losses.info_nce(z1, z2, temperature=temperature)
    metrics = {
      'embedding_std': embedding_std(z1),
      'accuracy': match_accuracy(z1, z2),
    }
    return value, (SimcseState(stats), metrics)

  return Method(
    init,
    loss,
    unchanged,
    encoder_features(encoder),
    safeguard="the encoder's dropout, or the other sentences of the batch",
  )
