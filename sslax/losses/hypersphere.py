"""Alignment of positives against the distribution of all embeddings."""

import math

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import distance, pair_sums
from sslax.ops.masked import masked_logsumexp
from sslax.ops.precision import at_least_float32

__all__ = [
  'align_uniform',
  'alignment',
  'distribution_logsumexp',
  'sliced_wasserstein',
  'spectral',
  'spectral_parts',
  'symmetric_affinity',
  'uniformity',
]


def alignment(x, y, *, alpha=2.0):
  """Expected distance of positive pairs, to the power α.

  ℓ_align = mean_i ‖x_i − y_i‖^α.

  Args:
    x: [B, D] unit rows.
    y: [B, D] unit rows; row i is the positive of row i of x.
    alpha: α, at least 1.

  Returns:
    Scalar in [0, 2^α].

  Raises:
    ValueError: the shapes differ.

  References:
    Wang & Isola, Understanding contrastive representation learning through
    alignment and uniformity on the hypersphere,
    https://arxiv.org/abs/2005.10242, 2020.

  >>> x, y = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]])
  >>> round(float(alignment(x, y)), 4)
  2.0
  """
  shapes.check(x=(x, 'B D'), y=(y, 'B D'))
  x, y = at_least_float32(x, y)
  if alpha == 2:
    return jnp.mean(jnp.sum((x - y) ** 2, -1))
  return jnp.mean(distance.safe_norm(x - y) ** alpha)


def uniformity(x, *, t=2.0):
  """Logarithm of the mean Gaussian potential over distinct pairs.

  ℓ_uniform = log mean_{i<j} e^{−t‖x_i − x_j‖²}.

  Args:
    x: [B, D] unit rows, B ≥ 2.
    t: above 0.

  Returns:
    Scalar in [−4t, 0].

  Raises:
    ValueError: x is not [B, D].

  References:
    Wang & Isola, Understanding contrastive representation learning through
    alignment and uniformity on the hypersphere,
    https://arxiv.org/abs/2005.10242, 2020.

  >>> round(float(uniformity(jnp.array([[1.0, 0.0], [-1.0, 0.0]]))), 4)
  -8.0
  """
  num = shapes.check(x=(x, 'B D'))['B']
  num_pairs = max(num * (num - 1) // 2, 1)
  x = at_least_float32(x)
  if pair_sums.too_many(num, num, x):
    ids = jnp.arange(num, dtype=jnp.int32)
    totals = pair_sums.logsumexp_within(
      x * t**0.5, ids, score=_minus_squared_distances
    )  # each pair is counted from both sides
    return jax.nn.logsumexp(totals) - math.log(2 * num_pairs)
  squared = distance.squared_distances(x, x)
  pairs = jnp.triu(jnp.ones((num, num), bool), 1)
  total = masked_logsumexp(-t * squared, pairs, axis=(0, 1))
  return total - math.log(num_pairs)


def _minus_squared_distances(x, y):
  return -distance.squared_distances(x, y)


def align_uniform(z1, z2, *, weight=1.0, alpha=2.0, t=2.0):
  """Alignment plus weighted uniformity of two views.

  ℓ_align(z1, z2) + λ·(ℓ_uniform(z1) + ℓ_uniform(z2)) / 2 on unit rows.

  Args:
    z1: [B, D] first views, any scale; normalized here; B ≥ 2.
    z2: [B, D] second views.
    weight: λ, at least 0.
    alpha: exponent of the alignment, at least 1.
    t: of the uniformity, above 0.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ.

  References:
    Wang & Isola, Understanding contrastive representation learning through
    alignment and uniformity on the hypersphere,
    https://arxiv.org/abs/2005.10242, 2020.

  >>> z = jnp.array([[3.0, 0.0], [-1.0, 0.0]])
  >>> round(float(align_uniform(z, z, weight=0.5)), 4)
  -4.0
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  z1, z2 = at_least_float32(z1, z2)
  z1, z2 = distance.normalize(z1), distance.normalize(z2)
  spread = uniformity(z1, t=t) + uniformity(z2, t=t)
  return alignment(z1, z2, alpha=alpha) + weight * spread / 2


def distribution_logsumexp(z1, z2, *, temperature=0.5, weight=1.0):
  """Generalized contrastive loss whose prior is set by log-sum-exp.

  −mean_i s(z1_i, z2_i) + λ·τ·mean_i log Σ_{k≠i} e^{s(z_i, z_k)/τ} over the 2B
  embeddings; λ = 1 is τ times NT-Xent.

  Args:
    z1: [B, D] first views, any scale; normalized here.
    z2: [B, D] second views.
    temperature: τ, above 0.
    weight: λ, at least 0.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ.

  References:
    Chen et al., Intriguing properties of contrastive losses,
    https://arxiv.org/abs/2011.02803, 2020.

  >>> z = jnp.array([[1.0, 0.0], [0.0, 1.0]])  # −1 + log(e + 2)
  >>> round(float(distribution_logsumexp(z, z, temperature=1.0)), 4)
  0.5514
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  z1, z2 = at_least_float32(z1, z2)
  z1, z2 = distance.normalize(z1), distance.normalize(z2)
  z = jnp.concatenate([z1, z2])
  others = ~jnp.eye(z.shape[0], dtype=bool)
  spread = masked_logsumexp(z @ z.T / temperature, others)
  similarity = jnp.sum(z1 * z2, -1)
  return weight * temperature * jnp.mean(spread) - jnp.mean(similarity)


def sliced_wasserstein(z, prior, directions):
  """Sliced Wasserstein distance of the embeddings to samples of a prior.

  mean over directions u and ranks i of (sort(z·u)_i − sort(prior·u)_i)².
  Added to an alignment loss, it shapes the embeddings without negatives.

  Args:
    z: [B, D] embeddings, on the scale of the prior.
    prior: [B, D] samples: uniform on the sphere, in a cube, or normal.
    directions: [D, P] unit columns, drawn anew each step.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Chen et al., Intriguing properties of contrastive losses,
    https://arxiv.org/abs/2011.02803, 2020.

  >>> z, prior = jnp.array([[0.0], [3.0]]), jnp.array([[2.0], [1.0]])
  >>> float(sliced_wasserstein(z, prior, jnp.ones((1, 1))))
  1.0
  """
  shapes.check(
    z=(z, 'B D'), prior=(prior, 'B D'), directions=(directions, 'D P')
  )
  z, prior, directions = at_least_float32(z, prior, directions)
  gap = jnp.sort(z @ directions, axis=0) - jnp.sort(prior @ directions, axis=0)
  return jnp.mean(gap * gap)


def spectral(z1, z2, *, mu=1.0):
  """Spectral contrastive loss.

  (−2·mean_i z1_i·z2_i + mean_{i≠j} (z1_i·z2_j)²) / μ, where rows longer than
  √μ are first brought to the length √μ.

  Args:
    z1: [B, D] first views, any scale; B ≥ 2.
    z2: [B, D] second views.
    mu: μ, the squared radius of the ball, above 0.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ.

  References:
    HaoChen et al., Provable guarantees for self-supervised deep learning with
    spectral contrastive loss, https://arxiv.org/abs/2106.04156, 2021, and its
    code, https://github.com/jhaochenz/spectral_contrastive_learning.

  Deviations:
    The paper's loss has no ball; this is the official code's form. A μ above
    every squared norm gives μ times this = the paper's loss.

  >>> z = jnp.array([[1.0, 0.0], [0.0, 1.0]])
  >>> float(spectral(z, z))
  -2.0
  """
  attraction, repulsion = spectral_parts(z1, z2, mu=mu)
  return attraction + repulsion


def spectral_parts(z1, z2, *, mu=1.0):
  """The two terms of the spectral contrastive loss, for logging.

  −2·mean_i z1_i·z2_i / μ and mean_{i≠j} (z1_i·z2_j)² / μ.

  Args:
    z1: [B, D] first views, any scale; B ≥ 2.
    z2: [B, D] second views.
    mu: μ, the squared radius of the ball, above 0.

  Returns:
    attraction: scalar in [−2, 2].
    repulsion: scalar in [0, μ].

  Raises:
    ValueError: the shapes differ.

  References:
    As `spectral`.

  >>> z = jnp.array([[1.0, 0.0], [1.0, 0.0]])
  >>> [float(part) for part in spectral_parts(z, z)]
  [-2.0, 1.0]
  """
  num = shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))['B']
  z1, z2 = at_least_float32(z1, z2)
  z1, z2 = _into_ball(z1, mu), _into_ball(z2, mu)
  attraction = -2 * jnp.mean(jnp.sum(z1 * z2, -1)) / mu
  total = _squared_products(z1, z2)
  return attraction, total / max(num * (num - 1), 1) / mu


def _squared_products(z1, z2):
  """Σ_{i≠j} (z1_i·z2_j)²."""
  num, dim = z1.shape
  if num > 2 * dim:  # Σ_ij is tr(Z1ᵀZ1 Z2ᵀZ2), at fewer products
    own = jnp.sum(jnp.sum(z1 * z2, -1) ** 2)
    return jnp.sum((z1.T @ z1) * (z2.T @ z2)) - own
  squared = (z1 @ z2.T) ** 2
  others = ~jnp.eye(num, dtype=bool)
  return jnp.sum(jnp.where(others, squared, jnp.zeros_like(squared)))


def _into_ball(z, mu):
  """Rows of squared norm at least mu brought to the norm √mu."""
  inside = jnp.sum(z * z, -1, keepdims=True) < mu
  return jnp.where(inside, z, distance.normalize(z) * math.sqrt(mu))


def symmetric_affinity(affinity):
  """Symmetric regularizer of a batch's affinity, for any two-view loss.

  ‖A − Aᵀ‖_F.

  Args:
    affinity: [B, B], row i of view 1 against column j of view 2.

  Returns:
    Scalar, at least 0; its gradient at a symmetric A is zero.

  Raises:
    ValueError: affinity is not square.

  References:
    Li et al., A unified framework for contrastive learning from a perspective
    of affinity matrix, https://arxiv.org/abs/2211.14516, 2022.

  >>> round(float(symmetric_affinity(jnp.array([[0.0, 1.0], [0.0, 0.0]]))), 4)
  1.4142
  """
  shapes.check(affinity=(affinity, 'B B'))
  affinity = at_least_float32(affinity)
  return distance.safe_norm((affinity - affinity.T).reshape(-1))
