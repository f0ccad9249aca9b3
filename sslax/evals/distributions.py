"""How far the output distributions of a batch have collapsed."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.distance import normalize
from sslax.ops.precision import at_least_float32


def spread(probs):
  """How much distributions differ from each other.

  √(1 − ‖mean_i p̄_i‖²) with p̄ the unit vector along p: 0 where all are equal,
  be they uniform or decided; near 1 where no two agree. In the place of
  `diagnostics.embedding_std` it tells both collapses of self-distillation, at
  any number of prototypes.

  Args:
    probs: [B, K], not negative, any scale.

  Returns:
    Scalar in [0, 1].

  >>> round(float(spread(jnp.eye(4))), 3)
  0.866
  >>> float(spread(jnp.full((4, 4), 0.25)))
  0.0
  """
  shapes.check(probs=(probs, 'B K'))
  mean = jnp.mean(normalize(probs), 0)
  return jnp.sqrt(jnp.maximum(1 - jnp.sum(mean**2), 0))


def mean_entropy(probs):
  """Mean entropy of distributions, as a share of the uniform one's.

  −mean_i Σ_k p_ik log p_ik / log K.

  Args:
    probs: [B, K], rows of sum 1.

  Returns:
    Scalar in [0, 1]: 0 where all are decided, 1 where all are uniform.

  >>> float(mean_entropy(jnp.full((2, 4), 0.25)))
  1.0
  """
  shapes.check(probs=(probs, 'B K'))
  p = at_least_float32(probs)
  safe = jnp.where(p > 0, p, jnp.ones_like(p))
  uniform = jnp.log(jnp.asarray(p.shape[-1], p.dtype))
  return -jnp.mean(jnp.sum(p * jnp.log(safe), -1)) / uniform


def collapse_metrics(probs) -> dict[str, jax.Array]:
  """The scalars that a method logs of its teacher's distributions.

  Args:
    probs: [B, K], rows of sum 1.

  Returns:
    `embedding_std`, here the spread, and `teacher_entropy`.
  """
  return {
    'embedding_std': spread(probs),
    'teacher_entropy': mean_entropy(probs),
  }
