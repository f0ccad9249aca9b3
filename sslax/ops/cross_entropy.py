"""Cross-entropies between distributions of several views."""

import jax
import jax.numpy as jnp

from sslax.ops.precision import at_least_float32


def of_views(**views_and_specs):
  """Names every view of a tuple, as `shapes.check` wants it.

  `shapes.check(**of_views(student=(views, 'B K')))` checks student[0],
  student[1], ... against one B and one K.

  Args:
    **views_and_specs: argument name = (views, spec).

  Returns:
    A dict from `name[index]` to (view, spec).
  """
  return {
    f'{name}[{i}]': (view, spec)
    for name, (views, spec) in views_and_specs.items()
    for i, view in enumerate(views)
  }


def stacked(views):
  """Stacks views of one shape: [V, B, ...] in at least float32.

  Args:
    views: tuple of V arrays [B, ...], or their stack.

  Returns:
    [V, B, ...].
  """
  with jax.numpy_dtype_promotion('standard'):
    return at_least_float32(jnp.stack([jnp.asarray(view) for view in views]))


def soft_cross_entropy(probs, logits, *, temperature=1.0):
  """Cross-entropy to soft targets, −Σ_k p_k log softmax(logits / τ)_k.

  Args:
    probs: [..., K] probabilities.
    logits: [..., K], any scale.
    temperature: τ, above 0.

  Returns:
    [...], in at least float32.
  """
  probs, logits = at_least_float32(probs, logits)
  log_probs = jax.nn.log_softmax(logits / temperature, -1)
  return -jnp.sum(probs * log_probs, -1)


def divergence(log_p, log_q):
  """Kullback-Leibler divergence Σ_k p_k (log p_k − log q_k), exact near 0.

  Summed as p·(d + e^−d − 1) with d = log p − log q, whose terms are not
  negative, so that close distributions keep their digits.

  Args:
    log_p: [..., K] log-probabilities.
    log_q: [..., K] log-probabilities.

  Returns:
    [...], at least 0.
  """
  gap = log_p - log_q
  near = jnp.abs(gap) < 0.01
  small = jnp.where(near, gap, jnp.zeros_like(gap))
  series = small**2 * (1 / 2 - small * (1 / 6 - small * (1 / 24 - small / 120)))
  large = jnp.where(near, jnp.zeros_like(gap), gap)
  # p·e^−d is q, which does not overflow where d is very negative.
  direct = jnp.exp(log_p) * (large - 1) + jnp.exp(log_q)
  return jnp.sum(jnp.where(near, jnp.exp(log_p) * series, direct), -1)


def view_cross_entropies(probs, logits, *, temperature=1.0):
  """Cross-entropy of every target view with every predicting view.

  Args:
    probs: [W, B, K] probabilities of the W target views.
    logits: [V, B, K] of the V predicting views, any scale.
    temperature: divides the logits, above 0.

  Returns:
    [W, V], the means over the batch.
  """
  probs, logits = at_least_float32(probs, logits)
  log_probs = jax.nn.log_softmax(logits / temperature, -1)
  return -jnp.einsum('wbk,vbk->wv', probs, log_probs) / logits.shape[1]


def mean_of_other_views(table):
  """Mean of a [W, V] table without its diagonal, the view with itself.

  Args:
    table: [W, V]; target view w and predicting view w are the same view.

  Returns:
    Scalar.
  """
  other = ~jnp.eye(*table.shape, dtype=bool)
  total = jnp.sum(jnp.where(other, table, jnp.zeros_like(table)))
  num_targets, num_views = table.shape
  return total / (num_targets * num_views - min(num_targets, num_views))
