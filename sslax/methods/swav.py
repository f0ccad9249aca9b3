"""Swapping assignments between views."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import losses
from sslax.evals.diagnostics import embedding_std
from sslax.frames import framed
from sslax.method import Method, Picture, encoder_features
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.nets.norm import param_dtype
from sslax.nets.project_crops import project_crops
from sslax.ops.distance import normalize
from sslax.ops.sinkhorn import sinkhorn_codes


class SwavState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of encoder and projector
  queue: jax.Array  # [W, L, D] embeddings, newest first; 0 where none came yet


def swav(
  encoder: Net,
  *,
  num_prototypes: int = 3000,
  hidden_size: int = 2048,
  projection_size: int = 128,
  num_assigned: int = 2,
  temperature: float = 0.1,
  epsilon: float = 0.05,
  num_iterations: int = 3,
  queue_size: int = 0,
  queue_wait_steps: int = 0,
  frozen_steps: int = 313,
  dtype: str = 'float32',
) -> Method:
  """SwAV: predict the code of a view from the other views.

  Views have embeddings z = g(f(v)) and scores s = z̄·C against K unit
  prototypes. The codes q of the first W views come from s / epsilon by
  Sinkhorn-Knopp, so that all prototypes are used equally over the batch and
  over the queue of earlier embeddings; loss = mean over w ≤ W and v ≠ w of
  −Σ_k q_w log softmax(s_v / temperature). Reads any number of views; views of
  one size enter the encoder together, all views the projector together.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    num_prototypes: number K of prototypes.
    hidden_size: width of the projector's hidden layer.
    projection_size: size of the embedding.
    num_assigned: number W of views that get codes, the global crops.
    temperature: of the predictions.
    epsilon: of Sinkhorn-Knopp; lower gives more decided codes.
    num_iterations: of Sinkhorn-Knopp.
    queue_size: number L of earlier embeddings of each of these views that
      share the Sinkhorn-Knopp problem, once there are L; 0 is none.
    queue_wait_steps: steps before embeddings enter the queue.
    frozen_steps: steps at the start in which the prototypes stay as they are.
    dtype: compute dtype of the projector.

  Returns:
    A Method whose features are the encoder's output.

  References:
    Caron et al., Unsupervised learning of visual features by contrasting
    cluster assignments, https://arxiv.org/abs/2006.09882, 2020, equation 3
    (codes); https://github.com/facebookresearch/swav.

  Deviations:
    Prototypes are normalized after the optimizer's step instead of before the
    next one. The queue need not be a multiple of the batch.
  """
  projector = mlp(hidden=(hidden_size,), features=projection_size, dtype=dtype)
  project = project_crops(encoder, projector)

  def init(rng, batch):
    rng_nets, rng_prototypes = jax.random.split(rng)
    whole = chain(encoder=encoder, projector=projector)
    params, stats = whole.init(rng_nets, batch['views'][0])
    shape = (projection_size, num_prototypes)
    drawn = jax.random.normal(rng_prototypes, shape, param_dtype(dtype))
    queue = jnp.zeros((num_assigned, queue_size, projection_size), drawn.dtype)
    params['prototypes'] = {'kernel': normalize(drawn, axis=0)}
    return params, SwavState(stats, queue)

  def embed(params, stats, views, **how):
    z, stats = project(params, stats, views, **how)
    z = [normalize(x) for x in z]
    return z, [x @ params['prototypes']['kernel'] for x in z], stats

  def codes_of(scores, queue, prototypes):
    """Codes [B, K] of scores, beside those of the queue once it is full."""
    is_full = jnp.any(queue[-1:] != 0)
    counted = [jnp.ones(len(scores), bool), jnp.full(len(queue), is_full)]
    codes = sinkhorn_codes(
      jnp.concatenate([scores, queue @ prototypes]),
      epsilon=epsilon,
      num_iterations=num_iterations,
      row_mask=jnp.concatenate(counted),
    )
    return codes[: len(scores)]

  def loss(params, state, batch, *, rng, step):
    z, scores, stats = embed(
      params, state.stats, batch['views'], train=True, rng=rng
    )
    prototypes = params['prototypes']['kernel']
    codes = [
      codes_of(scores[w], state.queue[w], prototypes)
      for w in range(num_assigned)
    ]
    value = losses.swapped_prediction(scores, codes, temperature=temperature)
    new = jax.lax.stop_gradient(jnp.stack(z[:num_assigned]))
    queue = jnp.concatenate([new, state.queue], axis=1)[:, :queue_size]
    queue = jnp.where(step >= queue_wait_steps, queue, state.queue)
    used = jnp.zeros(num_prototypes).at[jnp.argmax(scores[0], -1)].set(1)
    metrics = {
      'embedding_std': embedding_std(z[0]),
      'prototypes_used': used.sum(),
    }
    return value, (SwavState(stats, queue), metrics)

  def update(params, state, *, step):
    del step
    kernel = normalize(params['prototypes']['kernel'], axis=0)
    return {**params, 'prototypes': {'kernel': kernel}}, state

  def pictures(params, state, batch, *, rng):
    del rng
    _, scores, _ = embed(params, state.stats, batch['views'], train=False)
    columns = tuple(
      framed(view, jnp.argmax(s, -1))
      for view, s in zip(batch['views'], scores, strict=True)
    )
    caption = 'Crops with one color of frame are nearest to one prototype.'
    return (Picture('Prototypes', caption, columns, is_view=True),)

  features = encoder_features(encoder)
  safeguard = 'Sinkhorn-Knopp, which makes codes use all prototypes equally'
  held = {'prototypes': frozen_steps}
  return Method(
    init, loss, update, features, None, safeguard, held, pictures=pictures
  )
