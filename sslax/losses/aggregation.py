"""Losses that gather an example's neighbors in a memory bank.

The bank is an input; `sslax.ops.memory_bank` updates it.
"""

import math

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import cross_entropy
from sslax.ops.masked import masked_logsumexp, masked_mean
from sslax.ops.precision import at_least_float32

__all__ = [
  'anchor_neighborhood',
  'bank_consistency',
  'improved_bank',
  'local_aggregation',
  'snca',
]


def _bank_logits(features, bank, temperature):
  """[B, N] similarities to every row; no gradient into the bank."""
  shapes.check(features=(features, 'B D'), bank=(bank, 'N D'))
  features, bank = at_least_float32(features, bank)
  return features @ jax.lax.stop_gradient(bank).T / temperature


def local_aggregation(
  features,
  bank,
  clusters,
  indices,
  *,
  num_background,
  temperature=0.07,
  eps=1e-7,
):
  """Local aggregation: close neighbors against background neighbors.

  mean_i −log (Σ_{j∈C_i∩B_i} e^{v_j·f_i/τ} / Σ_{j∈B_i} e^{v_j·f_i/τ} + ε), B_i
  the nearest bank rows, C_i the rows that share a cluster with i in any of H
  clusterings.

  Args:
    features: [B, D] unit rows.
    bank: [N, D] unit rows; no gradient.
    clusters: [H, N] int, the cluster of each row in each clustering.
    indices: [B] int, the examples' own rows.
    num_background: size of B_i, at most N.
    temperature: τ, above 0.
    eps: ε, above 0, bounds the loss where no close neighbor is in B_i.

  Returns:
    Scalar, at least 0 up to ε.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Zhuang et al., Local aggregation for unsupervised learning of visual
    embeddings, https://arxiv.org/abs/1903.12355, 2019.

  >>> f, bank = jnp.zeros((1, 2)), jnp.eye(2)
  >>> clusters, i = jnp.array([[0, 1]]), jnp.array([0])
  >>> loss = local_aggregation(f, bank, clusters, i, num_background=2)
  >>> round(float(loss), 4)
  0.6931
  """
  shapes.check(clusters=(clusters, 'H N'), indices=(indices, 'B'))
  logits = _bank_logits(features, bank, temperature)
  logits, rows = jax.lax.top_k(logits, num_background)
  own = clusters[:, indices]
  close = jnp.any(clusters[:, rows] == own[:, :, None], axis=0)
  share = masked_logsumexp(logits, close) - jax.nn.logsumexp(logits, axis=1)
  return -jnp.mean(jnp.logaddexp(share, math.log(eps)))


def anchor_neighborhood(features, bank, neighborhoods, *, temperature=0.1):
  """Anchor neighborhood discovery: a neighborhood is one class.

  mean_i −log Σ_{j∈N(i)} p_ij, p_ij = e^{v_j·f_i/τ} / Σ_k e^{v_k·f_i/τ}.

  Args:
    features: [B, D] unit rows.
    bank: [N, D] unit rows; no gradient.
    neighborhoods: [B, N] bool: the example's own row, and where its anchor is
      selected in this round also its neighbors.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Huang et al., Unsupervised deep learning by neighbourhood discovery,
    https://arxiv.org/abs/1904.11567, 2019.

  >>> f, near = jnp.zeros((1, 2)), jnp.array([[True, False]])
  >>> round(float(anchor_neighborhood(f, jnp.eye(2), near)), 4)
  0.6931
  """
  logits = _bank_logits(features, bank, temperature)
  shapes.check(logits=(logits, 'B N'), neighborhoods=(neighborhoods, 'B N'))
  inside = masked_logsumexp(logits, neighborhoods, empty=0)
  return jnp.mean(cross_entropy(inside, logits, ~neighborhoods))


def snca(features, bank, labels, bank_labels, indices, *, temperature=0.05):
  """Scalable neighborhood component analysis over a bank.

  mean_i −log Σ_{j≠i: y_j=y_i} e^{v_j·f_i/τ} / Σ_{j≠i} e^{v_j·f_i/τ}.

  Args:
    features: [B, D] unit rows.
    bank: [N, D] unit rows; no gradient.
    labels: [B] int.
    bank_labels: [N] int.
    indices: [B] int, the examples' own rows, which do not count.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0: the mean over examples with another of their class.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Wu et al., Improving generalization via scalable neighborhood component
    analysis, https://arxiv.org/abs/1808.04699, 2018.

  >>> f, y = jnp.zeros((1, 2)), jnp.array([0, 0, 1])
  >>> i = jnp.array([0])
  >>> round(float(snca(f, jnp.ones((3, 2)), y[:1], y, i)), 4)
  0.6931
  """
  logits = _bank_logits(features, bank, temperature)
  shapes.check(
    logits=(logits, 'B N'),
    labels=(labels, 'B'),
    bank_labels=(bank_labels, 'N'),
    indices=(indices, 'B'),
  )
  same = labels[:, None] == bank_labels[None, :]
  own = indices[:, None] == jnp.arange(bank.shape[0])[None, :]
  inside = masked_logsumexp(logits, same & ~own, empty=0)
  losses = cross_entropy(inside, logits, ~same & ~own)
  return masked_mean(losses, jnp.any(same & ~own, 1))


def bank_consistency(features, bank, *, temperature=0.07):
  """Agreement of an example's augmentations on the bank.

  mean_i mean_{k≠j} KL(p(·|f_i^k) ‖ p(·|f_i^j)), p the softmax over the bank.

  Args:
    features: [B, V, D] unit rows of V ≥ 2 augmentations.
    bank: [N, D] unit rows; no gradient.
    temperature: above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Bulat et al., Improving memory banks for unsupervised learning with large
    mini-batch, consistency and hard negative mining,
    https://arxiv.org/abs/2102.04442, 2021.

  >>> f = jnp.eye(2)[None]  # two augmentations, one at each row: tanh(1/2)
  >>> round(float(bank_consistency(f, jnp.eye(2), temperature=1.0)), 4)
  0.4621
  """
  logs = _view_log_shares(features, bank, temperature)
  return _disagreement(logs)


def _view_log_shares(features, bank, temperature):
  """[B, V, N] log softmax over the bank for every augmentation."""
  shapes.check(features=(features, 'B V D'), bank=(bank, 'N D'))
  features, bank = at_least_float32(features, jax.lax.stop_gradient(bank))
  return jax.nn.log_softmax(features @ bank.T / temperature)


def _disagreement(logs):
  """Mean divergence of two different augmentations of one example."""
  shares, num = jnp.exp(logs), logs.shape[1]
  negentropy = jnp.sum(shares * logs, -1)
  cross = jnp.einsum('bkn,bjn->bkj', shares, logs)
  total = num * jnp.sum(negentropy, 1) - jnp.sum(cross, (1, 2))
  return jnp.mean(total) / (num * (num - 1))


def improved_bank(
  features, bank, positives, *, temperature=0.07, consistency_weight=1.0
):
  """Instance discrimination on a bank, with three improvements.

  mean_ik −log Σ_{j∈G(i)} p(j|f_i^k) + λ·`bank_consistency`: V augmentations of
  an example at once, whose predictions agree, and a group G of examples that
  are too alike to be told apart. `sslax.ops.bank_groups` makes the groups and
  updates the bank with all augmentations.

  Args:
    features: [B, V, D] unit rows of V ≥ 2 augmentations.
    bank: [N, D] unit rows; no gradient.
    positives: [B, N] bool G: the example's own row, and the rows merged with
      it.
    temperature: τ, above 0.
    consistency_weight: λ, at least 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Bulat et al., Improving memory banks for unsupervised learning with large
    mini-batch, consistency and hard negative mining,
    https://arxiv.org/abs/2102.04442, 2021.

  >>> f = jnp.eye(2)[None]  # ½(log(1 + 1/e) + log(1 + e)) + tanh(1/2)
  >>> own = jnp.array([[True, False]])
  >>> round(float(improved_bank(f, jnp.eye(2), own, temperature=1.0)), 4)
  1.2754
  """
  logs = _view_log_shares(features, bank, temperature)
  shapes.check(logs=(logs, 'B V N'), positives=(positives, 'B N'))
  kept = jnp.broadcast_to(jnp.asarray(positives)[:, None], logs.shape)
  inside = masked_logsumexp(logs, kept, empty=0)
  told_apart = jnp.mean(cross_entropy(inside, logs, ~kept))
  return told_apart + consistency_weight * _disagreement(logs)
