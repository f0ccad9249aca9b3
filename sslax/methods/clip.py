"""Contrastive language-image pretraining."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import losses
from sslax.evals.diagnostics import embedding_std
from sslax.evals.matching import match_accuracy
from sslax.method import Method, Picture, encoder_features
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.nets.norm import param_dtype
from sslax.nets.pieces import in_pieces
from sslax.nets.text_transformer import text_transformer
from sslax.ops.distance import normalize

_LARGEST_SCALE = math.log(100)
_NUM_FOUND = 3  # images of a text, shown in the report


class ClipState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of encoders and projectors


def clip(
  encoder: Net,
  *,
  vocab_size: int,
  max_length: int,
  text_width: int = 512,
  text_depth: int = 12,
  text_num_heads: int = 8,
  projection_size: int = 512,
  temperature: float = 0.07,
  dtype: str = 'float32',
  batch_pieces: int = 1,
) -> Method:
  """CLIP: tell which text of the batch belongs to which image.

  With unit rows I = g(f(image)) and T = g'(f'(text)) and a learned scale s,
  loss = mean of the cross-entropies of the rows and of the columns of s·I Tᵀ,
  whose diagonal holds the true pairs. exp(log s) is kept at 100 or below.
  Reads one view, and `text` [B, L].

  Args:
    encoder: of the images, [B, H, W, C] -> [B, D].
    vocab_size: tokens of the texts.
    max_length: tokens of a text, at most.
    text_width: of the text's transformer.
    text_depth: its blocks.
    text_num_heads: its attention heads.
    projection_size: of the space that images and texts share.
    temperature: 1 / s at step 0.
    dtype: compute dtype of the text's transformer and the projections.
    batch_pieces: in which the text's transformer trains on a batch.

  Returns:
    A Method whose features are the image encoder's output, and whose towers
    are the projections of images and texts.

  References:
    Radford et al., Learning transferable visual models from natural language
    supervision, https://arxiv.org/abs/2103.00020, 2021, figure 3;
    https://github.com/openai/CLIP, clip/model.py; training as in
    https://github.com/mlfoundations/open_clip.

  Deviations:
    Those of `vit` and `text_transformer`.
  """
  text_encoder = text_transformer(
    vocab_size=vocab_size,
    max_length=max_length,
    width=text_width,
    depth=text_depth,
    num_heads=text_num_heads,
    pool='end',
    causal=True,
    initializer='clip',
    dtype=dtype,
  )
  linear = {'hidden': (), 'features': projection_size, 'final_bias': False}
  projector = mlp(**linear, norm='none', dtype=dtype)
  of = {
    'image': chain(encoder=encoder, projector=projector),
    'text': chain(
      text_encoder=in_pieces(text_encoder, batch_pieces),
      text_projector=projector,
    ),
  }

  def init(rng, batch):
    rngs = jax.random.split(rng)
    inputs = {'image': batch['views'][0], 'text': batch['text']}
    params, stats = {}, {}
    for key, (name, net) in zip(rngs, of.items(), strict=True):
      own, own_stats = net.init(key, inputs[name])
      params, stats = params | own, stats | own_stats
    scale = jnp.full((), -math.log(temperature), param_dtype(dtype))
    return {**params, 'log_scale': scale}, ClipState(stats)

  def loss(params, state, batch, *, rng, step):
    del step
    rngs, stats = jax.random.split(rng), state.stats
    image, stats = of['image'].apply(
      params, stats, batch['views'][0], train=True, rng=rngs[0]
    )
    text, stats = of['text'].apply(
      params, stats, batch['text'], train=True, rng=rngs[1]
    )
    image, text = normalize(image), normalize(text)
    scale = jnp.exp(params['log_scale'])
    value = losses.clip(image, text, scale)
    metrics = {
      'embedding_std': embedding_std(image),
      'accuracy': match_accuracy(image, text),
      'scale': scale,
    }
    return value, (ClipState(stats), metrics)

  def update(params, state, *, step):
    del step
    scale = jnp.minimum(params['log_scale'], _LARGEST_SCALE)
    return {**params, 'log_scale': scale}, state

  def tower(name):
    def embed(params, state, inputs):
      made, _ = of[name].apply(params, state.stats, inputs, train=False)
      return normalize(made)

    return embed

  towers = {name: tower(name) for name in of}

  def pictures(params, state, batch, *, rng):
    del rng
    view = batch['views'][0]
    image = towers['image'](params, state, view)
    text = towers['text'](params, state, batch['text'])
    found = jnp.argsort(-text @ image.T, axis=1)[:, :_NUM_FOUND]
    columns = (view, *(view[rows] for rows in found.T))
    names = ('image', 'nearest to its text', *['next'] * (_NUM_FOUND - 1))
    caption = 'The images of a few that lie nearest to the text of the first.'
    return (Picture('Images of texts', caption, columns, names, is_view=True),)

  return Method(
    init,
    loss,
    update,
    encoder_features(encoder),
    safeguard='the other texts of the batch, or the scale of the similarities',
    towers=towers,
    pictures=pictures,
  )
