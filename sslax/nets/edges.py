"""Networks that see edges in place of colors."""

from sslax.nets.net import Net
from sslax.ops.sobel import sobel


def on_edges(encoder: Net) -> Net:
  """Puts Sobel filters before an encoder.

  Args:
    encoder: [B, H, W, 2] -> any outputs.

  Returns:
    A Net that takes images [B, H, W, C].
  """

  def init(rng, images):
    return encoder.init(rng, sobel(images))

  def apply(params, stats, images, **how):
    return encoder.apply(params, stats, sobel(images), **how)

  return Net(init, apply)
