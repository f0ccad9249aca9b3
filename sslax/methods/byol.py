"""Bootstrap your own latent."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import losses, optim
from sslax.evals.diagnostics import embedding_std
from sslax.method import Method, encoder_features, following_teacher
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.net import Net


class ByolState(NamedTuple):
  """What changes beside the student's parameters, each a dict by part."""

  stats: dict[str, Any]  # student's batch statistics
  teacher: dict[str, Any]  # moving average of encoder and projector
  teacher_stats: dict[str, Any]  # the teacher's own batch statistics


def byol(
  encoder: Net,
  *,
  num_steps: int,
  hidden_size: int = 4096,
  projection_size: int = 256,
  momentum: float = 0.996,
  dtype: str = 'float32',
) -> Method:
  """Bootstrap your own latent: predict the teacher's view of another view.

  The student is an encoder f, a projector g and a predictor q; the teacher
  f', g' is the moving average of f, g. With z = g(f(v)) and z' = g'(f'(v)),
  loss = ‖q̄(z₁) − z̄'₂‖² + ‖q̄(z₂) − z̄'₁‖², rows normalized. After step k of K the
  teacher keeps the share 1 − (1 − momentum)·(cos(πk/K) + 1)/2 of itself.
  Reads two views.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    num_steps: length K of the momentum schedule, in steps.
    hidden_size: width of the hidden layer of projector and predictor.
    projection_size: output size of projector and predictor.
    momentum: the share of the teacher kept at step 0, in [0, 1]; 1 at the end.
    dtype: compute dtype of projector and predictor.

  Returns:
    A Method whose features are the student encoder's output.

  References:
    Grill et al., Bootstrap your own latent, https://arxiv.org/abs/2006.07733,
    2020, equation 2 (loss) and sections 3.1 to 3.2.

  Deviations:
    The teacher starts as a copy of the student; the official code draws both
    independently and reports no significant difference.
  """
  head = {
    'hidden': (hidden_size,),
    'features': projection_size,
    'final_bias': False,
    'dtype': dtype,
  }
  projector, predictor = mlp(**head), mlp(**head)
  whole = chain(encoder=encoder, projector=projector, predictor=predictor)
  project = chain(encoder=encoder, projector=projector).apply
  predict = chain(predictor=predictor).apply
  momentum_at = optim.teacher_momentum(momentum, num_steps=num_steps)

  def init(rng, batch):
    params, stats = whole.init(rng, batch['views'][0])
    teacher, teacher_stats = jax.tree.map(
        jnp.copy, [{k: t[k] for k in ('encoder', 'projector')}
                   for t in (params, stats)]
    )  # fmt: skip
    return params, ByolState(stats, teacher, teacher_stats)

  def loss(params, state, batch, *, rng, step):
    del rng
    stats, teacher_stats = state.stats, state.teacher_stats
    z, q, targets = {}, {}, {}
    for i, view in enumerate(batch['views']):
      z[i], stats = project(params, stats, view, train=True)
      q[i], stats = predict(params, stats, z[i], train=True)
      targets[i], teacher_stats = project(
        state.teacher, teacher_stats, view, train=True
      )
    value = losses.byol(q[0], targets[1]) + losses.byol(q[1], targets[0])
    metrics = {
      'embedding_std': embedding_std(z[0]),
      'momentum': momentum_at(step),
    }
    return value, (ByolState(stats, state.teacher, teacher_stats), metrics)

  update = following_teacher(momentum_at)
  safeguard = 'the predictor, or the stop-gradient on the teacher'
  return Method(
    init, loss, update, encoder_features(encoder), safeguard=safeguard
  )
