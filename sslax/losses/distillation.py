"""Losses of negative-free and self-distillation methods."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.classification import softmax_cross_entropy
from sslax.ops import von_mises_fisher
from sslax.ops.centering import sharpened
from sslax.ops.cross_entropy import (
  divergence,
  mean_of_other_views,
  of_views,
  soft_cross_entropy,
  stacked,
  view_cross_entropies,
)
from sslax.ops.distance import normalize
from sslax.ops.precision import at_least_float32

__all__ = [
  'byol',
  'dino',
  'dino_vmf',
  'dinov2_cls',
  'knowledge_distillation',
  'negative_cosine',
  'obow',
]


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
    2020. The official code: google-deepmind/deepmind-research,
    byol/utils/helpers.py, regression_loss.

  >>> import numpy as np
  >>> p, z = np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])
  >>> float(byol(p, z))
  2.0
  """
  shapes.check(predictions=(predictions, 'B D'), targets=(targets, 'B D'))
  predictions, targets = at_least_float32(predictions, targets)
  gap = normalize(predictions) - normalize(jax.lax.stop_gradient(targets))
  return jnp.mean(jnp.sum(gap**2, -1))


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


def dino(
  student, teacher, center, *, student_temperature=0.1, teacher_temperature=0.04
):
  """Cross-entropy of the student's views to the centered, sharpened teacher.

  mean over teacher views t and student views s ≠ t of
  −mean_i Σ_k softmax((t_i − c) / τ_t)_k log softmax(s_i / τ_s)_k.
  `ops.centering.update_center` moves the center after the step and
  `ops.centering.teacher_temperature` is the warm-up.

  Args:
    student: V views of logits [B, K]; global crops first, then local ones.
    teacher: W ≤ V views of logits [B, K], the global crops in the same order;
      no gradient flows into them.
    center: [K], the running mean of the teacher's logits before this batch.
    student_temperature: τ_s, above 0.
    teacher_temperature: τ_t, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Caron et al., Emerging properties in self-supervised vision transformers,
    https://arxiv.org/abs/2104.14294, 2021.

  >>> import numpy as np
  >>> views = (np.zeros((1, 4)), np.zeros((1, 4)))
  >>> round(float(dino(views, views, np.zeros(4))), 4)
  1.3863
  """
  shapes.check(
    **of_views(student=(student, 'B K'), teacher=(teacher, 'B K')),
    center=(center, 'K'),
  )
  probs = sharpened(stacked(teacher), center, temperature=teacher_temperature)
  logits = stacked(student)
  return mean_of_other_views(
    view_cross_entropies(probs, logits, temperature=student_temperature)
  )


def dino_vmf(
  student,
  teacher,
  student_prototypes,
  teacher_prototypes,
  center,
  *,
  student_temperature=0.1,
  teacher_temperature=0.04,
):
  """DINO as a mixture of von Mises-Fisher components.

  The logit of prototype k is w_k·z / τ + log C_D(‖w_k‖ / τ), with C_D the
  normalizer of the von Mises-Fisher density on the sphere in D dimensions;
  the teacher's logits lose log p̄, the center of its probabilities
  (`ops.centering.update_probability_center`). The rest is `dino`.

  Args:
    student: V views of embeddings [B, D], any scale; normalized here.
    teacher: W ≤ V views [B, D], any scale; normalized here; no gradient.
    student_prototypes: [K, D], not normalized: the norm is the precision.
    teacher_prototypes: [K, D], not normalized; no gradient.
    center: [K], running mean of the teacher's probabilities, above 0.
    student_temperature: above 0.
    teacher_temperature: above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Govindarajan et al., DINO as a von Mises-Fisher mixture model,
    https://arxiv.org/abs/2405.10939, 2024.

  >>> import numpy as np
  >>> views, center = (np.ones((1, 8)),) * 2, np.full(4, 0.25)
  >>> weights = np.ones((4, 8))
  >>> round(float(dino_vmf(views, views, weights, weights, center)), 4)
  1.3863
  """
  shapes.check(
    **of_views(student=(student, 'B D'), teacher=(teacher, 'B D')),
    student_prototypes=(student_prototypes, 'K D'),
    teacher_prototypes=(teacher_prototypes, 'K D'),
    center=(center, 'K'),
  )
  logits = _vmf_logits(student, student_prototypes, student_temperature)
  targets = _vmf_logits(teacher, teacher_prototypes, teacher_temperature)
  probs = sharpened(targets, _log(center), temperature=1.0)
  return mean_of_other_views(view_cross_entropies(probs, logits))


def _log(probs):
  probs = at_least_float32(probs)
  return jnp.log(jnp.maximum(probs, float(jnp.finfo(probs.dtype).tiny)))


def _vmf_logits(views, prototypes, temperature):
  embeddings, prototypes = at_least_float32(stacked(views), prototypes)
  scores = jnp.einsum('vbd,kd->vbk', normalize(embeddings), prototypes)
  log_normalizer = von_mises_fisher.log_normalizer(prototypes, temperature)
  return scores / temperature + log_normalizer[None, None, :]


def dinov2_cls(student, probs, *, student_temperature=0.1):
  """Cross-entropy of every student view to every teacher view, summed.

  Σ_{t,s} −mean_i Σ_k p^t_ik log softmax(s_i / τ_s)_k, where the teacher's
  probabilities come from `ops.centering.sharpened` or, as Sinkhorn-Knopp
  centering, from `ops.sinkhorn.sinkhorn_codes`.

  Args:
    student: V views of logits [B, K].
    probs: W views of the teacher's probabilities [B, K]; no gradient.
    student_temperature: τ_s, above 0.

  Returns:
    Scalar, at least 0. DINOv2 divides it by the number of terms it sums.

  Raises:
    ValueError: a shape is wrong.

  References:
    Oquab et al., DINOv2: learning robust visual features without supervision,
    https://arxiv.org/abs/2304.07193, 2023. The official code:
    facebookresearch/dinov2, dino_clstoken_loss.py.

  >>> import numpy as np
  >>> probs = (np.full((1, 4), 0.25),)
  >>> round(float(dinov2_cls((np.zeros((1, 4)),) * 2, probs)), 4)
  2.7726
  """
  shapes.check(**of_views(student=(student, 'B K'), probs=(probs, 'B K')))
  targets = jax.lax.stop_gradient(stacked(probs))
  table = view_cross_entropies(
    targets, stacked(student), temperature=student_temperature
  )
  return jnp.sum(table)


def knowledge_distillation(
  student, teacher, labels=None, *, temperature=4.0, label_weight=1.0
):
  """Divergence of softened outputs, T² KL(teacher ‖ student), and the labels'.

  T² mean_i Σ_k p_ik (log p_ik − log q_ik) + w·CE(labels), p and q the softmax
  of the teacher's and the student's logits divided by T; T² keeps the
  gradients' scale while T changes.

  Args:
    student: [B, K] logits.
    teacher: [B, K] logits; no gradient flows into them.
    labels: optional [B] int; without them there is no second term.
    temperature: T, above 0.
    label_weight: w, at least 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Hinton et al., Distilling the knowledge in a neural network,
    https://arxiv.org/abs/1503.02531, 2015.

  >>> import numpy as np
  >>> logits = np.array([[1.0, 2.0, 3.0]])
  >>> float(knowledge_distillation(logits, logits + 1.0))
  0.0
  """
  shapes.check(student=(student, 'B K'), teacher=(teacher, 'B K'))
  student, teacher = at_least_float32(student, jax.lax.stop_gradient(teacher))
  log_p = jax.nn.log_softmax(teacher / temperature, -1)
  log_q = jax.nn.log_softmax(student / temperature, -1)
  loss = temperature**2 * jnp.mean(divergence(log_p, log_q))
  if labels is None:
    return loss
  return loss + label_weight * softmax_cross_entropy(student, labels)


def obow(words, logits):
  """Prediction of the teacher's bag of visual words.

  −mean_i Σ_k y_ik log softmax(s_i)_k, the cross-entropy of the bag, which
  `ops.bag_of_words` makes of the teacher's feature map.

  Args:
    words: [B, K] bags of the teacher, non-negative, rows of sum 1; no
      gradient flows into them.
    logits: [B, K] the student's predictions, temperature applied.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Gidaris et al., OBoW: online bag-of-visual-words generation for
    self-supervised learning, https://arxiv.org/abs/2012.11552, 2020.

  >>> import numpy as np
  >>> round(float(obow(np.array([[0.5, 0.5]]), np.zeros((1, 2)))), 4)
  0.6931
  """
  shapes.check(words=(words, 'B K'), logits=(logits, 'B K'))
  words = jax.lax.stop_gradient(at_least_float32(words))
  return jnp.mean(soft_cross_entropy(words, logits))
