"""Self-distillation with no labels."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import attention_maps, losses, optim
from sslax.evals.distributions import collapse_metrics
from sslax.method import Method, encoder_features, following_teacher
from sslax.nets.chain import chain
from sslax.nets.dino_head import dino_head
from sslax.nets.multi_crop import by_size
from sslax.nets.net import Net
from sslax.nets.norm import param_dtype
from sslax.ops import centering


class DinoState(NamedTuple):
  """What changes beside the student's parameters."""

  stats: dict[str, Any]  # student's batch statistics, by part
  teacher: dict[str, Any]  # moving average of encoder and projector
  teacher_stats: dict[str, Any]  # the teacher's own batch statistics
  center: jax.Array  # [K] moving average of the teacher's outputs


def dino(
  encoder: Net,
  *,
  num_steps: int,
  num_prototypes: int = 65536,
  hidden_size: int = 2048,
  bottleneck_size: int = 256,
  learned_gain: bool = False,
  momentum: float = 0.996,
  student_temperature: float = 0.1,
  teacher_temperature: float = 0.04,
  first_teacher_temperature: float = 0.04,
  temperature_warmup_steps: int = 0,
  temperature_every_steps: int = 1,
  center_momentum: float = 0.9,
  frozen_steps: int = 0,
  dtype: str = 'float32',
) -> Method:
  """DINO: predict the teacher's output on global crops from all other crops.

  Student and teacher are an encoder and a head with K outputs; the teacher, the
  student's moving average, sees the global crops alone. With its outputs t,
  their moving average c and the student's outputs s, loss = mean over global
  crops u and crops v ≠ u of −Σ_k p_u log softmax(s_v / student_temperature),
  p_u = softmax((t_u − c) / teacher_temperature). Reads any number of views,
  two global ones first; views of one size enter the encoder together.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    num_steps: length of the schedule of the momentum, in steps.
    num_prototypes: number K of outputs.
    hidden_size: width of the head's two hidden layers.
    bottleneck_size: size of the unit vectors before its last layer.
    learned_gain: whether the outputs have learned scales.
    momentum: the share of the teacher kept at step 0; 1 at the end.
    student_temperature: of the predictions.
    teacher_temperature: of the targets, after the warm-up.
    first_teacher_temperature: at step 0.
    temperature_warmup_steps: duration of the line from one to the other.
    temperature_every_steps: steps between changes of it, one epoch in the
      official code.
    center_momentum: the share of the center kept at each step.
    frozen_steps: steps at the start in which the head's last layer stays.
    dtype: compute dtype of the head.

  Returns:
    A Method whose features are the student encoder's output.

  References:
    Caron et al., Emerging properties in self-supervised vision transformers,
    https://arxiv.org/abs/2104.14294, 2021;
    https://github.com/facebookresearch/dino.

  Deviations:
    The official code evaluates the teacher, and also has a head with batch
    normalization.
  """
  projector = dino_head(
    hidden=(hidden_size, hidden_size),
    bottleneck_size=bottleneck_size,
    features=num_prototypes,
    learned_gain=learned_gain,
    dtype=dtype,
  )
  whole = chain(encoder=encoder, projector=projector)
  project = by_size(whole.apply)
  momentum_at = optim.teacher_momentum(momentum, num_steps=num_steps)

  def init(rng, batch):
    params, stats = whole.init(rng, batch['views'][0])
    teacher, teacher_stats = jax.tree.map(jnp.copy, (params, stats))
    center = jnp.zeros(num_prototypes, param_dtype(dtype))
    return params, DinoState(stats, teacher, teacher_stats, center)

  def temperature_at(step):
    return centering.teacher_temperature(
      step // temperature_every_steps,
      initial=first_teacher_temperature,
      final=teacher_temperature,
      num_warmup=temperature_warmup_steps // temperature_every_steps,
    )

  def loss(params, state, batch, *, rng, step):
    views = batch['views']
    has_stats = bool(jax.tree.leaves(state.teacher_stats))  # no drop path
    targets, teacher_stats = project(
      state.teacher, state.teacher_stats, views[:2], train=has_stats
    )
    outputs, stats = project(params, state.stats, views, train=True, rng=rng)
    temperature = temperature_at(step)
    value = losses.dino(
      outputs,
      targets,
      state.center,
      student_temperature=student_temperature,
      teacher_temperature=temperature,
    )
    center = centering.update_center(
      state.center, jnp.stack(targets), momentum=center_momentum
    )
    probs = centering.sharpened(
      targets[0], state.center, temperature=temperature
    )
    metrics = collapse_metrics(probs) | {'teacher_temperature': temperature}
    state = DinoState(stats, state.teacher, teacher_stats, center)
    return value, (state, metrics)

  def pictures(params, state, batch, *, rng):
    del rng
    view, stats = batch['views'][0], state.stats['encoder']
    return attention_maps.pictures(encoder, params['encoder'], stats, view)

  features = encoder_features(encoder)
  update = following_teacher(momentum_at)
  safeguard = 'centering, or the low temperature of the teacher'
  held = {'projector/last_layer': frozen_steps}
  return Method(
    init, loss, update, features, None, safeguard, held, pictures=pictures
  )
