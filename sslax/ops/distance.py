"""Norms, cosines and distances whose gradients are finite at zero."""

import jax.numpy as jnp

from sslax import shapes
from sslax.ops.precision import at_least_float32


def safe_norm(x, axis=-1, keepdims=False, ord=2):
  """Euclidean (or other p-) norm with gradient zero at the zero vector.

  Args:
    x: [..., D], any scale.
    axis: the axis to reduce.
    keepdims: keep the reduced axis with size 1.
    ord: p of the norm, at least 1.

  Returns:
    [...], the norm, in at least float32.
  """
  x = at_least_float32(x)
  is_zero = jnp.all(x == 0, axis=axis, keepdims=True)
  safe = jnp.where(is_zero, jnp.ones_like(x), x)
  if ord == 2:
    norm = jnp.sqrt(jnp.sum(safe * safe, axis=axis, keepdims=True))
  else:
    norm = jnp.sum(jnp.abs(safe) ** ord, axis=axis, keepdims=True) ** (1 / ord)
  norm = jnp.where(is_zero, jnp.zeros_like(norm), norm)
  return norm if keepdims else jnp.squeeze(norm, axis)


def normalize(x, axis=-1, eps=1e-12):
  """X / max(‖x‖, eps): unit vectors; the zero vector stays zero.

  Args:
    x: [..., D], any scale.
    axis: the axis whose vectors are normalized.
    eps: smallest divisor.

  Returns:
    Array of the shape of x, in at least float32.
  """
  x = at_least_float32(x)
  norm = safe_norm(x, axis=axis, keepdims=True)
  return x / jnp.maximum(norm, eps)


def cosine(x, y):
  """Cosine similarity of every row of x with every row of y.

  Args:
    x: [B, D], any scale; normalized here.
    y: [K, D], any scale; normalized here.

  Returns:
    [B, K] in [-1, 1].
  """
  shapes.check(x=(x, 'B D'), y=(y, 'K D'))
  x, y = at_least_float32(x, y)
  return normalize(x) @ normalize(y).T


def squared_distances(x, y):
  """‖x_i − y_j‖² for every pair, by the expansion ‖x‖² + ‖y‖² − 2x·y, ≥ 0.

  Args:
    x: [B, D], any scale.
    y: [K, D], any scale.

  Returns:
    [B, K].
  """
  shapes.check(x=(x, 'B D'), y=(y, 'K D'))
  x, y = at_least_float32(x, y)
  norms = jnp.sum(x * x, -1)[:, None] + jnp.sum(y * y, -1)[None, :]
  return jnp.maximum(norms - 2 * (x @ y.T), 0)


def distances(x, y):
  """‖x_i − y_j‖ for every pair; the gradient where two rows meet is zero.

  Args:
    x: [B, D], any scale.
    y: [K, D], any scale.

  Returns:
    [B, K].
  """
  squared = squared_distances(x, y)
  positive = squared > 0
  root = jnp.sqrt(jnp.where(positive, squared, jnp.ones_like(squared)))
  return jnp.where(positive, root, jnp.zeros_like(root))
