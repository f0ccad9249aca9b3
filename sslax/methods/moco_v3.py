"""Momentum contrast, version 3."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import attention_maps, losses, optim
from sslax.errors import BadInputError
from sslax.evals.diagnostics import embedding_std
from sslax.evals.matching import match_accuracy
from sslax.method import Method, encoder_features, following_teacher
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.net import Net


class MocoV3State(NamedTuple):
  """What changes beside the student's parameters, each a dict by part."""

  stats: dict[str, Any]  # student's batch statistics
  teacher: dict[str, Any]  # moving average of encoder and projector
  teacher_stats: dict[str, Any]  # the teacher's own batch statistics


def moco_v3(
  encoder: Net,
  *,
  num_steps: int,
  hidden_size: int = 4096,
  projection_size: int = 256,
  num_hidden: int = 2,
  predictor_norm: bool = True,
  temperature: float = 0.2,
  momentum: float = 0.99,
  frozen_patches: bool = True,
  dtype: str = 'float32',
) -> Method:
  """Momentum contrast with large batches instead of a queue, for transformers.

  The query q of a view is the student's prediction, the key k of a view the
  teacher's projection, rows normalized; loss = c(q₁, k₂) + c(q₂, k₁) with
  c(q, k) = −2·temperature·mean_i log exp(qᵢ·kᵢ/temperature) /
  Σ_j exp(qᵢ·k_j/temperature) over the global batch. After step i of K the
  teacher moves with the momentum of step i + 1, which rises to 1 along half a
  cosine. A transformer's patch projection stays random. Reads two views.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    num_steps: length K of the momentum schedule, in steps.
    hidden_size: width of the hidden layers of projector and predictor.
    projection_size: size of queries and keys.
    num_hidden: hidden layers of the projector: 2, or 1 with a ResNet.
    predictor_norm: whether the prediction is batch-normalized; not with a
      ResNet.
    temperature: of the softmax.
    momentum: the share of the teacher kept at step 0, in [0, 1]; 1 at the end.
    frozen_patches: whether the encoder's patch projection is held as it
      started; needs a transformer.
    dtype: compute dtype of projector and predictor.

  Returns:
    A Method whose features are the student encoder's output.

  Raises:
    BadInputError: from init, where frozen_patches and the encoder do not fit.

  References:
    Chen et al., An empirical study of training self-supervised vision
    transformers, https://arxiv.org/abs/2104.02057, 2021;
    https://github.com/facebookresearch/moco-v3, moco/builder.py and vits.py.
  """
  head = {
    'features': projection_size,
    'hidden_bias': False,
    'final_bias': False,
    'dtype': dtype,
  }
  projector = mlp(hidden=(hidden_size,) * num_hidden, final_norm=True, **head)
  predictor = mlp(hidden=(hidden_size,), final_norm=predictor_norm, **head)
  student = chain(encoder=encoder, projector=projector, predictor=predictor)
  teacher = chain(encoder=encoder, projector=projector)
  momentum_at = optim.teacher_momentum(momentum, num_steps=num_steps)

  def init(rng, batch):
    params, stats = student.init(rng, batch['views'][0])
    if frozen_patches and 'patch_embed' not in params['encoder']:
      raise BadInputError(
        'method.frozen_patches is True, but the encoder projects no patches;'
        " take method.frozen_patches=False, or net.name='vit'"
      )
    moved, moved_stats = jax.tree.map(
      jnp.copy, [{k: t[k] for k in ('encoder', 'projector')}
                 for t in (params, stats)]
    )  # fmt: skip
    return params, MocoV3State(stats, moved, moved_stats)

  def hold(params):
    """Lets no gradient be computed for the patch projection."""
    inner = dict(params['encoder'])
    if frozen_patches:
      inner['patch_embed'] = jax.lax.stop_gradient(inner['patch_embed'])
    return {**params, 'encoder': inner}

  def loss(params, state, batch, *, rng, step):
    params = hold(params)
    stats, teacher_stats = state.stats, state.teacher_stats
    q, k = {}, {}
    for i, view in enumerate(batch['views']):
      how = {'train': True, 'rng': jax.random.fold_in(rng, i)}
      q[i], stats = student.apply(params, stats, view, **how)
      k[i], teacher_stats = teacher.apply(
        state.teacher, teacher_stats, view, **how
      )
    value = sum(
      losses.mocov3(q[i], k[1 - i], temperature=temperature) for i in (0, 1)
    )
    metrics = {
      'embedding_std': embedding_std(q[0]),
      'accuracy': match_accuracy(q[0], k[1]),
      'momentum': momentum_at(step),
    }
    return value, (MocoV3State(stats, state.teacher, teacher_stats), metrics)

  def pictures(params, state, batch, *, rng):
    del rng
    view, stats = batch['views'][0], state.stats['encoder']
    return attention_maps.pictures(encoder, params['encoder'], stats, view)

  features = encoder_features(encoder)
  # The official code moves the teacher at the start of the next step.
  update = following_teacher(lambda step: momentum_at(step + 1))
  safeguard = 'the negatives: the batch is too small or the temperature wrong'
  held = {'^encoder/patch_embed/': None} if frozen_patches else {}
  return Method(
    init, loss, update, features, None, safeguard, held, pictures=pictures
  )
