"""Nearest-neighbor contrastive learning of visual representations."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import losses
from sslax.evals.diagnostics import embedding_std
from sslax.evals.matching import match_accuracy
from sslax.method import Method, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.multi_crop import by_size
from sslax.nets.net import Net
from sslax.nets.norm import param_dtype
from sslax.ops import queue as queues
from sslax.ops import selectors
from sslax.ops.distance import normalize


class NnclrState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics, by part
  queue: queues.Queue  # the support set: embeddings of earlier batches, [K, D]


def nnclr(
  encoder: Net,
  *,
  hidden_size: int = 2048,
  projection_size: int = 256,
  prediction_hidden_size: int = 4096,
  queue_size: int = 98304,
  temperature: float = 0.1,
  dtype: str = 'float32',
) -> Method:
  """NNCLR: the positive of a view is its nearest neighbor in a support set.

  With z = g(f(v)) and the predictions p = q(z), rows normalized, and n(z) the
  support set's row nearest to z, loss = (c(n(z₁), p₂) + c(n(z₂), p₁)) / 2,
  c(n, p) = −mean_i log exp(nᵢ·pᵢ/temperature) / Σ_j exp(nᵢ·p_j/temperature)
  over the global batch. Then z₁ enters the support set, a queue. Reads two
  views.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    hidden_size: width of the two hidden layers of the projector.
    projection_size: size of embeddings and predictions.
    prediction_hidden_size: width of the hidden layer of the predictor.
    queue_size: number K of embeddings in the support set.
    temperature: of the softmax.
    dtype: compute dtype of projector and predictor.

  Returns:
    A Method whose features are the encoder's output.

  References:
    Dwibedi et al., With a little help from my friends: nearest-neighbor
    contrastive learning of visual representations,
    https://arxiv.org/abs/2104.14548, 2021. There is no official code; the
    networks are as https://github.com/lightly-ai/lightly quotes the paper in
    lightly/models/modules/heads.py.

  Deviations:
    The projector's last normalization has no scale and bias.
  """
  projector = mlp(
    hidden=(hidden_size, hidden_size),
    features=projection_size,
    hidden_bias=False,
    final_bias=False,
    final_norm=True,
    dtype=dtype,
  )
  predictor = mlp(
    hidden=(prediction_hidden_size,),
    features=projection_size,
    hidden_bias=False,
    dtype=dtype,
  )
  whole = chain(encoder=encoder, projector=projector, predictor=predictor)
  project = by_size(chain(encoder=encoder, projector=projector).apply)
  predict = by_size(chain(predictor=predictor).apply)

  def init(rng, batch):
    rng_params, rng_queue = jax.random.split(rng)
    params, stats = whole.init(rng_params, batch['views'][0])
    queue = queues.init(
      rng_queue, queue_size, projection_size, param_dtype(dtype)
    )
    return params, NnclrState(stats, queue)

  def loss(params, state, batch, *, rng, step):
    del step
    z, stats = project(params, state.stats, batch['views'], train=True, rng=rng)
    p, stats = predict(params, stats, z, train=True)
    neighbors = [selectors.nearest(row, state.queue.rows) for row in z]
    value = 0.5 * sum(
      losses.nnclr(neighbors[i], p[1 - i], temperature=temperature)
      for i in (0, 1)
    )
    similarity = jnp.sum(normalize(z[0]) * neighbors[0], axis=1)
    metrics = {
      'embedding_std': embedding_std(z[0]),
      'accuracy': match_accuracy(neighbors[0], p[1]),
      'neighbor_similarity': jnp.mean(similarity),
    }
    queue = queues.push(state.queue, normalize(z[0]))
    return value, (NnclrState(stats, queue), metrics)

  features = encoder_features(encoder)
  safeguard = 'the negatives, and a support set that is large and moves on'
  return Method(init, loss, unchanged, features, safeguard=safeguard)
