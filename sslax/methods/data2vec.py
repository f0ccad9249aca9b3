"""Regression of a teacher's contextual features at hidden patches."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import attention_maps, losses, optim
from sslax.data import masks
from sslax.evals.diagnostics import embedding_std
from sslax.method import Method, encoder_features
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.nets.project_tokens import hide_patches


class Data2vecState(NamedTuple):
  """What changes beside the student's parameters."""

  stats: dict[str, Any]  # empty: transformers have no batch statistics
  teacher: Any  # moving average of the encoder


def data2vec(
  encoder: Net,
  *,
  num_blocks: int = 6,
  blocks: str = 'blocks',
  mask_ratio: float = 0.6,
  min_block: int = 16,
  beta: float = 2.0,
  momentum: float = 0.999,
  final_momentum: float = 0.9998,
  momentum_steps: int = 0,
  dtype: str = 'float32',
) -> Method:
  """data2vec: predict the teacher's features of patches that are hidden.

  The teacher, a moving average of the student's transformer, sees the image;
  its targets y are the mean of the layer-normalized outputs of its last
  `num_blocks` blocks, layer-normalized. The student sees the image with blocks
  of patches hidden, and a linear layer on its patches predicts y; loss = mean
  over hidden patches and features of the smooth L1 loss, (p − y)² / 2β where
  |p − y| < β, |p − y| − β/2 beyond. Reads one view.

  Args:
    encoder: a `vit` with net.masking='token'.
    num_blocks: of the teacher that give targets, the last ones.
    blocks: 'blocks' for the blocks' outputs, 'ffn' for what their MLPs add.
    mask_ratio: share of the patches to hide, in blocks.
    min_block: smallest block, in patches.
    beta: β, where the loss turns from squared to absolute; 0 is squared.
    momentum: the share of the teacher kept at step 0.
    final_momentum: that share after a line over `momentum_steps`.
    momentum_steps: duration of the line; 0 is final_momentum at once.
    dtype: compute dtype of the linear layer.

  Returns:
    A Method whose features are the student encoder's output.

  References:
    Baevski et al., data2vec: a general framework for self-supervised learning
    in speech, vision and language, https://arxiv.org/abs/2202.03555, 2022;
    https://github.com/facebookresearch/data2vec_vision.

  Deviations:
    Those of nets.vit; the last linear layer starts as all linear layers here.
  """
  momentum_at = optim.linear(momentum, final_momentum, num_steps=momentum_steps)

  def draw(rng, grid):
    count = round(mask_ratio * math.prod(grid))
    return masks.block_mask(rng, grid, count, min_block=min_block)

  hide = hide_patches(encoder, draw)

  def head_of(tokens):
    return mlp(hidden=(), features=tokens.shape[-1], norm='none', dtype=dtype)

  def init(rng, batch):
    rng_encoder, rng_head = jax.random.split(rng)
    params, stats = encoder.init(rng_encoder, batch['views'][0])
    tokens = targets_of(params, stats, batch['views'][0])
    head, _ = head_of(tokens).init(rng_head, tokens)
    teacher = jax.tree.map(jnp.copy, params)
    stats = {'encoder': stats, 'head': {}}
    return {'encoder': params, 'head': head}, Data2vecState(stats, teacher)

  def targets_of(teacher, stats, view):
    """The teacher's targets [B, N, D]; no drop path."""
    seen, _ = encoder.apply(
      teacher, stats, view, train=False, taps=(blocks, 'tokens')
    )
    patches = seen[blocks][-num_blocks:, :, -seen['tokens'].shape[1] :]
    return losses.data2vec_targets(patches, target_norm='layer')

  def loss(params, state, batch, *, rng, step):
    view, stats = batch['views'][0], state.stats['encoder']
    rng_mask, rng = jax.random.split(rng)
    mask = hide(rng_mask, view)
    seen, _ = encoder.apply(
      params['encoder'],
      stats,
      view,
      mask,
      train=True,
      rng=rng,
      taps=('tokens',),
    )
    tokens = seen['tokens']
    predictions, _ = head_of(tokens).apply(
      params['head'], {}, tokens, train=True
    )
    targets = targets_of(state.teacher, stats, view)
    count = jnp.maximum(mask.sum(), 1).astype(targets.dtype)
    total = losses.data2vec(
      predictions, targets, mask, beta=beta, scale=1 / targets.shape[-1]
    )
    width = targets.shape[-1]
    metrics = {
      'embedding_std': embedding_std(targets.reshape(-1, width)),
      'prediction_std': embedding_std(predictions.reshape(-1, width)),
      'hidden_patches': mask.mean(dtype=total.dtype),
      'momentum': momentum_at(step),
    }
    return total / count, (state, metrics)

  def update(params, state, *, step):
    teacher = optim.ema(state.teacher, params['encoder'], momentum_at(step))
    return params, state._replace(teacher=teacher)

  def pictures(params, state, batch, *, rng):
    view, stats = batch['views'][0], state.stats['encoder']
    attention = attention_maps.pictures(encoder, params['encoder'], stats, view)
    return (attention_maps.of_mask(view, hide(rng, view)), *attention)

  features = encoder_features(encoder)
  safeguard = 'the slow teacher: final_momentum is too low or the rate too high'
  return Method(
    init, loss, update, features, safeguard=safeguard, pictures=pictures
  )
