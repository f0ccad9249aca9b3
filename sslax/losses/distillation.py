"""Losses of negative-free and self-distillation methods."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.distance import normalize
from sslax.ops.precision import at_least_float32

__all__ = ['byol', 'negative_cosine']


def byol(predictions, targets):
  """Squared distance of normalized predictions and targets, one direction.

  mean_i ‖p̄_i − z̄_i‖² = mean_i (2 − 2·cos(p_i, z_i)), with z under
  stop-gradient. Symmetrize by summing the two directions.

  Args:
    predictions: [B, D] student's predictions, any scale; normalized here.
    targets: [B, D] teacher's projections, any scale; normalized here; no
      gradient flows into them.

  Returns:
    Scalar in [0, 4].

  Raises:
    ValueError: the shapes differ.

  References:
    Grill et al., Bootstrap your own latent, https://arxiv.org/abs/2006.07733,
    2020, equation 2.

  >>> import numpy as np
  >>> p, z = np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])
  >>> float(byol(p, z))
  2.0
  """
  return 2 + 2 * negative_cosine(predictions, targets)


def negative_cosine(predictions, targets):
  """Negative cosine similarity with a stop-gradient on the targets.

  D(p, z) = −mean_i p̄_i·z̄_i. SimSiam averages D(p1, z2) and D(p2, z1).

  Args:
    predictions: [B, D], any scale; normalized here.
    targets: [B, D], any scale; normalized here; no gradient flows into them.

  Returns:
    Scalar in [-1, 1].

  Raises:
    ValueError: the shapes differ.

  References:
    Chen & He, Exploring simple Siamese representation learning,
    https://arxiv.org/abs/2011.10566, 2020, equations 1 and 2.

  >>> import numpy as np
  >>> p, z = np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])
  >>> round(float(negative_cosine(p, z)), 4)
  -0.96
  """
  shapes.check(predictions=(predictions, 'B D'), targets=(targets, 'B D'))
  predictions, targets = at_least_float32(predictions, targets)
  targets = jax.lax.stop_gradient(targets)
  return -jnp.mean(jnp.sum(normalize(predictions) * normalize(targets), -1))
