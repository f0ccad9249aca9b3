"""Image BERT pre-training with an online tokenizer."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import attention_maps, losses, optim
from sslax.data import masks
from sslax.evals.distributions import collapse_metrics
from sslax.method import Method, encoder_features, following_teacher
from sslax.nets.chain import chain
from sslax.nets.dino_head import dino_head
from sslax.nets.multi_crop import by_size
from sslax.nets.net import Net
from sslax.nets.norm import param_dtype
from sslax.nets.project_tokens import hide_patches, masked_crops, project_tokens
from sslax.ops import centering


class IbotState(NamedTuple):
  """What changes beside the student's parameters."""

  stats: dict[str, Any]  # empty: transformers have no batch statistics
  teacher: dict[str, Any]  # moving average of encoder and projector
  centers: tuple[jax.Array, jax.Array]  # [K] of class tokens, [K] of patches


def ibot(
  encoder: Net,
  *,
  num_steps: int,
  num_prototypes: int = 8192,
  hidden_size: int = 2048,
  bottleneck_size: int = 256,
  learned_gain: bool = False,
  mask_ratios: tuple = (0.0, 0.3),
  mask_spreads: tuple = (0.0, 0.2),
  momentum: float = 0.996,
  teacher_temperature: float = 0.07,
  patch_temperature: float = 0.07,
  warmup_steps: int = 0,
  frozen_steps: int = 0,
  dtype: str = 'float32',
) -> Method:
  """iBOT: DINO on class tokens, and on the hidden patches of each global crop.

  The student, a transformer and a head that class tokens and patches share,
  sees two global crops with blocks of patches hidden, and local crops; the
  teacher, its moving average, sees the global crops whole. With outputs s and
  t, and the moving average c of t, H(t, s) = −Σ_k softmax((t − c) /
  temperature)_k log softmax(s / 0.1)_k; loss = mean over global crops u and
  crops v ≠ u of H(t_u, s_v) on class tokens + mean over global crops u of
  H(t_u, s_u) on hidden patches. Reads two views or more, global ones first.

  Args:
    encoder: a `vit` with net.masking='token' and a class token.
    num_steps: length of the schedule of the momentum, in steps.
    num_prototypes: number K of outputs.
    hidden_size: width of the head's two hidden layers.
    bottleneck_size: size of the unit vectors before its last layer.
    learned_gain: whether the outputs have learned scales.
    mask_ratios: shares of patches hidden; one is drawn for each crop.
    mask_spreads: how far the share may lie from each of them.
    momentum: the share of the teacher kept at step 0; 1 at the end.
    teacher_temperature: of class tokens, after a line from 0.04.
    patch_temperature: of patches, likewise.
    warmup_steps: duration of these lines.
    frozen_steps: steps at the start in which the head's last layer stays.
    dtype: compute dtype of the head.

  Returns:
    A Method whose features are the student encoder's output.

  References:
    Zhou et al., iBOT: image BERT pre-training with online tokenizer,
    https://arxiv.org/abs/2111.07832, 2021; https://github.com/bytedance/ibot.

  Deviations:
    The head is shared, as in the paper's models; the official code can have
    two. It evaluates the teacher, and moves the temperatures once an epoch.
  """
  projector = dino_head(
    hidden=(hidden_size, hidden_size),
    bottleneck_size=bottleneck_size,
    features=num_prototypes,
    learned_gain=learned_gain,
    dtype=dtype,
  )
  project = project_tokens(encoder, projector)
  hide = hide_patches(
    encoder, masks.ibot_mask, ratios=mask_ratios, spreads=mask_spreads
  )
  momentum_at = optim.teacher_momentum(momentum, num_steps=num_steps)
  temperature_at = functools.partial(
    centering.teacher_temperature, initial=0.04, num_warmup=warmup_steps
  )

  def init(rng, batch):
    whole = chain(encoder=encoder, projector=projector)
    params, stats = whole.init(rng, batch['views'][0])
    center = jnp.zeros(num_prototypes, param_dtype(dtype))
    state = IbotState(stats, params, (center, center))
    return params, jax.tree.map(jnp.copy, state)

  def loss(params, state, batch, *, rng, step):
    views, rngs = batch['views'], jax.random.split(rng, 3)
    hidden = [hide(rngs[i], views[i]) for i in range(2)]
    outputs, stats = masked_crops(project)(
      params, state.stats, views, hidden, train=True, rng=rngs[2]
    )
    targets, _ = by_size(project)(state.teacher, stats, views[:2], train=False)
    s, s_patches = zip(*outputs, strict=True)
    t, t_patches = zip(*targets, strict=True)
    temperature = temperature_at(step, final=teacher_temperature)
    value = losses.ibot(
      *(s, t, s_patches[:2], t_patches, hidden, *state.centers),
      teacher_temperature=temperature,
      patch_temperature=temperature_at(step, final=patch_temperature),
    )
    centers = tuple(
      centering.update_center(center, jnp.stack(seen))
      for center, seen in zip(state.centers, (t, t_patches), strict=True)
    )
    probs = centering.sharpened(t[0], state.centers[0], temperature=temperature)
    hidden_share = jnp.stack(hidden).mean(dtype=value.dtype)
    metrics = collapse_metrics(probs) | {'hidden_patches': hidden_share}
    return value, (IbotState(stats, state.teacher, centers), metrics)

  def pictures(params, state, batch, *, rng):
    view, stats = batch['views'][0], state.stats['encoder']
    attention = attention_maps.pictures(encoder, params['encoder'], stats, view)
    return (attention_maps.of_mask(view, hide(rng, view)), *attention)

  features = encoder_features(encoder)
  update = following_teacher(momentum_at)
  safeguard = 'centering, or the low temperatures of the teacher'
  held = {'projector/last_layer': frozen_steps}
  return Method(
    init, loss, update, features, None, safeguard, held, pictures=pictures
  )
