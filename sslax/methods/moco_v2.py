"""Momentum contrast, versions 1 and 2."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import losses
from sslax.evals.diagnostics import embedding_std
from sslax.evals.matching import match_accuracy
from sslax.method import Method, encoder_features, following_teacher
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.nets.norm import param_dtype
from sslax.ops import queue as queues
from sslax.ops.distance import normalize


class MocoState(NamedTuple):
  """What changes beside the student's parameters."""

  stats: dict[str, Any]  # student's batch statistics, by part
  teacher: dict[str, Any]  # moving average of encoder and projector
  teacher_stats: dict[str, Any]  # the teacher's own batch statistics
  queue: queues.Queue  # keys of earlier batches, [K, D]


def moco_v2(
  encoder: Net,
  *,
  projection_size: int = 128,
  hidden_size: int = 2048,
  queue_size: int = 65536,
  temperature: float = 0.2,
  momentum: float = 0.999,
  shuffle: bool = True,
  dtype: str = 'float32',
) -> Method:
  """Momentum contrast: tell a query's key from a queue of earlier keys.

  The query q is the student's embedding of the first view, its key k the
  teacher's of the second, rows normalized;
  loss = −log exp(q·k/temperature) / (exp(q·k/temperature) + Σ_j
  exp(q·k_j/temperature)) over the queue's keys k_j. Then k enters the queue.
  Where the encoder takes batch statistics in groups (`net.batch_groups`), the
  teacher sees its rows shuffled, so that no group holds a query and its key
  together. Reads two views.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    projection_size: size of queries and keys.
    hidden_size: width of the projector's hidden layer; 0 is one linear layer,
      as in version 1.
    queue_size: number K of keys.
    temperature: of the softmax.
    momentum: the share of the teacher kept at each step.
    shuffle: whether the teacher's rows are shuffled.
    dtype: compute dtype of the projector.

  Returns:
    A Method whose features are the student encoder's output.

  References:
    He et al., Momentum contrast for unsupervised visual representation
    learning, https://arxiv.org/abs/1911.05722, 2019, equations 1 and 2.
    Chen et al., Improved baselines with momentum contrastive learning,
    https://arxiv.org/abs/2003.04297, 2020;
    https://github.com/facebookresearch/moco.

  Deviations:
    The teacher moves after the optimizer's step instead of before the next
    batch, which is the same.
  """
  projector = mlp(
    hidden=(hidden_size,) if hidden_size else (),
    features=projection_size,
    norm='none',
    dtype=dtype,
  )
  whole = chain(encoder=encoder, projector=projector)

  def init(rng, batch):
    rng_params, rng_queue = jax.random.split(rng)
    params, stats = whole.init(rng_params, batch['views'][0])
    teacher, teacher_stats = jax.tree.map(jnp.copy, (params, stats))
    queue = queues.init(
      rng_queue, queue_size, projection_size, param_dtype(dtype)
    )
    return params, MocoState(stats, teacher, teacher_stats, queue)

  def keys_of(state, view, rng):
    """The teacher's embedding of a view, computed in another order of rows."""
    rng_order, rng_net = jax.random.split(rng)
    order = jnp.arange(len(view))
    if shuffle:
      order = jax.random.permutation(rng_order, order)
    keys, stats = whole.apply(
      state.teacher, state.teacher_stats, view[order], train=True, rng=rng_net
    )
    return normalize(keys)[jnp.argsort(order)], stats

  def loss(params, state, batch, *, rng, step):
    del step
    rng_queries, rng_keys = jax.random.split(rng)
    queries, stats = whole.apply(
      params, state.stats, batch['views'][0], train=True, rng=rng_queries
    )
    keys, teacher_stats = keys_of(state, batch['views'][1], rng_keys)
    keys = jax.lax.stop_gradient(keys)
    value = losses.moco(
      queries, keys, state.queue.rows, temperature=temperature
    )
    queue = queues.push(state.queue, keys)
    candidates = jnp.concatenate([keys, state.queue.rows])
    metrics = {
      'embedding_std': embedding_std(queries),
      'accuracy': match_accuracy(queries, candidates),
    }
    state = MocoState(stats, state.teacher, teacher_stats, queue)
    return value, (state, metrics)

  features = encoder_features(encoder)
  update = following_teacher(lambda _: momentum)
  safeguard = 'the queue of negatives, or the slow teacher behind it'
  return Method(init, loss, update, features, safeguard=safeguard)
