"""UniCLR: contrast by the affinity matrix of two views, plain or whitened."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import info_nce
from sslax.ops import whitening
from sslax.ops.distance import cosine, normalize, safe_norm
from sslax.ops.precision import at_least_float32

__all__ = ['sim_affinity', 'sim_trace', 'sim_whitening']


def sim_affinity(z1, z2, *, temperature=0.1, symmetry_weight=0.01):
  """Cross-entropy of the affinity matrix's rows, which is kept symmetric.

  −mean_i log softmax_j(A_ij)_i + γ·‖A − Aᵀ‖_F with A = Z̄1 Z̄2ᵀ / τ on unit
  rows. One direction; the method adds both.

  Args:
    z1: [B, D], any scale; normalized here.
    z2: [B, D], any scale; normalized here.
    temperature: τ, above 0.
    symmetry_weight: γ.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Li et al., A unified framework for contrastive learning from a perspective
    of affinity matrix, https://arxiv.org/abs/2211.14516, 2022. The official
    code: WenbinLee/UniCLR_built_on_MoCov3, builder.py.

  >>> import numpy as np
  >>> round(float(sim_affinity(np.eye(2), np.eye(2), temperature=1.0)), 4)
  0.3133
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  z1, z2 = at_least_float32(z1, z2)
  contrast = info_nce(z1, z2, temperature=temperature)
  # Two products: to transpose one would cost more.
  asymmetry = (cosine(z1, z2) - cosine(z2, z1)) / temperature
  return contrast + symmetry_weight * safe_norm(jnp.ravel(asymmetry))


def sim_whitening(z1, z2, *, temperature=0.1, symmetry_weight=0.01, eps=0.01):
  """`sim_affinity` of the jointly whitened views.

  Both views are centered and ZCA-whitened by the mean and the covariance of
  all 2B unit rows, Σ + ε·I, constants for the gradient, then normalized.

  Args:
    z1: [B, D], any scale; normalized here.
    z2: [B, D], any scale; normalized here.
    temperature: τ, above 0.
    symmetry_weight: γ.
    eps: ε, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Li et al., A unified framework for contrastive learning from a perspective
    of affinity matrix, https://arxiv.org/abs/2211.14516, 2022. The official
    code: WenbinLee/UniCLR_built_on_MoCov3, builder.py, cal_affinity.

  Deviations:
    The official code whitens by a Cholesky factor in one of its variants and
    by Σ⁻¹ on one side in another.

  >>> import numpy as np
  >>> z = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
  >>> round(float(sim_whitening(z, z, temperature=1.0)), 4)
  0.6265
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  z1, z2 = (normalize(z) for z in at_least_float32(z1, z2))
  moments = _joint_statistics(z1, z2, eps)
  white = [whitening.apply(z, moments, kind='zca') for z in (z1, z2)]
  return sim_affinity(
    *white, temperature=temperature, symmetry_weight=symmetry_weight
  )


def sim_trace(z1, z2, *, eps=0.01):
  """Mean whitened product of positives, maximized: no negatives, no head.

  −tr(Z̃1 Σ⁻¹ Z̃2ᵀ) / B with Z̃ the unit rows minus their joint mean and Σ their
  joint covariance plus ε·I, both constants for the gradient.

  Args:
    z1: [B, D], any scale; normalized here.
    z2: [B, D], any scale; normalized here.
    eps: ε, above 0.

  Returns:
    Scalar, at least −D.

  Raises:
    ValueError: the shapes differ.

  References:
    Li et al., A unified framework for contrastive learning from a perspective
    of affinity matrix, https://arxiv.org/abs/2211.14516, 2022. The official
    code: WenbinLee/UniCLR_built_on_MoCov3, builder.py, simtrace_loss.

  >>> import numpy as np
  >>> z = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
  >>> round(float(sim_trace(z, z)), 3)
  -1.72
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  z1, z2 = (normalize(z) for z in at_least_float32(z1, z2))
  mean, covariance = _joint_statistics(z1, z2, eps)
  centered1, centered2 = z1 - mean[None, :], z2 - mean[None, :]
  whitened = jnp.linalg.solve(covariance, centered2.T).T
  return -jnp.mean(jnp.sum(centered1 * whitened, -1))


def _joint_statistics(z1, z2, eps):
  mean, covariance = whitening.statistics(jnp.concatenate([z1, z2]))
  identity = jnp.eye(len(covariance), dtype=covariance.dtype)
  moments = whitening.Statistics(mean, covariance + eps * identity)
  return jax.lax.stop_gradient(moments)
