"""Losses that tell pairs apart one by one, as binary decisions."""

import math

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import distance
from sslax.ops.masked import masked_logsumexp
from sslax.ops.precision import at_least_float32

__all__ = ['isif', 'looc', 'nce', 'negative_sampling', 'relational_reasoning']


def nce(
  data_scores, noise_scores, data_noise, noise_noise, *, log_partition=0.0
):
  """Noise-contrastive estimation of an unnormalized model.

  mean_i [−log σ(G(x_i)) − Σ_k log(1 − σ(G(x̃_ik)))],
  G(x) = s(x) − log Z − log(K·q(x)), with K noise samples for each datum.

  Args:
    data_scores: [B] model's unnormalized log-probability of the data.
    noise_scores: [B, K] of the noise samples.
    data_noise: [B] log q of the data under the noise distribution.
    noise_noise: [B, K] log q of the noise samples.
    log_partition: log Z, fixed, or learned as an array scalar.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Gutmann & Hyvärinen, Noise-contrastive estimation: a new estimation
    principle for unnormalized statistical models, AISTATS 2010.

  >>> zero = jnp.zeros((1, 1))  # K = 1, σ = ½ everywhere
  >>> round(float(nce(zero[0], zero, zero[0], zero)), 4)
  1.3863
  """
  sizes = shapes.check(
    data_scores=(data_scores, 'B'),
    noise_scores=(noise_scores, 'B K'),
    data_noise=(data_noise, 'B'),
    noise_noise=(noise_noise, 'B K'),
  )
  data_scores, noise_scores, data_noise, noise_noise = at_least_float32(
    data_scores, noise_scores, data_noise, noise_noise
  )
  log_partition = jnp.asarray(log_partition, data_scores.dtype)
  level = log_partition + math.log(sizes['K'])
  return negative_sampling(
    data_scores - data_noise - level, noise_scores - noise_noise - level
  )


def negative_sampling(positive_scores, negative_scores):
  """Negative sampling: NCE without the correction for the noise's density.

  mean_i [−log σ(s⁺_i) − Σ_k log σ(−s⁻_ik)].

  Args:
    positive_scores: [B] scores of the positives.
    negative_scores: [B, K] scores of the drawn negatives.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Dyer, Notes on noise contrastive estimation and negative sampling,
    https://arxiv.org/abs/1410.8251, 2014.

  >>> round(float(negative_sampling(jnp.zeros(1), jnp.zeros((1, 2)))), 4)
  2.0794
  """
  shapes.check(
    positive_scores=(positive_scores, 'B'),
    negative_scores=(negative_scores, 'B K'),
  )
  positive, negative = at_least_float32(positive_scores, negative_scores)
  pushed = jnp.sum(jax.nn.softplus(negative), 1)
  return jnp.mean(jax.nn.softplus(-positive) + pushed)


def relational_reasoning(scores, labels, *, focus=2.0):
  """Focal cross-entropy of same-image against different-image pairs.

  mean_i −(1 − p_i)^γ log p_i, p the probability that the relation head gives
  to the truth; γ = 0 is the plain cross-entropy.

  Args:
    scores: [B] logits of the relation head on pairs of representations.
    labels: [B], 1 for two augmentations of one image, 0 for two images.
    focus: γ, at least 0; raises the weight of hard pairs.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Patacchiola & Storkey, Self-supervised relational reasoning for
    representation learning, https://arxiv.org/abs/2006.05849, 2020.

  Deviations:
    The official code halves this.

  >>> s, y = jnp.zeros(2), jnp.array([1, 0])
  >>> round(float(relational_reasoning(s, y, focus=2.0)), 4)  # log 2 / 4
  0.1733
  """
  shapes.check(scores=(scores, 'B'), labels=(labels, 'B'))
  scores, labels = at_least_float32(scores, labels)
  signed = (2 * labels - 1) * scores
  losses = jax.nn.softplus(-signed)
  # 1 − p = σ(−s), and its power by the logarithm, which cannot cancel.
  weights = jnp.exp(-focus * jax.nn.softplus(signed))
  return jnp.mean(weights * losses)


def isif(z1, z2, *, temperature=0.1):
  """Invariant and spreading instance feature.

  mean_i [−log P(i|ẑ_i) − Σ_{j≠i} log(1 − P(i|z_j))], ẑ the other view,
  P(i|z) = e^{z_i·z/τ} / Σ_k e^{z_k·z/τ}.

  Args:
    z1: [B, D] instances, any scale; normalized here.
    z2: [B, D] their augmentations ẑ, any scale; normalized here.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Ye et al., Unsupervised embedding learning via invariant and spreading
    instance feature, https://arxiv.org/abs/1904.03436, 2019.

  Deviations:
    The official code holds one side of each product fixed and takes both
    views as instances; here the gradient is that of the equation.

  >>> z = jnp.eye(2)
  >>> round(float(isif(z, z, temperature=1.0)), 4)  # 2 log(1 + 1/e)
  0.6265
  """
  num = shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))['B']
  others = ~jnp.eye(num, dtype=bool)
  invariant = distance.cosine(z2, z1) / temperature
  own = jnp.diagonal(invariant)
  pull = jax.nn.softplus(masked_logsumexp(invariant, others) - own)
  spreading = distance.cosine(z1, z1) / temperature
  logs = jax.nn.log_softmax(spreading, axis=0)
  # An instance is its own best match, so the others stay at or below one half.
  logs = jnp.minimum(logs, -jnp.log(jnp.asarray(2, logs.dtype)))
  push = -jnp.log1p(-jnp.exp(jnp.where(others, logs, -jnp.ones_like(logs))))
  return jnp.mean(pull + jnp.sum(jnp.where(others, push, 0 * push), 1))


def looc(queries, keys, queues, *, temperature=0.2):
  """Leave-one-out contrastive learning over an invariant and n varying heads.

  mean over heads of ℓ_h; with e = exp(q_h·k_jh/τ) of the view j in the space
  of head h and N_h = Σ_{n∈queue_h} exp(q_h·n/τ):
  ℓ_0 = −log Σ_j e_j / (Σ_j e_j + N_0), ℓ_h = −log e_h / (Σ_j e_j + N_h).

  Args:
    queries: [B, H, D] the query in the H = n + 1 spaces, unit rows.
    keys: [B, H, H, D] view j (axis 1) in space h (axis 2), unit rows; view
      j ≥ 1 shares augmentation j with the query, view 0 none; no gradient.
    queues: [H, K, D] unit rows of each space; no gradient.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Xiao et al., What should not be contrastive in contrastive learning,
    https://arxiv.org/abs/2008.05659, 2020.

  >>> q, k, queue = jnp.zeros((1, 1, 2)), jnp.zeros((1, 1, 1, 2)), jnp.eye(2)
  >>> round(float(looc(q, k, queue[None])), 4)  # one view, two negatives
  1.0986
  """
  sizes = shapes.check(
    queries=(queries, 'B H D'), keys=(keys, 'B H H D'), queues=(queues, 'H K D')
  )
  queries, keys, queues = at_least_float32(queries, keys, queues)
  keys, queues = jax.lax.stop_gradient((keys, queues))
  views = jnp.einsum('bhd,bjhd->bhj', queries, keys) / temperature
  negatives = jnp.einsum('bhd,hkd->bhk', queries, queues) / temperature
  positives = jnp.eye(sizes['H'], dtype=bool).at[0].set(True)
  positives = jnp.broadcast_to(positives[None], views.shape)
  inside = masked_logsumexp(views, positives)
  outside = jnp.logaddexp(
    masked_logsumexp(views, ~positives), jax.nn.logsumexp(negatives, axis=-1)
  )
  return jnp.mean(jax.nn.softplus(outside - inside))
