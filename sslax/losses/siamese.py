"""Losses of pair verifiers, and scores of bags of instances."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import distance
from sslax.ops.masked import masked_logsumexp, masked_mean
from sslax.ops.precision import at_least_float32

__all__ = [
  'multiple_instance',
  'pool_instances',
  'siamese_cosine',
  'siamese_verifier',
]


def siamese_cosine(x, y, labels):
  """Siamese network's cosine brought to +1 for same and −1 for different.

  mean_i (cos(x_i, y_i) − t_i)², t_i = 2·y_i − 1.

  Args:
    x: [B, D], any scale; normalized here.
    y: [B, D], any scale; normalized here.
    labels: [B], 1 same, 0 different.

  Returns:
    Scalar in [0, 4].

  Raises:
    ValueError: the shapes do not fit.

  References:
    Bromley et al., Signature verification using a "Siamese" time delay neural
    network, NIPS 1993.

  >>> x = jnp.array([[1.0, 0.0], [1.0, 0.0]])
  >>> float(siamese_cosine(x, x, jnp.array([1, 0])))
  2.0
  """
  shapes.check(x=(x, 'B D'), y=(y, 'B D'), labels=(labels, 'B'))
  x, y, labels = at_least_float32(x, y, labels)
  cosines = jnp.sum(distance.normalize(x) * distance.normalize(y), -1)
  return jnp.mean((cosines - 2 * labels + 1) ** 2)


def siamese_verifier(x, y, labels, weights, bias=0.0):
  """Cross-entropy of the one-shot verifier's same-or-different probability.

  mean_i BCE(σ(Σ_j α_j·|x_ij − y_ij| + b), y_i).

  Args:
    x: [B, D] features of the first images.
    y: [B, D] of the second ones.
    labels: [B], 1 same, 0 different.
    weights: α, [D], learned.
    bias: b, a number or array scalar, learned.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Koch et al., Siamese neural networks for one-shot image recognition, ICML
    deep learning workshop, 2015.

  >>> x = jnp.zeros((1, 2))
  >>> round(float(siamese_verifier(x, x, jnp.array([1]), jnp.ones(2))), 4)
  0.6931
  """
  shapes.check(
    x=(x, 'B D'), y=(y, 'B D'), labels=(labels, 'B'), weights=(weights, 'D')
  )
  x, y, labels, weights = at_least_float32(x, y, labels, weights)
  logits = jnp.abs(x - y) @ weights + bias
  return jnp.mean(jax.nn.softplus(logits) - labels * logits)


def pool_instances(scores, mask=None, *, how='max'):
  """Score of a bag from the scores of its instances.

  Args:
    scores: [B, N] logits of the N instances of each bag.
    mask: optional [B, N] bool, True = an instance, False = padding.
    how: 'max', 'mean', or 'logsumexp', the smooth maximum
      log mean_n e^{s_n}.

  Returns:
    [B], in at least float32; 0 for a bag without instances.

  Raises:
    ValueError: the shapes do not fit, or an unknown `how`.

  >>> s = jnp.array([[1.0, 3.0]])
  >>> [round(float(pool_instances(s, how=h)[0]), 4) for h in _POOLS]
  [3.0, 2.0, 2.4338]
  """
  shapes.check(scores=(scores, 'B N'))
  mask = jnp.ones(scores.shape, bool) if mask is None else mask
  shapes.check(scores=(scores, 'B N'), mask=(mask, 'B N'))
  if how not in _POOLS:
    raise ValueError(f'how is {how!r}; expected one of {[*_POOLS]}')
  return _POOLS[how](at_least_float32(scores), mask)


def _pool_max(scores, mask):
  best = jnp.max(scores, 1, where=mask, initial=-jnp.inf)
  return jnp.where(jnp.any(mask, 1), best, jnp.zeros_like(best))


def _pool_logsumexp(scores, mask):
  count = jnp.maximum(jnp.sum(mask, 1, dtype=scores.dtype), 1)
  return masked_logsumexp(scores, mask, empty=0) - jnp.log(count)


_POOLS = {
  'max': _pool_max,
  'mean': lambda scores, mask: masked_mean(scores, mask, axis=1),
  'logsumexp': _pool_logsumexp,
}


def multiple_instance(scores, labels, mask=None, *, how='logsumexp'):
  """Cross-entropy of bags of which only the bag is labelled.

  mean_i BCE(σ(pool_n s_in), y_i).

  Args:
    scores: [B, N] logits of the instances of each bag.
    labels: [B], 1 = the bag holds a positive instance.
    mask: optional [B, N] bool, True = an instance, False = padding.
    how: the pooling, as in `pool_instances`.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit, or an unknown `how`.

  References:
    Ilse et al., Attention-based deep multiple instance learning,
    https://arxiv.org/abs/1802.04712, 2018: the label of a bag as a Bernoulli
    variable.

  >>> round(float(multiple_instance(jnp.zeros((1, 3)), jnp.array([1]))), 4)
  0.6931
  """
  shapes.check(scores=(scores, 'B N'), labels=(labels, 'B'))
  logits, labels = at_least_float32(
    pool_instances(scores, mask, how=how), labels
  )
  return jnp.mean(jax.nn.softplus(logits) - labels * logits)
