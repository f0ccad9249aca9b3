"""Contrastive predictive coding on patches of images."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import losses
from sslax.errors import BadInputError
from sslax.method import Method, Picture, unchanged
from sslax.nets.chain import chain
from sslax.nets.each import each
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.nets.pixelcnn import pixelcnn
from sslax.ops.patch_grid import jittered, patch_grid

_SCALE = 0.1  # of predictions, so that scores are small at first


class CpcState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics, by part


def cpc(
  encoder: Net,
  *,
  patch_size: int = 64,
  stride: int = 32,
  jitter: int = 4,
  rows_ahead: tuple[int, ...] = (2, 3, 4, 5),
  target_size: int = 64,
  width: int = 256,
  dtype: str = 'float32',
) -> Method:
  """CPC: predict what patches lie below, from all patches above.

  A view is cut into a grid of overlapping patches, each encoded by itself:
  z = f(x). A masked convolutional network makes a context c of each place, of
  its row and those above. For each k, loss = −mean over places (r, j) of
  log exp(z_{r+k,j}ᵀ W_k c_{r,j}) / Σ_{z'} exp(z'ᵀ W_k c_{r,j}), over all
  patches z' of all images; summed over k. Reads one view.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    patch_size: side of a patch, in pixels.
    stride: pixels between the starts of two patches.
    jitter: pixels that a patch loses at random sides, in training.
    rows_ahead: each k.
    target_size: rank of W_k.
    width: channels inside the blocks of the context's network.
    dtype: compute dtype of all but the encoder.

  Returns:
    A Method whose features are the mean of the encoder's outputs for the
    patches of an image.

  References:
    van den Oord et al., Representation learning with contrastive predictive
    coding, https://arxiv.org/abs/1807.03748, 2018. There is no official code;
    contexts, W_k as a product of two matrices, and the scale of predictions
    are as in the pseudo-code of Hénaff et al.,
    https://arxiv.org/abs/1905.09272, 2019.

  Deviations:
    The paper's encoder has no batch normalization; `nets.resnet` has, over the
    patches of the whole batch.
  """
  encode = chain(encoder=each(encoder, 2))
  aim = chain(
    target=mlp(hidden=(), features=target_size, final_bias=False, dtype=dtype)
  )
  predict = chain(
    context=pixelcnn(width=width, dtype=dtype),
    predictor=mlp(
      hidden=(), features=target_size * len(rows_ahead), dtype=dtype
    ),
  )

  def scored(params, stats, patches, **how):
    """Targets [B, rows, columns, T], predictions of each k, statistics."""
    z, stats = encode.apply(params, stats, patches, **how)
    targets, stats = aim.apply(params, stats, z, train=True)
    made, stats = predict.apply(params, stats, z, train=True)
    predictions = jnp.split(_SCALE * made, len(rows_ahead), axis=-1)
    return targets, predictions, stats

  def init(rng, batch):
    keys = jax.random.split(rng, 3)
    patches = patch_grid(batch['views'][0], patch_size, stride)
    if min(rows_ahead) < 1 or max(rows_ahead) >= patches.shape[1]:
      raise BadInputError(
        f'method.rows_ahead is {rows_ahead} in a grid of {patches.shape[1]}'
        f' rows; some of 1 to {patches.shape[1] - 1} would be right'
      )
    params, stats = encode.init(keys[0], patches)
    z, _ = encode.apply(params, stats, patches, train=False)
    made = aim.init(keys[1], z), predict.init(keys[2], z)
    for own, own_stats in made:
      params, stats = {**params, **own}, {**stats, **own_stats}
    return params, CpcState(stats)

  def loss(params, state, batch, *, rng, step):
    del step
    rng_patches, rng_net = jax.random.split(rng)
    patches = patch_grid(batch['views'][0], patch_size, stride)
    patches = jittered(rng_patches, patches, jitter)
    targets, predictions, stats = scored(
      params, state.stats, patches, train=True, rng=rng_net
    )
    value = sum(
      losses.cpc(_columns(p), _columns(targets), num_steps_ahead=k)
      for k, p in zip(rows_ahead, predictions, strict=True)
    )
    metrics = {'target_std': jnp.mean(jnp.std(targets, (0, 1, 2)))}
    return value, (CpcState(stats), metrics)

  def features(params, state, inputs):
    patches = patch_grid(inputs, patch_size, stride)
    z, _ = encode.apply(params, state.stats, patches, train=False)
    return jnp.mean(z, (1, 2))

  def pictures(params, state, batch, *, rng):
    del rng
    patches = patch_grid(batch['views'][0], patch_size, stride)
    targets, made, _ = scored(params, state.stats, patches, train=False)
    top = made[0][:, 0, patches.shape[2] // 2]
    scores = jnp.einsum('bt,brct->brc', top, targets)
    chance = jnp.exp(scores - jnp.max(scores, (1, 2), keepdims=True))[..., None]
    caption = (
      f'What lies {rows_ahead[0]} rows below the top patch of the middle'
      ' column? The brighter, the more a patch of the grid is taken for it.'
    )
    return (Picture('Predictions', caption, (chance,)),)

  return Method(init, loss, unchanged, features, pictures=pictures)


def _columns(grid):
  """[B, rows, columns, T] -> [B·columns, rows, T], sequences read downwards."""
  b, r, c, t = grid.shape
  return jnp.swapaxes(grid, 1, 2).reshape(b * c, r, t)
