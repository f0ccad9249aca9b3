"""Scores of views of labeled images with each other, in blocks."""

import jax
import jax.numpy as jnp

from sslax.ops import pair_sums


def supcon_terms(features, labels, form, contrast_mode):
  """Terms of `sslax.losses.supcon`, without the matrix of all pairs.

  Args:
    features: [B, V, D], whose products are the logits.
    labels: [B] int, or None where each image is a class of its own.
    form: 'out' or 'in'.
    contrast_mode: 'all' or 'one'.

  Returns:
    losses: [B, V], or [B, 1] where the first views are the anchors; zero
      where an anchor has no positive.
    some: of the same shape, whether there is a positive.
  """
  num, num_views, _ = features.shape
  anchors = features[:, :1] if contrast_mode == 'one' else features
  first, size = _classes(jnp.arange(num) if labels is None else labels)
  count = (size * num_views - 1).astype(features.dtype)[:, None]
  total = _anchor_logsumexp(features, contrast_mode)
  if form == 'in':
    inside = _anchor_logsumexp(features, contrast_mode, first)
    losses = total - inside + jnp.log(jnp.maximum(count, 1))
  else:  # the positives' scores sum to one product with the sum of their class
    sums = jax.ops.segment_sum(jnp.sum(features, 1), first, num)[first]
    summed = jnp.sum(anchors * (sums[:, None] - anchors), -1)
    losses = total - summed / jnp.maximum(count, 1)
  some = jnp.broadcast_to(count > 0, losses.shape)
  return jnp.where(some, losses, jnp.zeros_like(losses)), some


def _anchor_logsumexp(features, contrast_mode, groups=None):
  """[B, V or 1] over all views but the anchor itself, or those of its group."""
  num, num_views, dim = features.shape
  keys = features.reshape(-1, dim)
  ids = jnp.arange(num * num_views, dtype=jnp.int32)
  key_groups = None if groups is None else jnp.repeat(groups, num_views)
  if contrast_mode == 'all':
    total = pair_sums.logsumexp_within(keys, ids, groups=key_groups)
  else:
    first = ids.reshape(num, num_views)[:, 0]
    total = pair_sums.logsumexp(
      features[:, 0], keys, first, ids, groups=groups, key_groups=key_groups
    )
  return total.reshape(num, -1)


def _classes(labels):
  """First place of each label among the sorted, and how many are equal."""
  ordered = jnp.sort(labels)
  first = jnp.searchsorted(ordered, labels)
  return first, jnp.searchsorted(ordered, labels, side='right') - first
