"""Reductions over the entries that a mask keeps."""

import jax
import jax.numpy as jnp

from sslax.ops.precision import at_least_float32


def masked_logsumexp(x, keep, axis=-1, empty=None):
  """Log of the sum of exp over the kept entries.

  Args:
    x: [...] logits.
    keep: boolean array of the shape of x; True = counted.
    axis: the axis, or axes, to reduce.
    empty: the value where nothing is kept; by default a finite number so low
      that its exponential is zero.

  Returns:
    x without the axis, in at least float32. Entries that are not kept
    receive no gradient.
  """
  x = at_least_float32(x)
  lowest = float(jnp.finfo(x.dtype).min) / 4
  some = jnp.any(keep, axis)
  kept = jnp.where(keep, x, jnp.full_like(x, lowest))
  total = jax.nn.logsumexp(kept, axis)
  empty = lowest if empty is None else empty
  return jnp.where(some, total, jnp.full_like(total, empty))


def masked_mean(x, keep, axis=None):
  """Mean of the kept entries, and zero where nothing is kept.

  Args:
    x: [...].
    keep: boolean array of the shape of x; True = counted.
    axis: the axis, or axes, to reduce; by default all.

  Returns:
    The mean, in at least float32.
  """
  x = at_least_float32(x)
  count = jnp.sum(keep, axis, dtype=x.dtype)
  kept = jnp.where(keep, x, jnp.zeros_like(x))
  return jnp.sum(kept, axis) / jnp.maximum(count, 1)
