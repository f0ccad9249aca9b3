"""Losses of the entropy of predictions, per example and over the batch."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.precision import at_least_float32

__all__ = ['entropy_minimization', 'mean_entropy', 'twist', 'twist_terms']


def mean_entropy(logits, *, temperature=1.0):
  """Entropy of the batch's mean prediction, negated: a diversity term.

  Σ_k p̄_k log p̄_k, p̄ the mean over the batch of softmax(logits / τ).

  Args:
    logits: [B, K], any scale.
    temperature: τ, above 0.

  Returns:
    Scalar in [−log K, 0]; least where every class is used equally.

  Raises:
    ValueError: the shape is wrong.

  References:
    Assran et al., Masked siamese networks for label-efficient learning,
    https://arxiv.org/abs/2204.07141, 2022.

  >>> import numpy as np
  >>> round(float(mean_entropy(np.array([[9e3, 0.0], [0.0, 9e3]]))), 4)
  -0.6931
  """
  shapes.check(logits=(logits, 'B K'))
  return -entropy(jnp.mean(probabilities(logits, temperature), 0))


def entropy_minimization(logits, *, temperature=1.0):
  """Mean entropy of the predictions: low where each one is certain.

  −mean_i Σ_k p_ik log p_ik, p = softmax(logits / τ).

  Args:
    logits: [B, K], any scale.
    temperature: τ, above 0.

  Returns:
    Scalar in [0, log K].

  Raises:
    ValueError: the shape is wrong.

  References:
    Grandvalet and Bengio, Semi-supervised learning by entropy minimization,
    https://proceedings.neurips.cc/paper/2004/hash/96f2b50b5d3613adf9c27049b2a888c7-Abstract.html,
    2004.

  >>> import numpy as np
  >>> round(float(entropy_minimization(np.zeros((3, 2)))), 4)
  0.6931
  """
  shapes.check(logits=(logits, 'B K'))
  log_p = jax.nn.log_softmax(at_least_float32(logits) / temperature, -1)
  return -jnp.mean(jnp.sum(jnp.exp(log_p) * log_p, -1))


def twist(
  logits1,
  logits2,
  *,
  sharpness_weight=0.0,
  diversity_weight=1.0,
  temperature=1.0,
  eps=1e-5,
):
  """Consistent, certain and diverse class predictions of two views.

  ½[KL(p1‖p2) + KL(p2‖p1)] + (1 + λ1)·mean_i H(p_i) − λ2·H(mean_i p_i), the
  entropies averaged over the views; see `twist_terms`.

  Args:
    logits1: [B, K] of view 1, after the batch normalization of the head.
    logits2: [B, K] of view 2.
    sharpness_weight: λ1.
    diversity_weight: λ2.
    temperature: sharpens the entropies, not the divergence; above 0.
    eps: added inside the logarithms, above 0.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ.

  References:
    Wang et al., Self-supervised learning by estimating twin class
    distributions, https://arxiv.org/abs/2110.07402, 2021. The official code:
    bytedance/TWIST, objective.py.

  >>> import numpy as np
  >>> logits = np.array([[9e3, 0.0], [0.0, 9e3]])
  >>> round(float(twist(logits, logits)), 3)
  -0.693
  """
  divergence, certainty, diversity = twist_terms(
    logits1, logits2, temperature=temperature, eps=eps
  )
  sharpness = (1 + sharpness_weight) * certainty
  return divergence + sharpness - diversity_weight * diversity


def twist_terms(logits1, logits2, *, temperature=1.0, eps=1e-5):
  """The three terms of `twist`.

  Args:
    logits1: [B, K].
    logits2: [B, K].
    temperature: of the entropies, above 0.
    eps: added inside the logarithms.

  Returns:
    (symmetric divergence, mean entropy, entropy of the mean): scalars, each
    averaged over the two views.

  Raises:
    ValueError: the shapes differ.
  """
  shapes.check(logits1=(logits1, 'B K'), logits2=(logits2, 'B K'))
  logits1, logits2 = at_least_float32(logits1, logits2)
  p1, p2 = probabilities(logits1), probabilities(logits2)
  # KL(p1‖p2) + KL(p2‖p1) in one sum, whose factors vanish together.
  gap = jnp.log(p1 + eps) - jnp.log(p2 + eps)
  divergence = jnp.mean(jnp.sum((p1 - p2) * gap, -1)) / 2
  sharp = [probabilities(z, temperature) for z in (logits1, logits2)]
  certainty = sum(jnp.mean(_entropy_eps(p, eps)) for p in sharp) / 2
  diversity = sum(_entropy_eps(jnp.mean(p, 0), eps) for p in sharp) / 2
  return divergence, certainty, diversity


def probabilities(logits, temperature=1.0):
  """softmax(logits / temperature) in at least float32.

  Args:
    logits: [..., K].
    temperature: above 0.

  Returns:
    [..., K].
  """
  return jax.nn.softmax(at_least_float32(logits) / temperature, -1)


def entropy(probs):
  """−Σ_k p_k log p_k, with finite slope where p_k is zero.

  Args:
    probs: [..., K] probabilities.

  Returns:
    [...].
  """
  probs = at_least_float32(probs)
  floor = float(jnp.finfo(probs.dtype).tiny)
  return -jnp.sum(probs * jnp.log(jnp.maximum(probs, floor)), -1)


def _entropy_eps(probs, eps):
  return -jnp.sum(probs * jnp.log(probs + eps), -1)
