"""Instance discrimination with a non-parametric softmax."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax import losses
from sslax.errors import BadInputError
from sslax.evals.diagnostics import embedding_std
from sslax.method import Method, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.nets.norm import param_dtype
from sslax.ops import memory_bank
from sslax.ops.classification import classify
from sslax.ops.distance import normalize


class InstdiscState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of encoder and projector
  bank: jax.Array  # each example's last embedding, [N and padding, D]
  normalizer: jax.Array  # Z, []; 0 until the first batch sets it


def instdisc(
  encoder: Net,
  *,
  num_examples: int,
  projection_size: int = 128,
  num_noise: int = 4096,
  temperature: float = 0.07,
  momentum: float = 0.5,
  proximal_weight: float = 0.0,
  dtype: str = 'float32',
) -> Method:
  """Instance discrimination: each example is a class of its own.

  P(j|v) = exp(v_j·v/temperature) / Z with v the normalized embedding of an
  image and v_j rows of a memory bank, one for each of N examples. Noise-
  contrastive estimation tells an image's own row from M rows drawn uniformly:
  loss = mean_i [−log h(i, vᵢ) − Σ_m log(1 − h(m, vᵢ))],
  h(j, v) = P(j|v) / (P(j|v) + M/N), + λ‖vᵢ − bankᵢ‖². Z is estimated once, from
  the first batch. With M = 0 all N rows are compared and Z is exact:
  loss = mean_i [−log P(i|vᵢ)], for small data sets. After it,
  bankᵢ ← norm(momentum·bankᵢ + (1 − momentum)·vᵢ). Reads one view, and `index`.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    num_examples: training examples N.
    projection_size: size of embeddings.
    num_noise: rows M drawn for each image; 0 compares with all.
    temperature: of the softmax.
    momentum: the share of a row that is kept when its image is seen.
    proximal_weight: λ, at least 0.
    dtype: compute dtype of the projector.

  Returns:
    A Method whose features are the encoder's output.

  Raises:
    BadInputError: from init, where num_examples is not known.

  References:
    Wu et al., Unsupervised feature learning via non-parametric instance
    discrimination, https://arxiv.org/abs/1805.01978, 2018;
    https://github.com/zhirongw/lemniscate.pytorch, lib/NCEAverage.py,
    lib/NCECriterion.py and lib/LinearAverage.py (M = 0).

  Deviations:
    No 1e-7 in the denominators: h is computed by logarithms. The bank starts
    as unit rows, where the official rows are uniform, of norm 1 on average. Of
    an example that is in a batch twice the last view counts. Features are
    taken before the projection, where the paper's neighbors are found after
    it.
  """
  projector = mlp(hidden=(), features=projection_size, norm='none', dtype=dtype)
  whole = chain(encoder=encoder, projector=projector)

  def init(rng, batch):
    if num_examples < 1:
      raise BadInputError(
        f'data.num_examples is {num_examples}; the memory bank needs the number'
        ' of training examples'
      )
    rng_params, rng_bank = jax.random.split(rng)
    params, stats = whole.init(rng_params, batch['views'][0])
    wide = param_dtype(dtype)
    rows = memory_bank.padded(num_examples)
    bank = memory_bank.init(rng_bank, rows, projection_size, wide)
    return params, InstdiscState(stats, bank, jnp.zeros((), wide))

  def whole_softmax(rng, z, state, index):
    del rng
    logits = z @ state.bank[:num_examples].T / temperature
    return *classify(logits, index), state.normalizer

  def draw(rng, index):
    """[B, 1 + M] rows of the bank: an image's own, then the noise."""
    shape = (len(index), num_noise)
    noise = jax.random.randint(rng, shape, 0, num_examples, index.dtype)
    return jnp.concatenate([index[:, None], noise], axis=1)

  def against_noise(rng, z, state, index):
    scores = memory_bank.scores(state.bank, draw(rng, index), z, temperature)
    estimate = memory_bank.normalizer(scores, num_examples)
    known = state.normalizer > 0
    normalizer = jnp.where(known, state.normalizer, estimate)
    density = jnp.full_like(scores, -math.log(num_examples))
    value = losses.nce(
      scores[:, 0],
      scores[:, 1:],
      density[:, 0],
      density[:, 1:],
      log_partition=jnp.log(normalizer),
    )
    found = (scores.argmax(1) == 0).astype(scores.dtype)
    return value, jnp.mean(found), normalizer

  objective = against_noise if num_noise else whole_softmax

  def loss(params, state, batch, *, rng, step):
    del step
    index = batch['index']
    rng_net, rng_noise = jax.random.split(rng)
    z, stats = whole.apply(
      params, state.stats, batch['views'][0], train=True, rng=rng_net
    )
    z = normalize(z)
    value, accuracy, normalizer = objective(rng_noise, z, state, index)
    value += losses.proximal(z, state.bank[index], weight=proximal_weight)
    metrics = {
      'embedding_std': embedding_std(z),
      'accuracy': accuracy,
      'normalizer': normalizer,
    }
    bank = memory_bank.update(state.bank, index, z, momentum)
    return value, (InstdiscState(stats, bank, normalizer), metrics)

  features = encoder_features(encoder)
  safeguard = 'the noise samples, and a bank whose rows differ'
  return Method(init, loss, unchanged, features, safeguard=safeguard)
