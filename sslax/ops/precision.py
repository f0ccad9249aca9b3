"""Losses, Sinkhorn, whitening and covariances run in at least float32."""

import jax
import jax.numpy as jnp


def at_least_float32(*arrays):
  """Raises floating-point arrays to one dtype, float32 or wider.

  bfloat16 and float16 rise to float32, float64 stays; where one argument is
  float64 all are. Integers and booleans become that float type too.

  Args:
    *arrays: arrays or numbers of any shape.

  Returns:
    The array, or a tuple of them, in one floating dtype.
  """
  arrays = [jnp.asarray(a) for a in arrays]
  floats = [a.dtype for a in arrays if jnp.issubdtype(a.dtype, jnp.floating)]
  with jax.numpy_dtype_promotion('standard'):
    dtype = jnp.result_type(jnp.float32, *floats)
  raised = tuple(a.astype(dtype) for a in arrays)
  return raised if len(raised) > 1 else raised[0]
