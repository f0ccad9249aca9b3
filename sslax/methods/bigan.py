"""Bidirectional generative adversarial networks."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax.errors import BadInputError
from sslax.method import Method, Picture, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.deconv import deconv
from sslax.nets.discriminator import discriminator as make_discriminator
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.ops.adversarial import called_fake, called_real, judge, share_right


class BiganState(NamedTuple):
  """What changes beside the parameters of both players."""

  stats: dict[str, Any]  # of encoder, head, generator and discriminator


def bigan(
  encoder: Net,
  *,
  code_size: int = 200,
  image_size: int = 64,
  width: int = 64,
  dtype: str = 'float32',
) -> Method:
  """BiGAN: an encoder learns to invert a generator by fooling its judge.

  The discriminator D tells pairs (x, E(x)) of an image and its code from pairs
  (G(z), z) of a code z ~ U(−1, 1) and its image:
  −mean log D(x, E(x)) − mean log(1 − D(G(z), z)). Encoder and generator play
  for the opposite verdicts:
  −mean log(1 − D(x, E(x))) − mean log D(G(z), z).
  Reads one view of pixels in [-1, 1].

  Args:
    encoder: [B, H, W, C] -> [B, D]; E is a linear layer on it, then tanh(·/2).
    code_size: size of z.
    image_size: side of the views, and of what the generator makes; 4 times a
      power of two.
    width: channels of the generator's last and the discriminator's first map.
    dtype: compute dtype of all but the encoder.

  Returns:
    A Method whose features are the encoder's output, before the linear layer.

  References:
    Donahue et al., Adversarial feature learning,
    https://arxiv.org/abs/1605.09782, 2016;
    https://github.com/jeffdonahue/bigan (train_gan.py, gan.py, net.py).

  Deviations:
    The official generator sees z at every layer, this one at the first; its
    kernels are 5x5. The official losses are halved, which Adam undoes.
  """
  encode = chain(
    encoder=encoder,
    head=mlp(hidden=(), features=code_size, final_bias=False, dtype=dtype),
  )
  generate = chain(generator=deconv(size=image_size, width=width, dtype=dtype))
  discriminator = make_discriminator(width=width, dtype=dtype)

  def draw(rng, num, like):
    return jax.random.uniform(rng, (num, code_size), like.dtype, -1, 1)

  def init(rng, batch):
    view = batch['views'][0]
    if view.shape[1:3] != (image_size, image_size):
      raise BadInputError(
        f'method.image_size is {image_size}, but views have'
        f' {view.shape[1]} x {view.shape[2]} pixels; the same as views.size'
        ' would be right'
      )
    keys = jax.random.split(rng, 4)
    params, stats = encode.init(keys[0], view)
    z = draw(keys[1], len(view), view)
    made = generate.init(keys[2], z)
    part = discriminator.init(keys[3], view, z)
    params = {**params, **made[0], 'discriminator': part[0]}
    return params, BiganState({**stats, **made[1], 'discriminator': part[1]})

  def code_of(params, stats, view, **how):
    logits, stats = encode.apply(params, stats, view, **how)
    return jnp.tanh(logits / 2), stats

  def discriminate(params, stats, images, codes):
    return discriminator.apply(params, stats, images, codes, train=True)

  def loss(params, state, batch, *, rng, step):
    del step
    view = batch['views'][0]
    rng_code, rng_net = jax.random.split(rng)
    codes, stats = code_of(params, state.stats, view, train=True, rng=rng_net)
    z = draw(rng_code, len(view), view)
    made, stats = generate.apply(params, stats, z, train=True)
    own, others, stats['discriminator'] = judge(
      discriminate, params['discriminator'], stats['discriminator'],
      (view, codes), (made, z),
    )  # fmt: skip
    judging = called_real(own.real) + called_fake(own.fake)
    fooling = called_fake(others.real) + called_real(others.fake)
    metrics = {
      'judging': judging,
      'fooling': fooling,
      'judged_right': share_right(own),
    }
    return judging + fooling, (BiganState(stats), metrics)

  def pictures(params, state, batch, *, rng):
    view = batch['views'][0]
    codes, _ = code_of(params, state.stats, view, train=False)
    z = draw(rng, len(view), view)
    again, made = (
      generate.apply(params, state.stats, code, train=False)[0]
      for code in (codes, z)
    )
    caption = 'The generator never saw an image beside its code.'
    names = ('x', 'G(E(x))', 'G(z) of random z')
    columns = (view, again, made)
    return (Picture('Generated', caption, columns, names, is_view=True),)

  features = encoder_features(encoder)
  return Method(init, loss, unchanged, features, pictures=pictures)
