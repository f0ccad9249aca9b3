"""Losses that weigh all pairs of a labelled batch at once."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import cross_entropy
from sslax.ops import distance
from sslax.ops.masked import masked_logsumexp, masked_mean
from sslax.ops.precision import at_least_float32
from sslax.ops.selectors import label_masks

__all__ = [
  'circle',
  'generalized_lifted',
  'lifted_structure',
  'multi_similarity',
  'npair',
]


def npair(anchors, positives, *, l2_weight=0.0):
  """Multi-class N-pair loss; the other pairs' positives are the negatives.

  mean_i log(1 + Σ_{j≠i} e^{a_i·p_j − a_i·p_i}) + λ·mean_i (‖a_i‖² + ‖p_i‖²).

  Args:
    anchors: [B, D], any scale, one of each of B classes.
    positives: [B, D] another of the same class.
    l2_weight: λ, at least 0, which keeps the raw dot products bounded.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Sohn, Improved deep metric learning with multi-class N-pair loss
    objective, NIPS 2016.

  >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0]])
  >>> round(float(npair(x, x)), 4)  # log(1 + 1/e)
  0.3133
  """
  num = shapes.check(anchors=(anchors, 'B D'), positives=(positives, 'B D'))[
    'B'
  ]
  anchors, positives = at_least_float32(anchors, positives)
  logits = anchors @ positives.T
  others = ~jnp.eye(num, dtype=bool)
  losses = cross_entropy(jnp.diagonal(logits), logits, others)
  norms = jnp.sum(anchors**2, -1) + jnp.sum(positives**2, -1)
  return jnp.mean(losses) + l2_weight * jnp.mean(norms)


def lifted_structure(embeddings, labels, *, margin=1.0, positive_margin=0.0):
  """Lifted structured loss over all positive pairs and their negatives.

  1/(2|P|) Σ_{(i,j)∈P} max(0, J_ij)²,
  J_ij = d_ij − β + log(Σ_{k∈N(i)} e^{α−d_ik} + Σ_{l∈N(j)} e^{α−d_jl}).

  Args:
    embeddings: [B, D], any scale; d is the Euclidean distance.
    labels: [B] int.
    margin: α.
    positive_margin: β, subtracted from the positives' distances.

  Returns:
    Scalar, at least 0; 0 where there are no positives or no negatives.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Oh Song et al., Deep metric learning via lifted structured feature
    embedding, https://arxiv.org/abs/1511.06452, 2015.

  >>> x, y = jnp.array([[0.0], [1.0], [1.0]]), jnp.array([0, 0, 1])
  >>> round(float(lifted_structure(x, y)), 4)  # (1 + log(1 + e))² / 2
  2.6756
  """
  shapes.check(embeddings=(embeddings, 'B D'), labels=(labels, 'B'))
  positives, negatives = label_masks(labels)
  gaps = distance.distances(embeddings, embeddings)
  near = masked_logsumexp(margin - gaps, negatives)
  both = jnp.logaddexp(near[:, None], near[None, :])
  violation = jax.nn.relu(both + gaps - positive_margin)
  return masked_mean(violation**2, positives) / 2


def generalized_lifted(embeddings, labels, *, margin=1.0, positive_margin=0.0):
  """Lifted structured loss with all positives of an anchor together.

  mean_i max(0, log Σ_{p∈P(i)} e^{d_ip − β} + log Σ_{n∈N(i)} e^{α − d_in}); an
  empty sum is left out.

  Args:
    embeddings: [B, D], any scale; d is the Euclidean distance.
    labels: [B] int.
    margin: α.
    positive_margin: β.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Hermans et al., In defense of the triplet loss for person
    re-identification, https://arxiv.org/abs/1703.07737, 2017.

  >>> x, y = jnp.array([[0.0], [1.0], [1.0]]), jnp.array([0, 0, 1])
  >>> round(float(generalized_lifted(x, y)), 4)  # (1 + 2 + log(1 + e)) / 3
  1.4378
  """
  shapes.check(embeddings=(embeddings, 'B D'), labels=(labels, 'B'))
  positives, negatives = label_masks(labels)
  gaps = distance.distances(embeddings, embeddings)
  pull = masked_logsumexp(gaps - positive_margin, positives, empty=0)
  push = masked_logsumexp(margin - gaps, negatives, empty=0)
  return jnp.mean(jax.nn.relu(pull + push))


def multi_similarity(embeddings, labels, *, alpha=2.0, beta=50.0, base=0.5):
  """Multi-similarity loss, without its pair mining.

  mean_i (1/α)·log(1 + Σ_{p∈P(i)} e^{−α(s_ip − λ)}) + (1/β)·log(1 +
  Σ_{n∈N(i)} e^{β(s_in − λ)}).

  Args:
    embeddings: [B, D], any scale; s is the cosine.
    labels: [B] int.
    alpha: α, above 0.
    beta: β, above 0.
    base: λ.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Wang et al., Multi-similarity loss with general pair weighting for deep
    metric learning, https://arxiv.org/abs/1904.06627, 2019.

  >>> x, y = jnp.array([[1.0], [1.0]]), jnp.array([0, 0])
  >>> round(float(multi_similarity(x, y)), 4)  # log(1 + 1/e) / 2
  0.1566
  """
  shapes.check(embeddings=(embeddings, 'B D'), labels=(labels, 'B'))
  positives, negatives = label_masks(labels)
  shifted = distance.cosine(embeddings, embeddings) - base
  pull = jax.nn.softplus(masked_logsumexp(-alpha * shifted, positives))
  push = jax.nn.softplus(masked_logsumexp(beta * shifted, negatives))
  return jnp.mean(pull / alpha + push / beta)


def circle(embeddings, labels, *, margin=0.4, scale=80.0):
  """Circle loss: every similarity is weighted by how far it is from its best.

  mean_i log(1 + Σ_{n∈N(i)} e^{γ·a_n·(s_n − m)} · Σ_{p∈P(i)} e^{−γ·a_p·(s_p −
  1 + m)}), a_p = max(0, 1 + m − s_p), a_n = max(0, s_n + m), both held fixed.

  Args:
    embeddings: [B, D], any scale; s is the cosine.
    labels: [B] int.
    margin: m.
    scale: γ, above 0.

  Returns:
    Scalar, at least 0: the mean over anchors whose loss is above zero.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Sun et al., Circle loss: a unified perspective of pair similarity
    optimization, https://arxiv.org/abs/2002.10857, 2020.

  >>> x, y = jnp.eye(2)[jnp.array([0, 0, 1])], jnp.array([0, 0, 1])
  >>> round(float(circle(x, y, margin=0.5, scale=1.0)), 4)  # log(1 + e^{-1/2})
  0.4741
  """
  shapes.check(embeddings=(embeddings, 'B D'), labels=(labels, 'B'))
  positives, negatives = label_masks(labels)
  s = distance.cosine(embeddings, embeddings)
  fixed = jax.lax.stop_gradient(s)
  pull = -scale * jax.nn.relu(1 + margin - fixed) * (s - 1 + margin)
  push = scale * jax.nn.relu(fixed + margin) * (s - margin)
  total = masked_logsumexp(pull, positives, empty=0)
  total = total + masked_logsumexp(push, negatives, empty=0)
  losses = jax.nn.softplus(total)
  both = jnp.any(positives, 1) & jnp.any(negatives, 1)
  return masked_mean(losses, both & (losses > 0))
