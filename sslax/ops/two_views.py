"""Scores of the embeddings of two views with each other."""

import jax.numpy as jnp

from sslax import shapes
from sslax.ops import distance, pair_sums
from sslax.ops.masked import masked_logsumexp
from sslax.ops.precision import at_least_float32


def two_view_sums(z1, z2, temperature, normalize=True):
  """Logits of the positives, and log of the sum over the negatives.

  Args:
    z1: [B, D].
    z2: [B, D].
    temperature: above 0.
    normalize: whether rows are brought to unit norm.

  Returns:
    positive: [B] logit of the two views of each image with each other.
    negatives: [2, B] log of the sum of exp of each view's logits with the
      2B − 2 views of other images.

  Raises:
    ValueError: the shapes differ.
  """
  num = shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))['B']
  z1, z2 = at_least_float32(z1, z2)
  if normalize:
    z1, z2 = distance.normalize(z1), distance.normalize(z2)
  positive = jnp.sum(z1 * z2, -1) / temperature
  if not pair_sums.too_many(2 * num, 2 * num, z1):
    _, blocks = two_view_logits(z1, z2, temperature, normalize=False)
    return positive, jnp.stack(_of_each_view(blocks))
  # Row by row, so that no row has to move to another device.
  z = jnp.stack([z1, z2], 1) * (1 / temperature) ** 0.5
  image = jnp.repeat(jnp.arange(num, dtype=jnp.int32), 2)
  total = pair_sums.logsumexp_within(z.reshape(2 * num, -1), image)
  return positive, total.reshape(num, 2).T


def two_view_logits(z1, z2, temperature, normalize=True):
  """Logits of two views across and within, as three blocks of all pairs.

  Args:
    z1: [B, D].
    z2: [B, D].
    temperature: above 0.
    normalize: whether rows are brought to unit norm.

  Returns:
    positive: [2B] logit of each embedding with its other view.
    blocks: three [B, B]: z1 with z2, z1 with z1, z2 with z2. Off their
      diagonals stand the negatives, neither self nor the other view.

  Raises:
    ValueError: the shapes differ.
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  z1, z2 = at_least_float32(z1, z2)
  if normalize:
    z1, z2 = distance.normalize(z1), distance.normalize(z2)
  positive = jnp.sum(z1 * z2, -1) / temperature
  pairs = ((z1, z2), (z1, z1), (z2, z2))
  blocks = tuple(a @ b.T / temperature for a, b in pairs)
  return jnp.concatenate([positive, positive]), blocks


def two_view_logsumexp(blocks, scale=1.0):
  """Log of the sum over the 2B − 2 negatives of each of the 2B embeddings.

  Args:
    blocks: of `two_view_logits`.
    scale: multiplies the logits.

  Returns:
    [2B].
  """
  return jnp.concatenate(_of_each_view([scale * block for block in blocks]))


def _of_each_view(blocks):
  """Two arrays [B]: `two_view_logsumexp` of either view."""
  across, within1, within2 = blocks
  others = ~jnp.eye(across.shape[0], dtype=bool)
  to_other = [masked_logsumexp(across, others, axis) for axis in (1, 0)]
  to_own = [masked_logsumexp(block, others) for block in (within1, within2)]
  return list(map(jnp.logaddexp, to_other, to_own))
