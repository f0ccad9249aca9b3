"""Simple contrastive learning of visual representations."""

from typing import Any, NamedTuple

from sslax import losses
from sslax.evals.diagnostics import embedding_std
from sslax.evals.matching import match_accuracy
from sslax.method import Method, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.multi_crop import by_size
from sslax.nets.net import Net


class SimclrState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of encoder and projector


def simclr(
  encoder: Net,
  *,
  hidden_size: int = 2048,
  projection_size: int = 128,
  num_hidden: int = 1,
  final_norm: bool = True,
  temperature: float = 0.1,
  dtype: str = 'float32',
) -> Method:
  """SimCLR: find an image's other view among all views of the batch.

  With z = g(f(v)) for both views of all N images of the global batch, rows
  normalized, loss = mean over all 2N views i of
  −log exp(zᵢ·zⱼ/temperature) / Σ_{k≠i} exp(zᵢ·z_k/temperature), where j is the
  other view of i's image. Reads two views.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    hidden_size: width of the projector's hidden layers.
    projection_size: size of the embedding z.
    num_hidden: hidden layers of the projector; SimCLR v2 has two.
    final_norm: whether z is batch-normalized, in the place of a bias.
    temperature: of the softmax.
    dtype: compute dtype of the projector.

  Returns:
    A Method whose features are the encoder's output.

  References:
    Chen et al., A simple framework for contrastive learning of visual
    representations, https://arxiv.org/abs/2002.05709, 2020, equation 1 and
    algorithm 1; https://github.com/google-research/simclr, tf2/model.py and
    tf2/objective.py.

  Deviations:
    The official code sums the losses of the two views: twice this, which LARS
    sees in biases and normalization parameters only. The projector's last
    normalization has no scale. The official layers of the projector start with
    a deviation of 0.01.
  """
  projector = mlp(
    hidden=(hidden_size,) * num_hidden,
    features=projection_size,
    hidden_bias=False,
    final_bias=not final_norm,
    final_norm=final_norm,
    dtype=dtype,
  )
  whole = chain(encoder=encoder, projector=projector)
  project = by_size(whole.apply)

  def init(rng, batch):
    params, stats = whole.init(rng, batch['views'][0])
    return params, SimclrState(stats)

  def loss(params, state, batch, *, rng, step):
    del step
    (z1, z2), stats = project(
      params, state.stats, batch['views'], train=True, rng=rng
    )
    value = losses.ntxent(z1, z2, temperature=temperature)
    metrics = {
      'embedding_std': embedding_std(z1),
      'accuracy': match_accuracy(z1, z2),
    }
    return value, (SimclrState(stats), metrics)

  features = encoder_features(encoder)
  safeguard = 'the negatives: the batch is too small or the temperature wrong'
  return Method(init, loss, unchanged, features, safeguard=safeguard)
