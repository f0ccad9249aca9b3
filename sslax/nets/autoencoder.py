"""Transformers that see some patches and decode all."""

import math

import jax

from sslax.errors import BadInputError
from sslax.nets.decoder import decoder
from sslax.nets.net import Net


def autoencoder(
  encoder: Net,
  *,
  width: int = 512,
  depth: int = 8,
  num_heads: int = 16,
  dtype: str = 'float32',
) -> Net:
  """Masked autoencoder: an encoder of visible patches, a decoder of all.

  Inputs are images [B, H, W, 3] and `visible`, int32 [B, M], the indices of the
  patches that the encoder sees; outputs are the pixels [B, N, p·p·3] of all
  patches, as of `nets.decoder`. params and stats have the parts `encoder` and
  `decoder`.

  Args:
    encoder: a transformer with masking='drop' and a class token.
    width: of the decoder's tokens.
    depth: blocks of the decoder.
    num_heads: attention heads of the decoder.
    dtype: compute dtype of the decoder.

  Returns:
    A Net; its init raises BadInputError where there is no class token.
  """

  def decode(images):
    num = num_patches(encoder, images)
    height, width_ = images.shape[1:3]
    side = math.isqrt(height * width_ // num)
    return decoder(
      grid=(height // side, width_ // side),
      patch_size=side,
      width=width,
      depth=depth,
      num_heads=num_heads,
      dtype=dtype,
    )

  def encode(params, stats, images, visible, **how):
    taps = ('tokens', 'class')
    made, stats = encoder.apply(
      params, stats, images, visible, taps=taps, **how
    )
    return (made['tokens'], visible, made['class']), stats

  def init(rng, images, visible):
    first, second = jax.random.split(rng)
    params, stats = encoder.init(first, images)
    if 'cls_token' not in params:
      raise BadInputError(
        'net.class_token is False, but the decoder takes the class token too;'
        ' net.class_token=True would be right'
      )
    inputs, _ = encode(params, stats, images, visible, train=False)
    made, made_stats = decode(images).init(second, *inputs)
    return (
      {'encoder': params, 'decoder': made},
      {'encoder': stats, 'decoder': made_stats},
    )

  def apply(params, stats, images, visible, *, train, rng=None):
    how = {'train': train, 'rng': rng}
    inputs, encoder_stats = encode(
      params['encoder'], stats['encoder'], images, visible, **how
    )
    outputs, decoder_stats = decode(images).apply(
      params['decoder'], stats['decoder'], *inputs, **how
    )
    return outputs, {'encoder': encoder_stats, 'decoder': decoder_stats}

  return Net(init, apply)


def num_patches(encoder: Net, images) -> int:
  """Number of patches that a transformer cuts an image into.

  Args:
    encoder: with a tap `tokens`.
    images: [B, H, W, 3], or its shape and dtype.
  """

  def tokens(rng, images):
    params, stats = encoder.init(rng, images)
    made, _ = encoder.apply(
      params, stats, images, train=False, taps=('tokens',)
    )
    return made['tokens']

  return jax.eval_shape(tokens, jax.random.key(0), images).shape[1]
