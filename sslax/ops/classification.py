"""Classification into exclusive classes."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.cross_entropy import soft_cross_entropy
from sslax.ops.precision import at_least_float32


def classify(logits, labels):
  """Cross-entropy −mean_i log softmax(logits_i)[labels_i], and accuracy.

  Args:
    logits: [B, K] scores, any scale.
    labels: [B] int in [0, K). One outside makes the loss not a number, so that
      a wrong number of classes is not trained on silently.

  Returns:
    (loss, share of rows whose highest score is the label's), two scalars.

  Raises:
    ValueError: the shapes do not fit.

  >>> loss, accuracy = classify(jnp.zeros((2, 4)), jnp.array([0, 3]))
  >>> round(float(loss), 4), float(accuracy)
  (1.3863, 0.5)
  """
  sizes = shapes.check(logits=(logits, 'B K'), labels=(labels, 'B'))
  logits = at_least_float32(logits)
  labels = jnp.asarray(labels).astype(jnp.int32)
  targets = jax.nn.one_hot(labels, sizes['K'], dtype=logits.dtype)
  losses = soft_cross_entropy(targets, logits)
  inside = (labels >= 0) & (labels < sizes['K'])
  right = jnp.argmax(logits, -1).astype(jnp.int32) == labels
  loss = jnp.mean(jnp.where(inside, losses, jnp.nan))
  return loss, jnp.mean(right.astype(logits.dtype))
