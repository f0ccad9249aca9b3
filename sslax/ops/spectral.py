"""Closed-form embeddings by eigenvectors: PCA, CCA, MDS, LLE, Laplacian maps.

They serve as oracles of what losses reach on free or linear embeddings, and as
baselines. An eigenvector's sign is fixed so that its entry of largest
magnitude is positive.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.distance import squared_distances
from sslax.ops.precision import at_least_float32


class Pca(NamedTuple):
  """Principal components of a data set."""

  mean: jax.Array  # [D]
  components: jax.Array  # [K, D], orthonormal rows, by falling variance
  variances: jax.Array  # [K], with divisor B - 1


class Cca(NamedTuple):
  """Canonical directions of two data sets."""

  projection_x: jax.Array  # [D, K]
  projection_y: jax.Array  # [C, K]
  correlations: jax.Array  # [K], falling, in [0, 1]


def pca(x, num_components):
  """Principal component analysis: top eigenvectors of the covariance.

  Args:
    x: [B, D], any scale; centered here.
    num_components: K, at most D.

  Returns:
    Pca; transform by `(x − mean) @ components.T`.

  Raises:
    ValueError: x is not a matrix.
  """
  sizes = shapes.check(x=(x, 'B D'))
  x = at_least_float32(x)
  mean = jnp.mean(x, 0)
  centered = x - mean[None, :]
  values, vectors = jnp.linalg.eigh(centered.T @ centered / (sizes['B'] - 1))
  components = _fix_signs(vectors[:, ::-1][:, :num_components]).T
  return Pca(mean, components, values[::-1][:num_components])


def cca(x, y, num_components, eps=1e-6):
  """Canonical correlation analysis in closed form.

  The singular vectors of Σ11^{−½} Σ12 Σ22^{−½} give directions a_k, b_k whose
  projections of x and y have unit variance and the largest correlations.

  Args:
    x: [B, D], any scale; centered here.
    y: [B, C], any scale; centered here.
    num_components: K, at most min(D, C).
    eps: added to both covariances, relative to their mean variance.

  Returns:
    Cca.

  Raises:
    ValueError: the numbers of rows differ.
  """
  shapes.check(x=(x, 'B D'), y=(y, 'B C'))
  factor_x, factor_y, correlation = whitened_correlation(x, y, eps)
  u, s, vt = jnp.linalg.svd(correlation, full_matrices=False)

  def back(factor, directions):
    return jax.scipy.linalg.solve_triangular(
      factor.T, directions[:, :num_components], lower=False
    )

  return Cca(back(factor_x, u), back(factor_y, vt.T), s[:num_components])


def whitened_correlation(x, y, eps):
  """L1⁻¹ Σ12 L2⁻ᵀ with the Cholesky factors of Σ11 and Σ22.

  Its singular values are those of Σ11^{−½} Σ12 Σ22^{−½}: the canonical
  correlations.

  Args:
    x: [B, D], any scale; centered here.
    y: [B, C], any scale; centered here.
    eps: added to both covariances, relative to their mean variance.

  Returns:
    (L1 [D, D], L2 [C, C], L1⁻¹ Σ12 L2⁻ᵀ [D, C]).
  """
  x, y = at_least_float32(x, y)
  x, y = (z - jnp.mean(z, 0, keepdims=True) for z in (x, y))

  def factor(z):
    covariance = z.T @ z / z.shape[0]
    jitter = eps * jnp.trace(covariance) / z.shape[1] + 1e-12
    identity = jnp.eye(z.shape[1], dtype=z.dtype)
    return jnp.linalg.cholesky(covariance + jitter * identity)

  factor_x, factor_y = factor(x), factor(y)
  solve = jax.scipy.linalg.solve_triangular
  left = solve(factor_x, x.T @ y / x.shape[0], lower=True)
  return factor_x, factor_y, solve(factor_y, left.T, lower=True).T


def mds(squared_distances, num_components):
  """Classical multidimensional scaling.

  Top eigenvectors of −½ H D² H, each scaled by the root of its eigenvalue, so
  that Euclidean distances between the rows are the given ones.

  Args:
    squared_distances: [B, B] squared distances, symmetric.
    num_components: K, at most B.

  Returns:
    [B, K], centered.

  Raises:
    ValueError: squared_distances is not square.

  References:
    Torgerson, Multidimensional scaling: I. Theory and method,
    https://doi.org/10.1007/BF02288916, 1952.
  """
  shapes.check(squared_distances=(squared_distances, 'B B'))
  d = at_least_float32(squared_distances)
  d = d - jnp.mean(d, 0, keepdims=True)
  gram = -0.5 * (d - jnp.mean(d, 1, keepdims=True))
  values, vectors = jnp.linalg.eigh(gram)
  scale = jnp.sqrt(jnp.maximum(values[::-1][:num_components], 0))
  return _fix_signs(vectors[:, ::-1][:, :num_components]) * scale[None, :]


def laplacian_eigenmaps(weights, num_components):
  """Smallest nontrivial solutions of L v = λ D v of a graph.

  L = D − W with the degrees D. The constant solution of a connected graph is
  left out.

  Args:
    weights: W [B, B], symmetric, at least 0; every degree positive.
    num_components: K, below B.

  Returns:
    ([B, K] solutions with vᵀDv = 1, [K] eigenvalues rising in [0, 2]).

  Raises:
    ValueError: weights is not square.

  References:
    Belkin & Niyogi, Laplacian eigenmaps for dimensionality reduction and data
    representation, https://doi.org/10.1162/089976603321780317, 2003.
  """
  sizes = shapes.check(weights=(weights, 'B B'))
  weights = at_least_float32(weights)
  root = 1 / jnp.sqrt(jnp.sum(weights, 1))
  normalized = root[:, None] * weights * root[None, :]
  identity = jnp.eye(sizes['B'], dtype=weights.dtype)
  values, vectors = jnp.linalg.eigh(identity - normalized)
  chosen = slice(1, 1 + num_components)
  return _fix_signs(root[:, None] * vectors[:, chosen]), values[chosen]


def lle(x, num_components, num_neighbors, regularization=1e-3):
  """Locally linear embedding: keep how each point is made of its neighbors.

  Weights w_i minimize ‖x_i − Σ_j w_ij x_j‖² with Σ_j w_ij = 1 over the nearest
  neighbors; the embedding is the bottom eigenvectors of (I − W)ᵀ(I − W) but
  the constant one.

  Args:
    x: [B, D], any scale.
    num_components: K, below B.
    num_neighbors: neighbors of each point, below B.
    regularization: added to the local covariance, relative to its trace.

  Returns:
    [B, K], orthonormal columns.

  Raises:
    ValueError: x is not a matrix.

  References:
    Roweis & Saul, Nonlinear dimensionality reduction by locally linear
    embedding, https://doi.org/10.1126/science.290.5500.2323, 2000.
  """
  size = shapes.check(x=(x, 'B D'))['B']
  x = at_least_float32(x)
  far = jnp.where(jnp.eye(size, dtype=bool), jnp.inf, squared_distances(x, x))
  neighbors = jnp.argsort(far, axis=1)[:, :num_neighbors]

  def row(i):
    gaps = x[neighbors[i]] - x[i][None, :]
    gram = gaps @ gaps.T
    ridge = regularization * jnp.trace(gram)
    gram = gram + ridge * jnp.eye(num_neighbors, dtype=x.dtype)
    weights = jnp.linalg.solve(gram, jnp.ones(num_neighbors, x.dtype))
    weights = weights / jnp.sum(weights)
    return jnp.zeros(size, x.dtype).at[neighbors[i]].set(weights)

  residual = jnp.eye(size, dtype=x.dtype) - jax.vmap(row)(jnp.arange(size))
  _, vectors = jnp.linalg.eigh(residual.T @ residual)
  return _fix_signs(vectors[:, 1 : 1 + num_components])


def stein_score(samples, share=0.99):
  """Spectral Stein estimate of ∇ log q at samples of an unknown density q.

  ∇ log q(x) ≈ Σ_j β_j ψ_j(x), with the eigenfunctions ψ_j of a Gaussian kernel
  by the Nyström method and β_j = −mean_i ∇ψ_j(x_i). The kernel's bandwidth is
  the median distance of the samples.

  Args:
    samples: [B, D], any scale.
    share: of the kernel's trace that the used eigenfunctions hold, in (0, 1].

  Returns:
    [B, D], the score at each sample.

  Raises:
    ValueError: samples is not a matrix.

  References:
    Shi et al., A spectral approach to gradient estimation for implicit
    distributions, https://arxiv.org/abs/1806.02925, 2018.
  """
  size = shapes.check(samples=(samples, 'B D'))['B']
  samples = at_least_float32(samples)
  squared = squared_distances(samples, samples)
  width = _median(squared)
  width = jnp.where(width > 0, width, 1)
  kernel = jnp.exp(-squared / (2 * width))
  values, vectors = jnp.linalg.eigh(kernel)
  before = jnp.cumsum(values[::-1])[::-1] - values  # trace of larger ones
  used = before < share * size
  inverse = jnp.where(used, 1 / jnp.where(used, values, 1), 0)
  # Σ_i of the kernel's gradient in x_i, for each other sample.
  slopes = jnp.sum(kernel, 1)[:, None] * samples - kernel @ samples
  beta = -inverse[:, None] * (vectors.T @ slopes) / (width * size**0.5)
  return size**0.5 * vectors @ beta


def _median(x):
  """Median of an array of numbers of at least 0, without sorting it.

  Such numbers are ordered as their bits are, so that halving the range of
  bits finds the middle in a pass a bit.
  """
  kind = {4: jnp.int32, 8: jnp.int64}[x.dtype.itemsize]
  bits = jax.lax.bitcast_convert_type(x, kind)
  below = (x.size - 1) // 2  # the lower middle has that many before it

  def halve(_, bounds):
    low, high = bounds
    middle = low + (high - low) // 2
    enough = jnp.sum(bits <= middle) > below
    return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

  bounds = jnp.zeros((), kind), jnp.max(bits)
  low, _ = jax.lax.fori_loop(0, 8 * x.dtype.itemsize - 1, halve, bounds)
  more = jnp.where(bits > low, bits, jnp.iinfo(kind).max)
  enough = jnp.sum(bits <= low) > x.size // 2
  middle = jnp.stack([low, jnp.where(enough, low, jnp.min(more))])
  return jnp.mean(jax.lax.bitcast_convert_type(middle, x.dtype))


def _fix_signs(vectors):
  largest = jnp.argmax(jnp.abs(vectors), axis=0)
  picked = jnp.take_along_axis(vectors, largest[None, :], axis=0)
  return vectors * jnp.where(picked < 0, -1, 1).astype(vectors.dtype)
