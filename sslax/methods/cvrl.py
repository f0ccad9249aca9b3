"""Contrastive video representation learning."""

from sslax.method import Method
from sslax.methods.simclr import simclr
from sslax.nets.net import Net


def cvrl(
  encoder: Net,
  *,
  hidden_size: int = 2048,
  projection_size: int = 128,
  num_hidden: int = 3,
  temperature: float = 0.1,
  dtype: str = 'float32',
) -> Method:
  """CVRL: find a clip's other clip of the same video among those of the batch.

  SimCLR on videos: the loss is that of `simclr`, on two clips of each video
  instead of two views of an image. What is new is in the views
  (`views.name=cvrl`): how far apart in time the clips are drawn, and that one
  draw changes all frames of a clip alike. Reads two clips [B, T, H, W, C].

  Args:
    encoder: [B, T, H, W, C] -> [B, D].
    hidden_size: width of the projector's hidden layers.
    projection_size: size of the embedding.
    num_hidden: hidden layers of the projector.
    temperature: of the softmax.
    dtype: compute dtype of the projector.

  Returns:
    A Method whose features are the encoder's output.

  References:
    Qian et al., Spatiotemporal contrastive video representation learning,
    https://arxiv.org/abs/2008.03800, 2020; modeling/video_ssl_model.py and
    losses/losses.py of
    https://github.com/tensorflow/models/tree/master/official/projects/video_ssl.

  Deviations:
    The loss is the mean over both clips of a video, half of the official sum.
  """
  return simclr(
    encoder,
    hidden_size=hidden_size,
    projection_size=projection_size,
    num_hidden=num_hidden,
    final_norm=False,
    temperature=temperature,
    dtype=dtype,
  )
