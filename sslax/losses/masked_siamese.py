"""Losses of masked siamese networks: prototypes of hidden and whole views."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.entropy import entropy
from sslax.ops.cross_entropy import divergence, of_views, stacked
from sslax.ops.distance import cosine, normalize
from sslax.ops.precision import at_least_float32
from sslax.ops.sinkhorn import sinkhorn_codes

__all__ = ['msn', 'msn_targets', 'pmsn']


def msn(
  anchors,
  targets,
  prototypes,
  *,
  temperature=0.1,
  sharpening=0.25,
  num_iterations=3,
  diversity_weight=1.0,
  entropy_weight=0.0,
):
  """Masked views predict the prototypes of the unmasked view.

  mean_vi H(t_i, p_vi) + λ·[log K − H(mean p)] + γ·mean_vi H(p_vi), with
  p = softmax(cos(z, prototypes) / τ) and t the target's sharpened p, balanced
  by Sinkhorn-Knopp.

  Args:
    anchors: V views [B, D] of the student, any scale; normalized here.
    targets: [B, D] of the teacher, any scale; normalized; no gradient.
    prototypes: [K, D], any scale; normalized here.
    temperature: τ, above 0.
    sharpening: the target's temperature is τ times this.
    num_iterations: of Sinkhorn-Knopp; 0 leaves the targets as they are.
    diversity_weight: λ of the mean entropy maximization.
    entropy_weight: γ.

  Returns:
    Scalar.

  Raises:
    ValueError: a shape is wrong.

  References:
    Assran et al., Masked siamese networks for label-efficient learning,
    https://arxiv.org/abs/2204.07141, 2022. The official code:
    facebookresearch/msn, losses.py.

  >>> import numpy as np
  >>> z, prototypes = np.ones((1, 2)), np.ones((4, 2))
  >>> round(float(msn((z,), z, prototypes)), 4)
  1.3863
  """
  log_probs, loss = _prototype_prediction(
    anchors, targets, prototypes, temperature, sharpening, num_iterations
  )
  probs = jnp.exp(log_probs)
  num_prototypes = log_probs.shape[-1]
  diversity = jnp.log(num_prototypes) - entropy(jnp.mean(probs, (0, 1)))
  certainty = -jnp.mean(jnp.sum(probs * log_probs, -1))
  return loss + diversity_weight * diversity + entropy_weight * certainty


def msn_targets(
  targets, prototypes, *, temperature=0.1, sharpening=0.25, num_iterations=3
):
  """The sharpened, balanced prototype assignments that `msn` predicts.

  Args:
    targets: [B, D] of the teacher, any scale; normalized here.
    prototypes: [K, D], any scale; normalized here.
    temperature: above 0.
    sharpening: the temperature is multiplied by it.
    num_iterations: of Sinkhorn-Knopp; 0 leaves the rows as they are.

  Returns:
    [B, K], rows of sum 1; no gradient flows.

  Raises:
    ValueError: a shape is wrong.
  """
  # Balancing starts from rows of sum 1, which matters while it is unfinished.
  logits = cosine(targets, prototypes) / (temperature * sharpening)
  return sinkhorn_codes(
    jax.nn.log_softmax(logits, -1), epsilon=1.0, num_iterations=num_iterations
  )


def pmsn(
  anchors,
  targets,
  prototypes,
  *,
  temperature=0.1,
  sharpening=0.25,
  num_iterations=3,
  prior_weight=1.0,
  exponent=0.25,
):
  """MSN with a power-law prior over the prototypes.

  mean_vi H(t_i, p_vi) + λ·KL(q ‖ mean p) with q_k ∝ k^(−exponent).

  Args:
    anchors: V views [B, D] of the student, any scale; normalized here.
    targets: [B, D] of the teacher, any scale; normalized; no gradient.
    prototypes: [K, D], any scale; normalized here.
    temperature: τ, above 0.
    sharpening: the target's temperature is τ times this.
    num_iterations: of Sinkhorn-Knopp; 0 leaves the targets as they are.
    prior_weight: λ.
    exponent: of the power law, at least 0; 0 is the uniform prior.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Assran et al., The hidden uniform cluster prior in self-supervised learning,
    https://arxiv.org/abs/2210.07277, 2022.

  >>> import numpy as np
  >>> z, prototypes = np.ones((1, 2)), np.ones((4, 2))
  >>> round(float(pmsn((z,), z, prototypes, exponent=0.0)), 4)
  1.3863
  """
  log_probs, loss = _prototype_prediction(
    anchors, targets, prototypes, temperature, sharpening, num_iterations
  )
  num_views, batch, num_prototypes = log_probs.shape
  log_mean = jax.nn.logsumexp(log_probs, (0, 1)) - jnp.log(num_views * batch)
  ranks = jnp.arange(1, num_prototypes + 1, dtype=log_probs.dtype)
  log_prior = jax.nn.log_softmax(-exponent * jnp.log(ranks))
  return loss + prior_weight * divergence(log_prior, log_mean)


def _prototype_prediction(
  anchors, targets, prototypes, temperature, sharpening, num_iterations
):
  """Returns the anchors' log-probabilities and their cross-entropy."""
  shapes.check(
    **of_views(anchors=(anchors, 'B D')),
    targets=(targets, 'B D'),
    prototypes=(prototypes, 'K D'),
  )
  anchors = stacked(anchors)
  anchors, targets, prototypes = at_least_float32(anchors, targets, prototypes)
  prototypes = normalize(prototypes)
  scores = jnp.einsum('vbd,kd->vbk', normalize(anchors), prototypes)
  log_probs = jax.nn.log_softmax(scores / temperature, -1)
  codes = msn_targets(
    targets,
    prototypes,
    temperature=temperature,
    sharpening=sharpening,
    num_iterations=num_iterations,
  )
  loss = -jnp.mean(jnp.sum(codes[None] * log_probs, -1))
  return log_probs, loss
