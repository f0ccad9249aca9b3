"""Batches of labelled examples that hold the pairs a metric loss needs."""

import jax
import jax.numpy as jnp
import numpy as np

from sslax import shapes
from sslax.ops.distance import squared_distances


def class_pairs(rng, labels, num_classes):
  """Two examples each of several classes, for the N-pair loss.

  Args:
    rng: a numpy Generator.
    labels: [N] int of the data set; a class of one example is never drawn.
    num_classes: how many different classes to draw.

  Returns:
    (anchors, positives): [num_classes] int each, rows of the data set; the
    other rows' positives are the negatives.

  Raises:
    ValueError: fewer classes have two examples.

  References:
    Sohn, Improved deep metric learning with multi-class N-pair loss
    objective, NIPS 2016.

  >>> labels = np.array([0, 0, 1, 2, 2])
  >>> pairs = class_pairs(np.random.default_rng(0), labels, 2)
  >>> sorted(np.concatenate(pairs).tolist())
  [0, 1, 3, 4]
  """
  shapes.check(labels=(labels, 'N'))
  classes, counts = np.unique(np.asarray(labels), return_counts=True)
  paired = classes[counts > 1]
  if len(paired) < num_classes:
    raise ValueError(
      f'num_classes is {num_classes}; expected at most {len(paired)}, the'
      ' classes with two examples'
    )
  rows = [
    rng.choice(np.flatnonzero(labels == chosen), 2, replace=False)
    for chosen in rng.choice(paired, num_classes, replace=False)
  ]
  return tuple(np.array(rows).T)


def hard_batch(rng, embeddings, labels, seeds, size, *, temperature=1.0):
  """A few rows and, by their nearness, difficult negatives of them.

  Rows of other classes are drawn without replacement with chances ∝
  e^{−d²/τ}, d the distance to the nearest seed of another class.

  Args:
    rng: a JAX key.
    embeddings: [N, D] of a pool, any scale.
    labels: [N] int.
    seeds: [P] int, rows to start from: pairs of positives.
    size: rows of the batch, from P to N.
    temperature: τ, above 0; small takes the hardest, large draws evenly.

  Returns:
    [size] int, the seeds first.

  Raises:
    ValueError: the shapes do not fit, or size is out of range.

  References:
    Oh Song et al., Deep metric learning via lifted structured feature
    embedding, https://arxiv.org/abs/1511.06452, 2015.

  >>> x = jnp.array([[0.0], [0.0], [0.1], [9.0]])
  >>> y = jnp.array([0, 0, 1, 1])
  >>> hard_batch(jax.random.key(0), x, y, jnp.array([0, 1]), 3).tolist()
  [0, 1, 2]
  """
  sizes = shapes.check(
    embeddings=(embeddings, 'N D'), labels=(labels, 'N'), seeds=(seeds, 'P')
  )
  if not sizes['P'] <= size <= sizes['N']:
    raise ValueError(
      f'size is {size}; expected {sizes["P"]} (seeds) to {sizes["N"]} (rows)'
    )
  embeddings, labels, seeds = map(jnp.asarray, (embeddings, labels, seeds))
  squared = squared_distances(embeddings, embeddings[seeds])
  other = labels[:, None] != labels[seeds][None, :]
  nearest = jnp.min(jnp.where(other, squared, jnp.inf), 1)
  # Adding Gumbel noise to log-chances draws without replacement.
  scores = jax.random.gumbel(rng, nearest.shape, nearest.dtype)
  scores = (scores - nearest / temperature).at[seeds].set(-jnp.inf)
  _, rows = jax.lax.top_k(scores, size - sizes['P'])
  return jnp.concatenate([seeds.astype(rows.dtype), rows])
