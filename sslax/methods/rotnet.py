"""Prediction of image rotations."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from sslax.method import Method, Picture, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.ops.classification import classify

_NUM_ROTATIONS = 4


class RotnetState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of encoder and head


def rotnet(
  encoder: Net,
  *,
  hidden_size: int = 0,
  dtype: str = 'float32',
) -> Method:
  """RotNet: recognize by which of four angles an image was turned.

  Every image enters four times, turned by 0, 90, 180 and 270 degrees, and
  loss = −mean over images and turns y of log softmax(h(f(turn_y(x))))[y].
  Reads one view.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    hidden_size: width of the head's hidden layer; 0 is one linear layer.
    dtype: compute dtype of the head.

  Returns:
    A Method whose features are the encoder's output.

  References:
    Gidaris et al., Unsupervised representation learning by predicting image
    rotations, https://arxiv.org/abs/1803.07728, 2018;
    https://github.com/gidariss/FeatureLearningRotNet.

  Deviations:
    The official networks (AlexNet, NIN) are cut at some layer for evaluation,
    and what follows is the head; here the encoder is any network and the head
    one layer or two.
  """
  head = mlp(
    hidden=(hidden_size,) if hidden_size else (),
    features=_NUM_ROTATIONS,
    dtype=dtype,
  )
  whole = chain(encoder=encoder, head=head)

  def init(rng, batch):
    params, stats = whole.init(rng, batch['views'][0])
    return params, RotnetState(stats)

  def loss(params, state, batch, *, rng, step):
    del step
    turned = _turned(batch['views'][0])
    b, r = turned.shape[:2]
    images = turned.reshape(b * r, *turned.shape[2:])
    logits, stats = whole.apply(
      params, state.stats, images, train=True, rng=rng
    )
    value, accuracy = classify(logits, jnp.tile(jnp.arange(r), b))
    return value, (RotnetState(stats), {'accuracy': accuracy})

  def pictures(params, state, batch, *, rng):
    del params, state, rng
    turned = _turned(batch['views'][0])
    columns = tuple(turned[:, i] for i in range(_NUM_ROTATIONS))
    caption = 'Each image as the encoder sees it; it has to tell the angle.'
    names = ('0', '90', '180', '270 degrees')
    return (Picture('Rotations', caption, columns, names, is_view=True),)

  return Method(
    init, loss, unchanged, encoder_features(encoder), pictures=pictures
  )


def _turned(images):
  """[B, S, S, C] -> [B, 4, S, S, C], turned counter-clockwise."""
  turns = [jnp.rot90(images, k, axes=(1, 2)) for k in range(_NUM_ROTATIONS)]
  return jnp.stack(turns, axis=1)
