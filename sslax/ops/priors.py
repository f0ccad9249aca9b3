"""Samples of the priors that embeddings can be matched to."""

import jax
import jax.numpy as jnp

from sslax.ops.distance import normalize


def draw(rng, shape, kind='sphere', dtype=jnp.float32):
  """Draws embeddings for `losses.sliced_wasserstein`.

  Args:
    rng: a JAX key.
    shape: (B, D).
    kind: 'sphere', uniform on the unit sphere; 'cube', uniform in [−1, 1]^D;
      or 'normal', of unit variance.
    dtype: of the samples.

  Returns:
    [B, D].

  Raises:
    ValueError: an unknown kind.

  References:
    Chen et al., Intriguing properties of contrastive losses,
    https://arxiv.org/abs/2011.02803, 2020.

  >>> x = draw(jax.random.key(0), (2, 3))
  >>> [round(norm, 4) for norm in jnp.linalg.norm(x, axis=1).tolist()]
  [1.0, 1.0]
  """
  if kind == 'cube':
    return jax.random.uniform(rng, shape, dtype, -1, 1)
  if kind not in ('sphere', 'normal'):
    raise ValueError(f"kind is {kind!r}; expected 'sphere', 'cube' or 'normal'")
  x = jax.random.normal(rng, shape, dtype)
  return normalize(x) if kind == 'sphere' else x


def directions(rng, dim, num, dtype=jnp.float32):
  """Draws unit columns to project on.

  Args:
    rng: a JAX key.
    dim: D.
    num: P.
    dtype: of the directions.

  Returns:
    [D, P].
  """
  return normalize(jax.random.normal(rng, (dim, num), dtype), axis=0)
