"""Contrastive losses that weigh, correct, mix or drop negatives."""

import math

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import (
  cross_entropy,
  negative_logits,
)
from sslax.ops import distance
from sslax.ops.masked import masked_logsumexp, masked_mean
from sslax.ops.precision import at_least_float32
from sslax.ops.two_views import two_view_logits, two_view_logsumexp

__all__ = [
  'debiased',
  'feature_transformation',
  'fnc',
  'hcl',
  'ifm',
  'mochi',
]


def debiased(z1, z2, *, temperature=0.5, class_prior=0.1):
  """Contrastive loss corrected for false negatives.

  mean over 2B of −log e^{s⁺/τ} / (e^{s⁺/τ} + N·g), N = 2B − 2,
  g = max{(mean_n e^{s_n/τ} − τ₊·e^{s⁺/τ}) / (1 − τ₊), e^{−1/τ}}.

  Args:
    z1: [B, D] first views, any scale; normalized here; B ≥ 2.
    z2: [B, D] second views.
    temperature: τ, above 0.
    class_prior: τ₊ in [0, 1), the chance that a negative is of the class.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Chuang et al., Debiased contrastive learning,
    https://arxiv.org/abs/2007.00224, 2020.

  >>> z = jnp.eye(2)  # g = max{(1 − e/2) · 2, 1/e} = 1/e
  >>> round(float(debiased(z, z, temperature=1.0, class_prior=0.5)), 4)
  0.2395
  """
  return hcl(
    z1,
    z2,
    temperature=temperature,
    class_prior=class_prior,
    concentration=0.0,
  )


def hcl(z1, z2, *, temperature=0.5, class_prior=0.1, concentration=1.0):
  """Contrastive loss with hard negatives reweighted (HCL).

  As `debiased`, with the mean over negatives weighted by e^{β·s_n/τ}:
  g = max{(Σ_n e^{(1+β)s_n/τ} / Σ_n e^{β·s_n/τ} − τ₊·e^{s⁺/τ}) / (1 − τ₊),
  e^{−1/τ}}. The gradient flows through the weights too.

  Args:
    z1: [B, D] first views, any scale; normalized here; B ≥ 2.
    z2: [B, D] second views.
    temperature: τ, above 0.
    class_prior: τ₊ in [0, 1), the chance that a negative is of the class.
    concentration: β, at least 0; 0 gives the debiased loss.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Robinson et al., Contrastive learning with hard negative samples,
    https://arxiv.org/abs/2010.04592, 2020.

  >>> z = jnp.eye(2)  # equal negatives: reweighting changes nothing
  >>> round(float(hcl(z, z, temperature=1.0, class_prior=0.5)), 4)
  0.2395
  """
  positive, blocks = two_view_logits(z1, z2, temperature)
  log_num = math.log(max(positive.shape[0] - 2, 1))
  mean = two_view_logsumexp(blocks, 1 + concentration)
  mean = mean - two_view_logsumexp(blocks, concentration)
  # log(N·g) − s⁺/τ, all in logarithms so that no temperature overflows.
  excess = _log_subtract(mean - positive, class_prior)
  excess = excess - math.log(1 - class_prior)
  floor = -1 / temperature - positive
  return jnp.mean(jax.nn.softplus(log_num + jnp.maximum(excess, floor)))


def _log_subtract(log_a, b):
  """log(e^{log_a} − b), and a very low number where that is not positive."""
  if b == 0:
    return log_a
  gap = math.log(b) - log_a
  positive = gap < 0
  safe = jnp.where(positive, gap, -jnp.ones_like(gap))
  lowest = jnp.full_like(log_a, float(jnp.finfo(log_a.dtype).min) / 4)
  return jnp.where(positive, log_a + jnp.log(-jnp.expm1(safe)), lowest)


def ifm(queries, keys, queue, *, temperature=0.2, epsilon=0.1):
  """Implicit feature modification: InfoNCE under the worst small shift.

  mean_i −log e^{(s⁺−ε)/τ} / (e^{(s⁺−ε)/τ} + Σ_n e^{(s_n+ε)/τ}). The method
  averages it with the plain InfoNCE (ε = 0).

  Args:
    queries: [B, D] student's, any scale; normalized here.
    keys: [B, D] teacher's, any scale; normalized here; no gradient.
    queue: [K, D] unit rows of past keys; no gradient.
    temperature: τ, above 0.
    epsilon: ε, at least 0, the budget of the shift.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Robinson et al., Can contrastive learning avoid shortcut solutions?,
    https://arxiv.org/abs/2106.11230, 2021.

  >>> q, queue = jnp.eye(2)[:1], jnp.eye(2)[1:]  # log(1 + e^{-1 + 1})
  >>> round(float(ifm(q, q, queue, temperature=1.0, epsilon=0.5)), 4)
  0.6931
  """
  positive, negatives = _queue_logits(queries, keys, queue)
  positive = (positive - epsilon) / temperature
  return jnp.mean(cross_entropy(positive, (negatives + epsilon) / temperature))


def _queue_logits(queries, keys, queue):
  """Cosines of queries with their keys [B] and with negatives [B, K]."""
  shapes.check(queries=(queries, 'B D'), keys=(keys, 'B D'))
  queries, keys, queue = at_least_float32(queries, keys, queue)
  keys, queue = jax.lax.stop_gradient((keys, queue))
  queries, keys = distance.normalize(queries), distance.normalize(keys)
  return jnp.sum(queries * keys, -1), negative_logits(queries, queue)


def mochi(queries, keys, queue, synthetic, *, temperature=0.2):
  """MoCo with synthetic hard negatives beside the queue (MoCHi).

  mean_i −log e^{s⁺/τ} / (e^{s⁺/τ} + Σ_{n∈Q} e^{s_n/τ} + Σ_{h∈H_i} e^{s_h/τ}).

  Args:
    queries: [B, D] student's, any scale; normalized here.
    keys: [B, D] teacher's, any scale; normalized here; no gradient.
    queue: [K, D] unit rows of past keys; no gradient.
    synthetic: [B, S, D] unit rows, as `sslax.ops.mixing.mix_negatives` makes
      them; no gradient.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Kalantidis et al., Hard negative mixing for contrastive learning,
    https://arxiv.org/abs/2010.01028, 2020.

  >>> q, n = jnp.eye(2)[:1], jnp.eye(2)[1:]
  >>> round(float(mochi(q, q, n, n[None], temperature=1.0)), 4)
  0.5514
  """
  positive, negatives = _queue_logits(queries, keys, queue)
  _, mixed = _queue_logits(queries, keys, synthetic)
  negatives = jnp.concatenate([negatives, mixed], axis=1)
  return jnp.mean(
    cross_entropy(positive / temperature, negatives / temperature)
  )


def feature_transformation(
  queries,
  keys,
  queue,
  positive_share,
  queue_shares,
  permutation,
  *,
  temperature=0.2,
):
  """MoCo on extrapolated positives and interpolated negatives.

  InfoNCE with the positive score ŝ⁺ = q̂·k̂, q̂ = λq + (1 − λ)k and
  k̂ = λk + (1 − λ)q, λ > 1, and the negatives n̂ = ω·n + (1 − ω)·n_π.

  Args:
    queries: [B, D] student's, any scale; normalized here.
    keys: [B, D] teacher's, any scale; normalized here; no gradient.
    queue: [K, D] unit rows of past keys; no gradient.
    positive_share: [B] λ, 1 for no change, above 1 pushes the pair apart.
    queue_shares: [K] ω in [0, 1].
    permutation: [K] int, π.
    temperature: above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Zhu et al., Improving contrastive learning by visualizing feature
    transformation, https://arxiv.org/abs/2108.02982, 2021. The official code:
    DTennant/CL-Visualizing-Feature-Transformation, memory/mem_moco.py.

  Deviations:
    The official code scores the negatives with q̂; here q̂ is in the positive
    score alone. It draws λ and ω for every feature, or once for the batch.

  >>> q, one = jnp.eye(2), jnp.ones(2)
  >>> order = jnp.array([1, 0])
  >>> round(float(feature_transformation(q, q, q, one, one / 2, order)), 4)
  0.152
  """
  shapes.check(
    queries=(queries, 'B D'),
    keys=(keys, 'B D'),
    queue=(queue, 'K D'),
    positive_share=(positive_share, 'B'),
    queue_shares=(queue_shares, 'K'),
    permutation=(permutation, 'K'),
  )
  queue, positive_share, queue_shares = at_least_float32(
    queue, positive_share, queue_shares
  )
  share = queue_shares[:, None]
  mixed = share * queue + (1 - share) * queue[permutation]
  cosines, negatives = _queue_logits(queries, keys, mixed)
  # q̂·k̂ for unit rows: (λ² + (1 − λ)²)·q·k + 2λ(1 − λ).
  rest = 1 - positive_share
  positive = (positive_share**2 + rest**2) * cosines
  positive = positive + 2 * positive_share * rest
  return jnp.mean(
    cross_entropy(positive / temperature, negatives / temperature)
  )


def fnc(z1, z2, false_negatives, *, temperature=0.1, attract=False):
  """False negative cancellation among two views.

  eliminate: mean_i −log e^{s_ij/τ} / (e^{s_ij/τ} + Σ_{k∉F_i} e^{s_ik/τ});
  attract: mean_i −1/(1+|F_i|) Σ_{p∈F_i∪j} log e^{s_ip/τ} / Σ_{k≠i} e^{s_ik/τ};
  j is the other view of i.

  Args:
    z1: [B, D] first views, any scale; normalized here.
    z2: [B, D] second views.
    false_negatives: [2B, 2B] bool F, rows and columns of concat(z1, z2), as
      `sslax.ops.mixing.false_negatives` finds them; an entry at i or j itself
      is ignored.
    temperature: τ, above 0.
    attract: make false negatives positives instead of leaving them out.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Huynh et al., Boosting contrastive self-supervised learning with false
    negative cancellation, https://arxiv.org/abs/2011.11765, 2020.

  Deviations:
    The official code (google-research/fnc, objective.py) sums over the two
    views, which doubles this loss, and takes the support views as further
    anchors, positives and negatives.

  >>> z, none = jnp.eye(2), jnp.zeros((4, 4), bool)  # as NT-Xent
  >>> round(float(fnc(z, z, none, temperature=1.0)), 4)
  0.5514
  """
  positive, (across, within1, within2) = two_view_logits(z1, z2, temperature)
  num = positive.shape[0]
  shapes.check(false_negatives=(false_negatives, f'{num} {num}'))
  logits = jnp.block([[within1, across], [across.T, within2]])
  negatives = ~jnp.tile(jnp.eye(num // 2, dtype=bool), (2, 2))
  false = false_negatives & negatives
  if not attract:
    return jnp.mean(cross_entropy(positive, logits, negatives & ~false))
  others = ~jnp.eye(num, dtype=bool)
  gaps = masked_logsumexp(logits, others)[:, None] - logits
  return jnp.mean(masked_mean(gaps, false | (others & ~negatives), axis=1))
