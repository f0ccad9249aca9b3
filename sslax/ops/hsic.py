"""The Hilbert-Schmidt independence criterion and its random features."""

import functools

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.distance import squared_distances
from sslax.ops.precision import at_least_float32


def gaussian_kernel(x, y, bandwidth):
  """exp(−‖x_i − y_j‖² / (2σ²)).

  Args:
    x: [B, D], any scale.
    y: [K, D], any scale.
    bandwidth: σ > 0; the HSIC bottleneck scales it with √D.

  Returns:
    [B, K] in [0, 1].

  Raises:
    ValueError: the numbers of features differ.
  """
  return jnp.exp(-squared_distances(x, y) / (2 * bandwidth**2))


def hsic(kernel_x, kernel_y):
  """Biased estimate tr(K H L H) / (B − 1)², H = I − 1/B.

  Args:
    kernel_x: [B, B] kernel of one variable at the samples, symmetric.
    kernel_y: [B, B] kernel of the other variable, symmetric; B ≥ 2.

  Returns:
    Scalar, at least 0 for positive kernels; 0 where either is constant.

  Raises:
    ValueError: the shapes differ.

  References:
    Gretton et al., Measuring statistical dependence with Hilbert-Schmidt norms,
    https://doi.org/10.1007/11564089_7, 2005.
  """
  size, kernel_x, kernel_y = _checked(kernel_x, kernel_y)
  return jnp.sum(_center(kernel_x) * _center(kernel_y)) / (size - 1) ** 2


def unbiased_hsic(kernel_x, kernel_y):
  """Unbiased estimate of HSIC; zero in expectation under independence.

  [tr(K̃L̃) + 1ᵀK̃1·1ᵀL̃1 / ((B−1)(B−2)) − 2/(B−2)·1ᵀK̃L̃1] / (B(B−3)), with K̃
  and L̃ the kernels without their diagonals.

  Args:
    kernel_x: [B, B] kernel of one variable at the samples, symmetric.
    kernel_y: [B, B] kernel of the other variable, symmetric; B ≥ 4.

  Returns:
    Scalar, of either sign.

  Raises:
    ValueError: the shapes differ.

  References:
    Song et al., Feature selection via dependence maximization,
    https://www.jmlr.org/papers/v13/song12a.html, 2012.
  """
  size, kernel_x, kernel_y = _checked(kernel_x, kernel_y)
  diagonal = jnp.eye(size, dtype=bool)
  kernel_x = jnp.where(diagonal, 0, kernel_x)
  kernel_y = jnp.where(diagonal, 0, kernel_y)
  sums = jnp.sum(kernel_x, 1), jnp.sum(kernel_y, 1)
  product = jnp.sum(sums[0]) * jnp.sum(sums[1])
  cross = jnp.sum(sums[0] * sums[1])
  total = jnp.sum(kernel_x * kernel_y) + product / ((size - 1) * (size - 2))
  return (total - 2 / (size - 2) * cross) / (size * (size - 3))


def normalized_hsic(kernel_x, kernel_y, eps=1e-5):
  """tr(K̃ L̃), K̃ = HKH (HKH + εB I)⁻¹: the same for any scale of the kernels.

  Args:
    kernel_x: [B, B] positive semi-definite kernel of one variable.
    kernel_y: [B, B] positive semi-definite kernel of the other.
    eps: ε > 0, relative to B.

  Returns:
    Scalar in [0, B).

  Raises:
    ValueError: the shapes differ.

  References:
    Ma et al., The HSIC bottleneck: deep learning without back-propagation,
    https://arxiv.org/abs/1908.01580, 2020.
  """
  _, kernel_x, kernel_y = _checked(kernel_x, kernel_y)
  return jnp.sum(ridge_share(kernel_x, eps) * ridge_share(kernel_y, eps))


def ridge_share(kernel, eps=1e-5):
  """K̃ of `normalized_hsic`, the share of each direction that a ridge leaves.

  HKH (HKH + εB I)⁻¹ = I − εB (HKH + εB I)⁻¹.

  Args:
    kernel: [B, B] positive semi-definite kernel.
    eps: ε > 0, relative to B.

  Returns:
    [B, B] with eigenvalues in [0, 1).
  """
  return _ridge_share(_center(kernel), eps * kernel.shape[0])


def random_fourier_features(x, frequencies, offsets):
  """√(2/K) cos(x W + b): features whose inner products estimate a kernel.

  Args:
    x: [B, D], any scale.
    frequencies: W [D, K], drawn from the kernel's spectrum: for the Gaussian
      kernel of bandwidth σ, N(0, 1) / σ.
    offsets: b [K], uniform in [0, 2π).

  Returns:
    [B, K].

  Raises:
    ValueError: the shapes do not fit.

  References:
    Rahimi & Recht, Random features for large-scale kernel machines,
    https://papers.nips.cc/paper/3182, 2007.
  """
  sizes = shapes.check(
    x=(x, 'B D'), frequencies=(frequencies, 'D K'), offsets=(offsets, 'K')
  )
  x, frequencies, offsets = at_least_float32(x, frequencies, offsets)
  phase = x @ frequencies + offsets[None, :]
  return (2 / sizes['K']) ** 0.5 * jnp.cos(phase)


def hsic_of_features(features_x, features_y):
  """Biased HSIC of the kernels ΦΦᵀ and ΨΨᵀ, ‖ΦᵀHΨ‖²_F / (B − 1)².

  Linear in B where `hsic` is quadratic.

  Args:
    features_x: Φ [B, K] features of one variable; B ≥ 2.
    features_y: Ψ [B, C] features of the other, one-hot labels for instance.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the numbers of rows differ.
  """
  sizes = shapes.check(
    features_x=(features_x, 'B K'), features_y=(features_y, 'B C')
  )
  features_x, features_y = at_least_float32(features_x, features_y)
  centered = features_x - jnp.mean(features_x, 0, keepdims=True)
  covariance = centered.T @ features_y / (sizes['B'] - 1)
  return jnp.sum(covariance * covariance)


def _checked(kernel_x, kernel_y):
  sizes = shapes.check(kernel_x=(kernel_x, 'B B'), kernel_y=(kernel_y, 'B B'))
  return sizes['B'], *at_least_float32(kernel_x, kernel_y)


def _center(kernel):
  kernel = kernel - jnp.mean(kernel, 0, keepdims=True)
  return kernel - jnp.mean(kernel, 1, keepdims=True)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _ridge_share(kernel, ridge):
  identity = jnp.eye(kernel.shape[0], dtype=kernel.dtype)
  return identity - ridge * _regular_inverse(kernel, ridge)


@_ridge_share.defjvp
def _ridge_share_jvp(ridge, primals, tangents):
  # The derivative needs the inverse that the value has already.
  (kernel,), (change,) = primals, tangents
  inverse = _regular_inverse(kernel, ridge)
  identity = jnp.eye(kernel.shape[0], dtype=kernel.dtype)
  return identity - ridge * inverse, ridge * inverse @ change @ inverse


def _regular_inverse(kernel, ridge):
  """(K + rI)⁻¹ of a positive semi-definite kernel."""
  identity = jnp.eye(kernel.shape[0], dtype=kernel.dtype)
  regular = kernel + ridge * identity
  return jax.scipy.linalg.solve(regular, identity, assume_a='pos')
