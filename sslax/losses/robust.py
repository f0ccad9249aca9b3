"""Contrastive losses that are robust to noisy views or ranked positives."""

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
from sslax.ops.two_views import two_view_sums

__all__ = [
  'eqco',
  'ranking_info_nce',
  'robust_info_nce',
  'robust_mocov3',
]


def robust_info_nce(z1, z2, *, temperature=0.5, q=0.5, lam=0.01):
  """Robust InfoNCE (RINCE), which tolerates false positives, over 2B views.

  mean over 2B of −e^{q·s⁺}/q + (λ·(e^{s⁺} + Σ_n e^{s_n}))^q / q, with s the
  cosine over τ and n the 2B − 2 embeddings of other images. q → 0 gives
  InfoNCE, up to a constant; q = 1 is fully robust.

  Args:
    z1: [B, D] first views, any scale; normalized here.
    z2: [B, D] second views.
    temperature: τ; e^{q/τ} must be a finite number.
    q: in (0, 1].
    lam: λ in (0, 1), the density weight of the negatives.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ.

  References:
    Chuang et al., Robust contrastive learning against noisy views,
    https://arxiv.org/abs/2201.04309, 2022.

  >>> z = jnp.array([[1.0, 0.0], [0.0, 1.0]])  # −e + 0.1·(e + 2)
  >>> round(float(robust_info_nce(z, z, temperature=1.0, q=1.0, lam=0.1)), 4)
  -2.2465
  """
  positive, negatives = two_view_sums(z1, z2, temperature)
  positive = jnp.stack([positive, positive])
  return _rince(positive, jnp.logaddexp(positive, negatives), q, lam)


def _rince(positive, total, q, lam):
  """Mean of −e^{q·s⁺}/q + (λ·e^{total})^q / q."""
  return (
    jnp.mean(jnp.exp(q * (total + math.log(lam))) - jnp.exp(q * positive)) / q
  )


def robust_mocov3(queries, keys, *, temperature=1.0, q=0.5, lam=0.01):
  """Robust InfoNCE in MoCo v3's form, one direction, times 2τ.

  2τ · mean_i [−e^{q·s_ii}/q + (λ·Σ_j e^{s_ij})^q / q], s_ij = cos(q_i, k_j)/τ.

  Args:
    queries: [B, D] student's predictions, any scale; normalized here.
    keys: [B, D] teacher's projections, any scale; normalized here; no gradient.
    temperature: τ; e^{q/τ} must be a finite number.
    q: in (0, 1].
    lam: λ in (0, 1).

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ.

  References:
    Chuang et al., Robust contrastive learning against noisy views,
    https://arxiv.org/abs/2201.04309, 2022, and its code,
    https://github.com/chingyaoc/RINCE.

  >>> z = jnp.array([[1.0, 0.0], [0.0, 1.0]])  # 2·(−e + 0.1·(e + 1))
  >>> round(float(robust_mocov3(z, z, q=1.0, lam=0.1)), 4)
  -4.6929
  """
  shapes.check(queries=(queries, 'B D'), keys=(keys, 'B D'))
  logits = distance.cosine(queries, jax.lax.stop_gradient(keys)) / temperature
  total = jax.nn.logsumexp(logits, axis=1)
  return 2 * temperature * _rince(jnp.diagonal(logits), total, q, lam)


def ranking_info_nce(
  queries, keys, ranks, *, temperatures=(0.1, 0.2), form='out'
):
  """Ranking InfoNCE (RINCE): positives of several ranks, the nearest first.

  Σ_r mean_i ℓ_r, with P_r the keys of rank r, N the negatives, and
  e = e^{s/τ_r}: in, ℓ_r = −log Σ_{p∈P_r} e_p / (Σ_{P_{≥r}} e + Σ_N e_n);
  out, ℓ_r = −(1/|P_r|) Σ_{p∈P_r} log e_p / (e_p + Σ_{P_{>r}} e + Σ_N e_n).

  Args:
    queries: [B, D], any scale; normalized here.
    keys: [K, D], any scale; normalized here.
    ranks: [B, K] int: 0 for the most similar positives up to R − 1; R for
      negatives; −1 for keys that do not count.
    temperatures: τ_r of each of the R ranks, increasing.
    form: 'out' or 'in', where the sum over the positives of a rank stands.

  Returns:
    Scalar, at least 0. A query without keys of a rank leaves that rank's mean.

  Raises:
    ValueError: the shapes do not fit, or an unknown form.

  References:
    Hoffmann et al., Ranking info noise contrastive estimation: boosting
    contrastive learning via ranked positives,
    https://arxiv.org/abs/2201.11736, 2022. The official code:
    boschresearch/rince, losses.py.

  Deviations:
    The official code divides by the number of ranks, takes the mean of 'out'
    over all pairs of a query and a positive, and drops shares below 1e-7.

  >>> q, k = jnp.eye(2)[:1], jnp.eye(2)
  >>> r = jnp.array([[0, 1]])
  >>> round(float(ranking_info_nce(q, k, r, temperatures=(1.0,))), 4)
  0.3133
  """
  shapes.check(
    queries=(queries, 'B D'), keys=(keys, 'K D'), ranks=(ranks, 'B K')
  )
  if form not in ('out', 'in'):
    raise ValueError(f"form is {form!r}; expected 'out' or 'in'")
  cosines = distance.cosine(queries, keys)
  terms = [
    _one_rank(cosines / temperature, ranks == rank, ranks > rank, form)
    for rank, temperature in enumerate(temperatures)
  ]
  return sum(terms[1:], terms[0])


def _one_rank(logits, positives, below, form):
  """Mean loss of the queries that have positives of this rank."""
  below = masked_logsumexp(logits, below)
  if form == 'in':
    inside = masked_logsumexp(logits, positives, empty=0)
    losses = jax.nn.softplus(below - inside)
  else:
    losses = masked_mean(
      jax.nn.softplus(below[:, None] - logits), positives, axis=1
    )
  return masked_mean(losses, jnp.any(positives, 1))


def eqco(queries, keys, negatives, *, temperature=0.2, alpha=65536):
  """InfoNCE whose margin makes K negatives act like α of them (EqCo).

  mean_i −log e^{(s⁺−m)/τ} / (e^{(s⁺−m)/τ} + Σ_n e^{s_n/τ}), m = τ·log(α/K).

  Args:
    queries: [B, D], any scale; normalized here.
    keys: [B, D] positives, any scale; normalized here.
    negatives: [K, D] or [B, K, D] unit rows.
    temperature: τ, above 0.
    alpha: α, the number of negatives to be equivalent to.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Zhu et al., EqCo: equivalent rules for self-supervised contrastive
    learning, https://arxiv.org/abs/2010.01929, 2020.

  >>> q, n = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]])
  >>> round(float(eqco(q, q, n, temperature=1.0, alpha=2)), 4)  # as ntxent's
  0.5514
  """
  shapes.check(queries=(queries, 'B D'), keys=(keys, 'B D'))
  queries, keys = at_least_float32(queries, keys)
  queries, keys = distance.normalize(queries), distance.normalize(keys)
  negatives = negative_logits(queries, negatives) / temperature
  margin = math.log(alpha / negatives.shape[1])
  positive = jnp.sum(queries * keys, -1) / temperature - margin
  return jnp.mean(cross_entropy(positive, negatives))
