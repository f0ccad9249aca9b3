"""Masked autoencoders."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import losses
from sslax.data import masks
from sslax.errors import BadInputError
from sslax.method import Method, Picture, encoder_features, unchanged
from sslax.nets.autoencoder import autoencoder, num_patches
from sslax.nets.net import Net
from sslax.ops.patches import normalized_patches, patchify
from sslax.ops.unpatchify import unpatchify


class MaeState(NamedTuple):
  """What changes beside the parameters: nothing, in a transformer."""

  stats: dict[str, Any]  # of encoder and decoder


def mae(
  encoder: Net,
  *,
  mask_ratio: float = 0.75,
  normalize_pixels: bool = True,
  decoder_width: int = 512,
  decoder_depth: int = 8,
  decoder_num_heads: int = 16,
  dtype: str = 'float32',
) -> Method:
  """MAE: reconstruct an image from a few of its patches.

  The encoder sees a random share 1 − mask_ratio of the patches; a small decoder
  gets its outputs and a mask token for each hidden patch. loss = mean over the
  hidden patches of ‖x̂ − x‖² / number of their pixels, where each patch x is
  standardized by its own mean and variance. Reads one view.

  Args:
    encoder: a transformer with net.masking='drop' and a class token.
    mask_ratio: share of the patches that is hidden, in (0, 1).
    normalize_pixels: whether the targets are standardized, patch by patch.
    decoder_width: of the decoder's tokens.
    decoder_depth: blocks of the decoder.
    decoder_num_heads: attention heads of the decoder.
    dtype: compute dtype of the decoder.

  Returns:
    A Method whose features are the encoder's output on the whole image.

  Raises:
    BadInputError: mask_ratio out of range.

  References:
    He et al., Masked autoencoders are scalable vision learners,
    https://arxiv.org/abs/2111.06377, 2021;
    https://github.com/facebookresearch/mae/blob/main/models_mae.py.

  Deviations:
    Visible patches keep their order, which changes nothing that is computed.
  """
  if not 0 < mask_ratio < 1:
    raise BadInputError(
      f'method.mask_ratio is {mask_ratio}; it must lie between 0 and 1'
    )
  whole = autoencoder(
    encoder,
    width=decoder_width,
    depth=decoder_depth,
    num_heads=decoder_num_heads,
    dtype=dtype,
  )

  def masked(rng, view):
    """Masks [B, N], 1 = hidden, and the indices of what is visible."""
    num = num_patches(encoder, view)
    rngs = jax.random.split(rng, len(view))
    mask = jax.vmap(lambda key: masks.random_mask(key, num, mask_ratio))(rngs)
    return mask, masks.indices(mask, masks.num_visible(num, mask_ratio))[0]

  def init(rng, batch):
    rng_nets, rng_mask = jax.random.split(rng)
    view = batch['views'][0]
    params, stats = whole.init(rng_nets, view, masked(rng_mask, view)[1])
    return params, MaeState(stats)

  def reconstruct(params, state, view, rng, train):
    """Predictions [B, N, p·p·3], true patches, masks, and state."""
    rng_mask, rng_nets = jax.random.split(rng)
    mask, visible = masked(rng_mask, view)
    predicted, stats = whole.apply(
      params, state.stats, view, visible, train=train, rng=rng_nets
    )
    patches = patchify(view, math.isqrt(predicted.shape[-1] // 3))
    return predicted, patches, mask, MaeState(stats)

  def loss(params, state, batch, *, rng, step):
    del step
    predicted, patches, mask, state = reconstruct(
      params, state, batch['views'][0], rng, train=True
    )
    targets = normalized_patches(patches) if normalize_pixels else patches
    value = losses.mae(predicted, targets, mask)
    blank = losses.mae(jnp.zeros_like(predicted), targets, mask)
    return value, (state, {'explained': 1 - value / blank})

  def pictures(params, state, batch, *, rng):
    view = batch['views'][0]
    predicted, patches, mask, _ = reconstruct(params, state, view, rng, False)
    patches = patches.astype(predicted.dtype)
    if normalize_pixels:
      mean = patches.mean(-1, keepdims=True)
      predicted = predicted * patches.std(-1, keepdims=True, ddof=1) + mean
    hidden = mask[..., None]
    seen = jnp.where(hidden, jnp.zeros_like(patches), patches)
    filled = jnp.where(hidden, predicted, patches)
    side = math.isqrt(patches.shape[-1] // 3)
    grid = (view.shape[1] // side, view.shape[2] // side)
    columns = [unpatchify(x, grid, side) for x in (seen, filled)]
    names = ('what the encoder sees', 'its reconstruction', 'the image')
    return (
      Picture('Masked images', _CAPTION, (*columns, view), names, is_view=True),
    )

  return Method(
    init,
    loss,
    unchanged,
    encoder_features(encoder),
    safeguard='the hidden patches: a low mask_ratio makes it too easy',
    pictures=pictures,
  )


_CAPTION = (
  'Hidden patches are gray on the left and predicted in the middle. Where the'
  ' targets are standardized, predicted patches are given the brightness and'
  ' contrast of the true ones.'
)
