"""Contrastive learning of general-purpose audio representations."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import losses
from sslax.evals.diagnostics import embedding_std
from sslax.evals.matching import match_accuracy
from sslax.method import Method, unchanged
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.multi_crop import by_size
from sslax.nets.net import Net
from sslax.nets.norm import param_dtype
from sslax.ops.log_mel import log_mel


class ColaState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of the encoder


def cola(
  encoder: Net,
  *,
  sample_rate: int = 16000,
  num_mels: int = 64,
  projection_size: int = 512,
  noise: float = 0.001,
  dtype: str = 'float32',
) -> Method:
  """COLA: find the other segment of a sound among those of the batch.

  Segments become log-mel spectrograms on the device; with z = tanh(LayerNorm(
  g(f(segment)))) and a learned matrix W,
  loss = mean_i −log exp(zᵢᵀWz'ᵢ) / Σ_j exp(zᵢᵀWz'_j). Reads two views, segments
  [B, s] in [-1, 1].

  Args:
    encoder: of spectrograms, [B, T, F] -> [B, D].
    sample_rate: of the segments, in samples a second.
    num_mels: bands F of a spectrogram.
    projection_size: size of z.
    noise: standard deviation of Gaussian noise on the second segment.
    dtype: compute dtype of the projector.

  Returns:
    A Method whose features are the encoder's output; of several segments
    [B, N, s] their mean.

  References:
    Saeed et al., Contrastive learning of general-purpose audio representations,
    https://arxiv.org/abs/2010.10915, 2020, equations 1 and 2; network.py and
    contrastive.py in
    https://github.com/google-research/google-research/tree/master/cola.
  """
  projector = mlp(
    hidden=(),
    features=projection_size,
    norm='layer',
    final_norm=True,
    final_affine=True,
    dtype=dtype,
  )
  whole = chain(encoder=encoder, projector=projector)
  project = by_size(whole.apply)

  def spectrograms(segments):
    return log_mel(
      segments,
      sample_rate=sample_rate,
      num_mels=num_mels,
      window=sample_rate // 40,
      hop=sample_rate // 100,
      high=min(7800.0, sample_rate / 2),
    )

  def init(rng, batch):
    rng_nets, rng_weights = jax.random.split(rng)
    params, stats = whole.init(rng_nets, spectrograms(batch['views'][0]))
    shape, wide = (projection_size, projection_size), param_dtype(dtype)
    weights = 0.05 * jax.random.normal(rng_weights, shape, wide)
    return {**params, 'similarity': weights}, ColaState(stats)

  def loss(params, state, batch, *, rng, step):
    del step
    first, second = batch['views']
    drawn = jax.random.normal(rng, second.shape, second.dtype)
    inputs = [spectrograms(x) for x in (first, second + noise * drawn)]
    made, stats = project(params, state.stats, inputs, train=True)
    z1, z2 = (jnp.tanh(x) for x in made)
    weights = params['similarity']
    value = losses.info_nce(
      z1, z2, weights=weights, temperature=1.0, normalize=False
    )
    metrics = {
      'embedding_std': embedding_std(z1),
      'accuracy': match_accuracy(z1 @ weights.astype(z1.dtype), z2),
    }
    return value, (ColaState(stats), metrics)

  def features(params, state, inputs):
    segments = inputs.reshape(-1, inputs.shape[-1])
    made, _ = encoder.apply(
      params['encoder'],
      state.stats['encoder'],
      spectrograms(segments),
      train=False,
    )
    return made.reshape(len(inputs), -1, made.shape[-1]).mean(1)

  safeguard = 'the other sounds of the batch'
  return Method(init, loss, unchanged, features, safeguard=safeguard)
