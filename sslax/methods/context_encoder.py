"""Context encoders: inpainting."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax.method import Method, Picture, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.deconv import deconv
from sslax.nets.discriminator import discriminator as make_discriminator
from sslax.nets.net import Net
from sslax.nets.tapped import tapped
from sslax.ops import blocks
from sslax.ops.adversarial import called_fake, called_real, judge, share_right
from sslax.ops.precision import at_least_float32

_EDGE_WEIGHT = 10.0


class ContextEncoderState(NamedTuple):
  """What changes beside the parameters of both players."""

  stats: dict[str, Any]  # of encoder, decoder and discriminator


def context_encoder(
  encoder: Net,
  *,
  block_size: int = 64,
  place: str = 'center',
  overlap: int = 4,
  tap: str = 'stage4',
  bottleneck: int = 4000,
  width: int = 64,
  reconstruction_weight: float = 0.999,
  dtype: str = 'float32',
) -> Method:
  """Context encoder: paint what is missing of an image, so that it looks real.

  A block of the view x is hidden; encoder and decoder make x̂ of the rest, and
  the discriminator D tells x̂ from the true block. With λ near 1 the first
  player's loss is λ·mean v·(x̂ − x)² − (1 − λ)·mean log D(x̂), the
  discriminator's −mean log D(x) − mean log(1 − D(x̂)); v is 10 in a margin of
  the block that is not hidden, else 1. Reads one view of pixels in [-1, 1].

  Args:
    encoder: [B, H, W, C] -> [B, D], with taps.
    block_size: side of the block, in pixels; 4 times a power of two.
    place: 'center', or 'random' for a block anywhere in each view.
    overlap: margin of the block that is seen and painted too, in pixels.
    tap: the feature map of the encoder that is decoded.
    bottleneck: size of the code between encoder and decoder.
    width: channels of the decoder's last and the discriminator's first map.
    reconstruction_weight: λ.
    dtype: compute dtype of decoder and discriminator.

  Returns:
    A Method whose features are the encoder's output.

  References:
    Pathak et al., Context encoders: feature learning by inpainting,
    https://arxiv.org/abs/1604.07379, 2016;
    https://github.com/pathak22/context-encoder (train.lua).

  Deviations:
    The hidden pixels are 0, officially a mean color. A random block is one
    square of the same size, not several of any shape; it is painted alone.
    The official code moves the discriminator before it asks it about x̂; here
    both players move at once.
  """
  decoder = deconv(
    size=block_size, width=width, bottleneck=bottleneck, dtype=dtype
  )
  discriminator = make_discriminator(width=width, dtype=dtype)
  painter = chain(encoder=tapped(encoder, tap), decoder=decoder)

  def hide(rng, view):
    """The view with a hole, where it is, and the whole block."""
    corners = blocks.corners_of(rng, view, block_size, place)
    block = blocks.cut(view, corners, block_size)
    hidden = blocks.inside(block_size, overlap)[None, :, :, None]
    return (
      blocks.paste(view, corners, jnp.where(hidden, 0, block)),
      corners,
      block,
    )

  def init(rng, batch):
    rng_hide, rng_paint, rng_judge = jax.random.split(rng, 3)
    seen, _, block = hide(rng_hide, batch['views'][0])
    params, stats = painter.init(rng_paint, seen)
    own, own_stats = discriminator.init(rng_judge, block)
    params, stats = (
      {**tree, 'discriminator': part}
      for tree, part in ((params, own), (stats, own_stats))
    )
    return params, ContextEncoderState(stats)

  def discriminate(params, stats, images):
    return discriminator.apply(params, stats, images, train=True)

  def loss(params, state, batch, *, rng, step):
    del step
    rng_hide, rng_net = jax.random.split(rng)
    seen, _, block = hide(rng_hide, batch['views'][0])
    made, stats = painter.apply(
      params, state.stats, seen, train=True, rng=rng_net
    )
    own, painters, stats['discriminator'] = judge(
      discriminate, params['discriminator'], stats['discriminator'],
      (block,), (made,),
    )  # fmt: skip
    made, block = at_least_float32(made, block)
    hidden = blocks.inside(block_size, overlap)[None, :, :, None]
    errors = jnp.where(hidden, 1.0, _EDGE_WEIGHT) * (made - block) ** 2
    reconstruction, fooled = jnp.mean(errors), called_real(painters.fake)
    share = reconstruction_weight
    painting = share * reconstruction + (1 - share) * fooled
    judging = called_real(own.real) + called_fake(own.fake)
    metrics = {
      'reconstruction': reconstruction,
      'fooled': fooled,
      'judging': judging,
      'judged_right': share_right(own),
    }
    return painting + judging, (ContextEncoderState(stats), metrics)

  def pictures(params, state, batch, *, rng):
    view = batch['views'][0]
    seen, corners, _ = hide(rng, view)
    made, _ = painter.apply(params, state.stats, seen, train=False)
    columns = (seen, blocks.paste(seen, corners, made), view)
    caption = 'The encoder sees the first, and its code is painted out.'
    names = ('with a hole', 'painted', 'true')
    return (Picture('Inpainting', caption, columns, names, is_view=True),)

  features = encoder_features(encoder)
  return Method(init, loss, unchanged, features, pictures=pictures)
