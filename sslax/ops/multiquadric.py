"""Random features of the inverse multiquadric kernel, and SSL-HSIC's sums."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy import special

from sslax.ops.distance import safe_norm
from sslax.ops.hsic import random_fourier_features
from sslax.ops.precision import at_least_float32


class RandomFeatures(NamedTuple):
  """Frequencies and phases of cosine features for a radial kernel.

  Attributes:
    directions: [K, D], any norm but zero.
    amplitudes: [K] length of each frequency.
    phases: [K] in [0, 2π).
  """

  directions: Any
  amplitudes: Any
  phases: Any


def draw(generator, num_features, dim):
  """Draws features of the inverse multiquadric kernel 1 / √(1 + ‖x − y‖²).

  The length r of a frequency has a density ∝ K_{(D−1)/2}(r)·r^{(D−1)/2}, which
  is tabled on 10,000 points up to 100, as in the official code.

  Args:
    generator: numpy Generator.
    num_features: K, the number of features.
    dim: D, the dimension of the embedding.

  Returns:
    `RandomFeatures` of float32 numpy arrays.

  References:
    The official code: google-deepmind/ssl_hsic, kernels.py.
  """
  lengths = np.linspace(1e-12, 100, 10_000)
  density = np.exp(_log_density(lengths, (dim - 1) / 2))
  amplitudes = generator.choice(
    lengths, size=num_features, p=density / density.sum()
  )
  return RandomFeatures(
    generator.normal(size=(num_features, dim)).astype(np.float32),
    amplitudes.astype(np.float32),
    generator.uniform(0, 2 * np.pi, num_features).astype(np.float32),
  )


def _log_density(lengths, order):
  """Log of K_order(r)·r^order up to a constant, its maximum 0."""
  # Near 0 the Bessel function overflows; its limit Γ(ν) / 2 (r / 2)^−ν stands
  # in.
  with np.errstate(divide='ignore', over='ignore'):
    log_bessel = np.log(special.kve(order, lengths)) - lengths
  limit = special.gammaln(order) - np.log(2) - order * np.log(lengths / 2)
  log_bessel = np.where(np.isfinite(log_bessel), log_bessel, limit)
  log_density = log_bessel + order * np.log(lengths)
  return log_density - log_density.max()


def transform(x, features, *, scale=1.0):
  """Random Fourier features √(2 / K)·cos(x·wᵀ / scale + phase).

  Args:
    x: [..., D].
    features: `RandomFeatures`.
    scale: length scale of the kernel.

  Returns:
    [..., K], whose inner products estimate the kernel.
  """
  x, directions, amplitudes, phases = at_least_float32(x, *features)
  unit = directions / safe_norm(directions, keepdims=True)
  rows = jnp.reshape(x / scale, (-1, x.shape[-1]))
  frequencies = (unit * amplitudes[:, None]).T
  mapped = random_fourier_features(rows, frequencies, phases)
  return jnp.reshape(mapped, (*x.shape[:-1], -1))


def hsic_with_identity(features):
  """HSIC of embeddings with the one-hot identity of their image.

  Σ_i ‖Σ_v φ_vi‖² / (B V (V − 1)) − ‖Σ_vi φ_vi‖² / (B V)².

  Args:
    features: [V, B, K] random features φ of V views.

  Returns:
    Scalar.
  """
  num_views, batch, _ = features.shape
  sums = jnp.sum(features, 0)
  mean = jnp.mean(sums, 0)
  # The equation's two sums nearly cancel; around the mean both are positive.
  spread = jnp.sum((sums - mean[None, :]) ** 2) / batch
  rest = jnp.sum(mean**2) / num_views
  return (spread + rest) / (num_views * (num_views - 1))


def hsic_with_itself(features1, features2):
  """HSIC(Z, Z) by two independent draws of random features.

  ‖Σ_vi (φ_vi − mean)(ψ_vi − mean)ᵀ‖²_F / (V B)².

  Args:
    features1: [V, B, K] features φ of the first draw.
    features2: [V, B, K] features ψ of the second draw.

  Returns:
    Scalar, at least 0.
  """
  num = features1.shape[0] * features1.shape[1]
  centered1 = features1 - jnp.mean(features1, (0, 1), keepdims=True)
  centered2 = features2 - jnp.mean(features2, (0, 1), keepdims=True)
  cross = jnp.einsum('vbi,vbj->ij', centered1, centered2)
  return jnp.sum(cross**2) / num**2
