"""A memory bank with one feature row for each example of the data set."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.distance import normalize
from sslax.ops.precision import at_least_float32


def padded(num_examples, multiple=1024):
  """Number of rows of a bank that many devices can share equally.

  Args:
    num_examples: N; the rows after the first N belong to nobody, and are not
      to be drawn.
    multiple: what the number of rows is a multiple of.

  >>> padded(50_000), padded(1024)
  (50176, 1024)
  """
  return -(-num_examples // multiple) * multiple


def init(rng, num_rows, dim, dtype=jnp.float32):
  """Fills a bank with random unit vectors.

  Args:
    rng: a JAX key.
    num_rows: the number of examples N, or `padded` of it.
    dim: D.
    dtype: of the rows.

  Returns:
    [N, D] unit rows.

  >>> init(jax.random.key(0), 4, 2).shape
  (4, 2)
  """
  rows = jax.random.normal(rng, (num_rows, dim), jnp.float32)
  return normalize(rows).astype(dtype)


def update(bank, indices, features, momentum):
  """Moves the rows of a batch towards its features and normalizes them.

  v_i ← norm(momentum · v_i + (1 − momentum) · f_i).

  For the improved memory bank of Bulat et al. give the mean of an example's
  features over its augmentations.

  Args:
    bank: [N, D].
    indices: [B] the examples' places in the bank; of a repeated one the last
      feature counts.
    features: [B, D], any scale; no gradient flows into a bank.
    momentum: share of the old row that is kept, in [0, 1].

  Returns:
    The new bank, [N, D].

  Raises:
    ValueError: the shapes do not fit.

  References:
    Wu et al., Unsupervised feature learning via non-parametric instance
    discrimination, https://arxiv.org/abs/1805.01978, 2018.
    Bulat et al., Improving memory banks for unsupervised learning with large
    mini-batch, consistency and hard negative mining,
    https://arxiv.org/abs/2102.04442, 2021.

  >>> bank = jnp.array([[1.0, 0.0], [0.0, 1.0]])
  >>> update(bank, jnp.array([0]), jnp.array([[-3.0, 4.0]]), 0.75).tolist()
  [[0.0, 1.0], [0.0, 1.0]]
  """
  sizes = shapes.check(
    bank=(bank, 'N D'), indices=(indices, 'B'), features=(features, 'B D')
  )
  old, new = at_least_float32(bank[indices], jax.lax.stop_gradient(features))
  rows = normalize(momentum * old + (1 - momentum) * new)
  places = jnp.where(_is_last(indices), indices, sizes['N'])
  return bank.at[places].set(rows.astype(bank.dtype), mode='drop')


def _is_last(indices):
  """[B] True where no later entry is the same, so that a scatter is unique."""
  same = indices[:, None] == indices[None, :]
  return ~jnp.any(jnp.triu(same, 1), axis=1)


def scores(bank, indices, features, temperature):
  """Logits v_j·f_i / temperature of the bank's rows that were drawn.

  Args:
    bank: [N, D]; no gradient flows into it.
    indices: [B, M] the rows to compare with, by convention the positive first.
    features: [B, D].
    temperature: above 0.

  Returns:
    [B, M], in at least float32.

  Raises:
    ValueError: the shapes do not fit.

  >>> bank = jnp.array([[1.0, 0.0], [0.0, 1.0]])
  >>> scores(bank, jnp.array([[1, 0]]), jnp.array([[0.0, 1.0]]), 0.5).tolist()
  [[2.0, 0.0]]
  """
  shapes.check(
    bank=(bank, 'N D'), indices=(indices, 'B M'), features=(features, 'B D')
  )
  rows, features = at_least_float32(
    jax.lax.stop_gradient(bank)[indices], features
  )
  return jnp.einsum('bmd,bd->bm', rows, features) / temperature


def normalizer(logits, num_rows):
  """Monte Carlo estimate of Z = Σ_j exp(v_j·f / temperature).

  N times the mean of exp over the drawn rows, to be set once from the first
  batch and then held.

  Args:
    logits: [B, M], as `scores` gives them.
    num_rows: N, the size of the bank.

  Returns:
    Scalar; no gradient flows through it.

  References:
    Wu et al., Unsupervised feature learning via non-parametric instance
    discrimination, https://arxiv.org/abs/1805.01978, 2018.

  >>> float(normalizer(jnp.zeros((1, 2)), 10))
  10.0
  """
  logits = at_least_float32(jax.lax.stop_gradient(logits))
  return jnp.mean(jnp.exp(logits)) * num_rows
