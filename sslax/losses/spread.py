"""Losses that spread embeddings by one statistic of the whole batch."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sslax import shapes
from sslax.ops.cross_entropy import of_views, stacked
from sslax.ops.distance import normalize, safe_norm
from sslax.ops.precision import at_least_float32

__all__ = [
  'FrequencyGrid',
  'coding_rate',
  'emp_ssl',
  'frequency_grid',
  'frossl',
  'koleo',
  'lejepa',
  'mmcr',
  'sigreg',
]


def koleo(x, *, norm=2, eps=1e-8, gap_eps=1e-8):
  """Kozachenko-Leonenko entropy: distances to the nearest neighbor.

  −mean_i log(ε + ‖x̄_i − x̄_nn(i) + δ‖_p), nn(i) the row of the largest cosine.

  Args:
    x: [B, D], any scale; normalized here; B at least 2.
    norm: p of the distance; neighbors are found by cosine for every p.
    eps: ε, also the smallest norm that is divided by.
    gap_eps: δ, added to every coordinate of the gap.

  Returns:
    Scalar; lower is more uniform.

  Raises:
    ValueError: the shape is wrong.

  References:
    Sablayrolles et al., Spreading vectors for similarity search,
    https://arxiv.org/abs/1806.03198, 2018. The official code:
    facebookresearch/dinov2, koleo_loss.py.

  Deviations:
    Both epsilons are DINOv2's code's; the paper has none.

  >>> import numpy as np
  >>> x = np.array([[1.0, 0.0], [-1.0, 0.0]])
  >>> round(float(koleo(x)), 4)
  -0.6931
  """
  shapes.check(x=(x, 'B D'))
  x = normalize(x, eps=eps)
  similarity = jax.lax.stop_gradient(x @ x.T)
  itself = jnp.eye(len(x), dtype=bool)
  similarity = jnp.where(itself, jnp.full_like(similarity, -2), similarity)
  gap = x - x[jnp.argmax(similarity, -1)] + gap_eps
  return -jnp.mean(jnp.log(safe_norm(gap, ord=norm) + eps))


def coding_rate(x, *, eps=0.2):
  """Total coding rate: the volume that the embeddings fill.

  ½ log det(I + D / (B ε) XᵀX).

  Args:
    x: [B, D], not normalized here.
    eps: ε, the squared distortion, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shape is wrong.

  References:
    Yu et al., Learning diverse and discriminative representations via the
    principle of maximal coding rate reduction,
    https://arxiv.org/abs/2006.08558, 2020.

  >>> import numpy as np
  >>> round(float(coding_rate(np.eye(2), eps=1.0)), 4)
  0.6931
  """
  shapes.check(x=(x, 'B D'))
  x = at_least_float32(x)
  num, dim = x.shape
  # The determinant of the smaller of the two Gram matrices is the same.
  gram = x.T @ x if num > dim else x @ x.T
  identity = jnp.eye(len(gram), dtype=x.dtype)
  return jnp.linalg.slogdet(identity + dim / (num * eps) * gram)[1] / 2


def emp_ssl(views, *, invariance_weight=200.0, rate_weight=1.0, eps=0.2):
  """Total coding rate of every patch view, and its closeness to the mean.

  −w·mean_v R(Z_v) − λ·mean_vi cos(z_vi, mean_u z_ui), R the `coding_rate`.

  Args:
    views: V views (patches) [B, D], unit rows expected; not normalized for
      the coding rate.
    invariance_weight: λ.
    rate_weight: w; lightly 1.6.0 adds the coding rate, that is w = −1.
    eps: ε of the coding rate.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ.

  References:
    Tong et al., EMP-SSL: towards self-supervised learning in one training
    epoch, https://arxiv.org/abs/2304.03977, 2023. The official code:
    tsb0601/EMP-SSL.

  >>> import numpy as np
  >>> z = np.eye(2)
  >>> round(float(emp_ssl((z, z), invariance_weight=1.0, eps=1.0)), 4)
  -1.6931
  """
  shapes.check(**of_views(views=(views, 'B D')))
  views = stacked(views)
  rate = jnp.mean(jax.vmap(lambda z: coding_rate(z, eps=eps))(views))
  mean = normalize(jnp.mean(views, 0, keepdims=True))
  similarity = jnp.mean(jnp.sum(normalize(views) * mean, -1))
  return -rate_weight * rate - invariance_weight * similarity


def frossl(views, *, invariance_weight=1.0):
  """Frobenius norm of every view's covariance, and its closeness to the mean.

  Σ_v log ‖Z_vᵀZ_v / tr‖²_F + w·V·Σ_v (1 / B) ‖Z_v − Z̄‖²_F, each feature of Z_v
  a unit vector over the batch.

  Args:
    views: V ≥ 2 views [B, D], any scale; features normalized here.
    invariance_weight: w.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ, or there is one view.

  References:
    Skean et al., FroSSL: Frobenius norm minimization for self-supervised
    learning, https://arxiv.org/abs/2310.02903, 2023.

  >>> import numpy as np
  >>> round(float(frossl((np.eye(2), np.eye(2)))), 4)
  -1.3863
  """
  shapes.check(**of_views(views=(views, 'B D')))
  if len(views) < 2:
    raise ValueError(f'views has {len(views)} view; expected at least 2')
  units = [normalize(at_least_float32(view), axis=0) for view in views]
  mean = sum(units) / len(units)
  num = len(units[0])
  regularization = sum(_log_relative_frobenius(z) for z in units)
  invariance = sum(jnp.sum((z - mean) ** 2) / num for z in units)
  return regularization + invariance_weight * len(units) * invariance


def _log_relative_frobenius(x):
  """Log of ‖XᵀX‖²_F / tr(XᵀX)², finite where X is zero."""
  num, dim = x.shape
  gram = x.T @ x if num > dim else x @ x.T
  trace = jnp.maximum(jnp.sum(x * x), 1e-6)
  return jnp.log(jnp.maximum(jnp.sum((gram / trace) ** 2), 1e-12))


def mmcr(embeddings, *, local_weight=0.005):
  """Nuclear norm of the centroids, maximized; of each manifold, minimized.

  −‖C‖_* + λ·mean_i ‖Z_i‖_*, Z_i [V, D] the views of one example and C [B, D]
  their means.

  Args:
    embeddings: [B, V, D], unit rows expected; not normalized here. With a
      momentum teacher, its views are further rows of V under stop-gradient.
    local_weight: λ, at least 0.

  Returns:
    Scalar.

  Raises:
    ValueError: the shape is wrong.

  References:
    Yerxa et al., Learning efficient coding of natural images with maximum
    manifold capacity representations, https://arxiv.org/abs/2303.03307, 2023.

  >>> import numpy as np
  >>> round(float(mmcr(np.eye(2)[:, None], local_weight=0.5)), 4)
  -1.5
  """
  shapes.check(embeddings=(embeddings, 'B V D'))
  embeddings = at_least_float32(embeddings)
  centroids = jnp.mean(embeddings, 1)
  singular = jnp.linalg.svd(centroids, compute_uv=False)
  local = jnp.linalg.svd(embeddings, compute_uv=False)
  return local_weight * jnp.sum(local) / len(embeddings) - jnp.sum(singular)


class FrequencyGrid(NamedTuple):
  """Where the characteristic functions are compared.

  Attributes:
    frequencies: [T].
    normal: [T] characteristic function of the standard normal there.
    weights: [T] of the trapezoidal rule, times the window `normal`.
  """

  frequencies: Any
  normal: Any
  weights: Any


def frequency_grid(
  *, num_knots=17, max_frequency=3.0, dtype=np.float32
) -> FrequencyGrid:
  """The grid of `sigreg` on [0, max_frequency], doubled for symmetry.

  Args:
    num_knots: at least 2.
    max_frequency: above 0.
    dtype: of the grid.

  Returns:
    `FrequencyGrid`.
  """
  frequencies = np.linspace(0, max_frequency, num_knots).astype(dtype)
  normal = np.exp(-(frequencies.astype(np.float64) ** 2) / 2).astype(dtype)
  spacing = max_frequency / (num_knots - 1)
  weights = np.full(num_knots, 2 * spacing, dtype)
  weights[[0, -1]] = spacing
  return FrequencyGrid(frequencies, normal, weights * normal)


def sigreg(x, directions, grid=None):
  """Sketched isotropic Gaussian regularization (Epps-Pulley statistic).

  mean over directions a of B ∫ |mean_i exp(i t aᵀx_i) − exp(−t²/2)|²
  exp(−t²/2) dt, by the trapezoidal rule.

  Args:
    x: [B, D], not normalized.
    directions: [D, K] unit columns, drawn anew every step.
    grid: `FrequencyGrid`; default 17 knots up to 3.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Balestriero and LeCun, LeJEPA: provable and scalable self-supervised
    learning without the heuristics, https://arxiv.org/abs/2511.08544, 2025.

  >>> import numpy as np
  >>> round(float(sigreg(np.zeros((4, 1)), np.ones((1, 1)))), 4)
  1.6082
  """
  shapes.check(x=(x, 'B D'), directions=(directions, 'D K'))
  x, directions = at_least_float32(x, directions)
  grid = grid or frequency_grid(dtype=x.dtype)
  frequencies, normal, weights = (jnp.asarray(a, x.dtype) for a in grid)
  phases = (x @ directions)[..., None] * frequencies[None, None, :]
  real = jnp.mean(jnp.cos(phases), 0) - normal[None, :]
  error = real**2 + jnp.mean(jnp.sin(phases), 0) ** 2
  return len(x) * jnp.mean(error @ weights)


def lejepa(
  views, directions, *, num_global=2, regularization_weight=0.05, grid=None
):
  """Closeness of all views to the global mean, and a Gaussian embedding.

  λ·mean_v SIGReg(Z_v) + (1 − λ)·mean_vij (z_vij − mean over global views)².

  Args:
    views: V views [B, D], the global ones first; not normalized.
    directions: [D, K] unit columns, drawn anew every step.
    num_global: number of global views.
    regularization_weight: λ in [0, 1].
    grid: `FrequencyGrid` of `sigreg`.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Balestriero and LeCun, LeJEPA: provable and scalable self-supervised
    learning without the heuristics, https://arxiv.org/abs/2511.08544, 2025.

  >>> import numpy as np
  >>> z, axis = np.ones((2, 1)), np.ones((1, 1))
  >>> float(lejepa((z, z), axis, regularization_weight=0.0))
  0.0
  """
  shapes.check(**of_views(views=(views, 'B D')), directions=(directions, 'D K'))
  views = stacked(views)
  center = jnp.mean(views[:num_global], 0, keepdims=True)
  invariance = jnp.mean((views - center) ** 2)
  gaussian = jnp.mean(
    jnp.stack([sigreg(view, directions, grid) for view in views])
  )
  weight = regularization_weight
  return weight * gaussian + (1 - weight) * invariance
