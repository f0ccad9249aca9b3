"""Colorization as classification of colors."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax.data.views import (
  IMAGENET_MEAN,
  IMAGENET_STD,
  unit_range,
  unnormalize,
)
from sslax.errors import BadInputError
from sslax.method import Method, Picture, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.net import Net
from sslax.nets.tapped import tapped
from sslax.nets.upsampler import upsampler
from sslax.ops import color_bins
from sslax.ops.color_space import lab_to_rgb, rgb_to_lab
from sslax.ops.cross_entropy import soft_cross_entropy

_NUM_BINS = len(color_bins.AB_BINS)
_GRAY = 5.0  # an image all of whose |a|, |b| are below has no colors to learn


class ColorizationState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of encoder and decoder
  prior: jax.Array  # how often each bin was seen, [313], sum 1


def colorization(
  encoder: Net,
  *,
  tap: str = 'stage4',
  num_doublings: int = 3,
  width: int = 256,
  uniform_ratio: float = 0.5,
  mean: tuple[float, ...] = IMAGENET_MEAN,
  std: tuple[float, ...] = IMAGENET_STD,
  dtype: str = 'float32',
) -> Method:
  """Colorful image colorization: predict the colors of a gray image.

  The encoder sees the lightness L of CIE Lab three times over; a decoder gives
  a distribution ẑ over Q = 313 bins of (a, b) at each fourth pixel. With the
  color there softly encoded as z, q* its nearest bin, and p̃ how often the bins
  occur, loss = −mean_pixels w_{q*}·Σ_q z_q log ẑ_q,
  w ∝ 1 / ((1 − λ)·p̃ + λ/Q) and Σ_q p̃_q w_q = 1. Reads one view.

  Args:
    encoder: [B, H, W, 3] -> [B, D], with taps.
    tap: the feature map of the encoder that is decoded.
    num_doublings: how often the decoder doubles it, to a quarter of the view.
    width: channels of the decoder.
    uniform_ratio: λ.
    mean: what views were normalized with, to have their colors.
    std: likewise.
    dtype: compute dtype of the decoder.

  Returns:
    A Method whose features are the encoder's output for L.

  References:
    Zhang et al., Colorful image colorization,
    https://arxiv.org/abs/1603.08511, 2016, section 2;
    https://github.com/richzhang/colorization (train/train_val.prototxt,
    resources/caffe_traininglayers.py).

  Deviations:
    p̃ is the mean of z over all that was seen so far, not of ImageNet's
    training set. L is scaled to [-1, 1], officially to [-50, 50]. The official
    code shares a color among 10 bins, the paper among 5. Encoder and decoder
    are not the official VGG, but taken from elsewhere.
  """
  decoder = upsampler(
    num_doublings=num_doublings, width=width, channels=_NUM_BINS, dtype=dtype
  )
  whole = chain(encoder=tapped(encoder, tap), decoder=decoder)

  def lab_of(view):
    return rgb_to_lab(unit_range(unnormalize(view, mean, std), dtype))

  def init(rng, batch):
    lab = lab_of(batch['views'][0])
    params, stats = whole.init(rng, _seen(lab))
    logits, _ = whole.apply(params, stats, _seen(lab), train=False)
    if logits.shape[:3] != _quarter(lab).shape[:3]:
      raise BadInputError(
        f'method.num_doublings is {num_doublings}: the decoder makes'
        f' {logits.shape[1:3]} places of a view of {lab.shape[1:3]} pixels;'
        f' {_quarter(lab).shape[1:3]} would be right'
      )
    prior = jnp.full(_NUM_BINS, 1 / _NUM_BINS, lab.dtype)
    return params, ColorizationState(stats, prior)

  def loss(params, state, batch, *, rng, step):
    lab = lab_of(batch['views'][0])
    logits, stats = whole.apply(
      params, state.stats, _seen(lab), train=True, rng=rng
    )
    ab = _quarter(lab)[..., 1:]
    colors = color_bins.soft_encode(ab)
    count = jnp.asarray(step).astype(lab.dtype) + 1
    prior = state.prior + (jnp.mean(colors, (0, 1, 2)) - state.prior) / count
    best = jnp.argmax(colors, -1)
    weights = color_bins.rarity_weights(prior, uniform_ratio=uniform_ratio)
    has_color = jnp.max(jnp.abs(ab), (1, 2, 3), keepdims=True)[..., 0] > _GRAY
    weights = jnp.where(has_color, weights[best], 0)
    value = jnp.mean(weights * soft_cross_entropy(colors, logits))
    right = (jnp.argmax(logits, -1) == best).astype(lab.dtype)
    metrics = {'accuracy': jnp.mean(right), 'weight': jnp.mean(weights)}
    return value, (ColorizationState(stats, prior), metrics)

  def features(params, state, inputs):
    return encoder_features(encoder)(params, state, _seen(lab_of(inputs)))

  def pictures(params, state, batch, *, rng):
    del rng
    lab = lab_of(batch['views'][0])
    logits, _ = whole.apply(params, state.stats, _seen(lab), train=False)
    ab = color_bins.annealed_mean(logits)
    ab = jax.image.resize(ab, (*lab.shape[:3], 2), 'bilinear')
    made = lab_to_rgb(jnp.concatenate([lab[..., :1], ab], -1))
    columns = (lab[..., :1] / 100, made, lab_to_rgb(lab))
    caption = 'Colors are predicted for every fourth pixel.'
    names = ('what the encoder sees', 'its colors', 'the true ones')
    return (Picture('Colorization', caption, columns, names),)

  return Method(init, loss, unchanged, features, pictures=pictures)


def _seen(lab):
  """What the encoder sees: the lightness, three times."""
  return jnp.repeat(lab[..., :1] / 50 - 1, 3, axis=-1)


def _quarter(lab):
  """Every fourth pixel."""
  return lab[:, ::4, ::4]
