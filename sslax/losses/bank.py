"""Losses against a memory bank with one row for each example.

The bank is an input; `sslax.ops.memory_bank` draws from it and updates it.
"""

import math

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import cross_entropy
from sslax.ops import distance, memory_bank
from sslax.ops.precision import at_least_float32

__all__ = [
  'cmc_nce',
  'crd',
  'instdisc_nce',
  'instdisc_softmax',
  'pirl',
  'proximal',
]


def instdisc_nce(
  features, bank, indices, normalizer, *, temperature=0.07, eps=0.0
):
  """Instance discrimination by noise-contrastive estimation.

  mean_i [−log h(i) − Σ_{m=1}^{M} log(1 − h(m))], h = P / (P + M/N + ε),
  P(j) = e^{v_j·f_i/τ} / Z, over the positive and M rows drawn uniformly.

  Args:
    features: [B, D] unit rows.
    bank: [N, D] unit rows; no gradient.
    indices: [B, 1 + M] int rows of the bank, the positive first.
    normalizer: Z, scalar above 0, see `sslax.ops.memory_bank.normalizer`.
    temperature: τ, above 0.
    eps: ε in the denominators (1e-7 in the official code).

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Wu et al., Unsupervised feature learning via non-parametric instance
    discrimination, https://arxiv.org/abs/1805.01978, 2018.

  >>> f, bank = jnp.zeros((1, 2)), jnp.eye(2)  # P = 1/2 = M/N: all h = 1/2
  >>> round(float(instdisc_nce(f, bank, jnp.array([[0, 1]]), 2.0)), 4)
  1.3863
  """
  logits = memory_bank.scores(bank, indices, features, temperature)
  log_p = logits - jnp.log(jnp.asarray(normalizer, logits.dtype))
  noise = (indices.shape[1] - 1) / bank.shape[0]
  level = math.log(noise + eps)
  positive = jax.nn.softplus(level - log_p[:, 0])
  # log(noise / (noise + ε)), zero without ε.
  shift = level - math.log(noise)
  negatives = jax.nn.softplus(log_p[:, 1:] - level) + shift
  return jnp.mean(positive + jnp.sum(negatives, 1))


def instdisc_softmax(features, bank, indices, *, temperature=0.07):
  """Instance discrimination by a softmax over the drawn bank rows.

  mean_i −log e^{v_i·f_i/τ} / Σ_m e^{v_m·f_i/τ}.

  Args:
    features: [B, D] unit rows.
    bank: [N, D] unit rows; no gradient.
    indices: [B, 1 + M] int rows of the bank, the positive first; all of them
      for the full non-parametric softmax.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Wu et al., Unsupervised feature learning via non-parametric instance
    discrimination, https://arxiv.org/abs/1805.01978, 2018.

  >>> f, i = jnp.zeros((1, 2)), jnp.array([[0, 1]])
  >>> round(float(instdisc_softmax(f, jnp.eye(2), i)), 4)
  0.6931
  """
  logits = memory_bank.scores(bank, indices, features, temperature)
  return jnp.mean(cross_entropy(logits[:, 0], logits[:, 1:]))


def proximal(features, previous, *, weight=1.0):
  """Proximal regularization of a bank: stay near the last epoch's feature.

  λ·mean_i ‖f_i − v_i‖².

  Args:
    features: [B, D] unit rows.
    previous: [B, D] the examples' rows of the bank; no gradient.
    weight: λ, at least 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Wu et al., Unsupervised feature learning via non-parametric instance
    discrimination, https://arxiv.org/abs/1805.01978, 2018.

  >>> float(proximal(jnp.ones((1, 2)), jnp.zeros((1, 2)), weight=0.5))
  1.0
  """
  shapes.check(features=(features, 'B D'), previous=(previous, 'B D'))
  features, previous = at_least_float32(features, previous)
  gap = features - jax.lax.stop_gradient(previous)
  return weight * jnp.mean(jnp.sum(gap * gap, -1))


def cmc_nce(
  z1, z2, bank1, bank2, indices, normalizers, *, temperature=0.07, eps=0.0
):
  """Contrastive multiview coding of two views, each against the other's bank.

  NCE(z1, bank2) + NCE(z2, bank1). For more views add the pairs: all of them
  (full graph) or those with one view (core view).

  Args:
    z1: [B, D] unit rows of view 1.
    z2: [B, D] unit rows of view 2.
    bank1: [N, D] unit rows of view 1; no gradient.
    bank2: [N, D] unit rows of view 2; no gradient.
    indices: [B, 1 + M] int rows of the banks, the positive first.
    normalizers: (Z1, Z2), scalars: of z1 against bank2, of z2 against bank1.
    temperature: above 0.
    eps: in the denominators (1e-7 in the official code).

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Tian et al., Contrastive multiview coding,
    https://arxiv.org/abs/1906.05849, 2019.

  >>> z, bank = jnp.zeros((1, 2)), jnp.eye(2)
  >>> i = jnp.array([[0, 1]])
  >>> round(float(cmc_nce(z, z, bank, bank, i, (2.0, 2.0))), 4)  # 4 log 2
  2.7726
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  options = {'temperature': temperature, 'eps': eps}
  forward = instdisc_nce(z1, bank2, indices, normalizers[0], **options)
  return forward + instdisc_nce(z2, bank1, indices, normalizers[1], **options)


def crd(
  student,
  teacher,
  student_bank,
  teacher_bank,
  indices,
  normalizers,
  *,
  temperature=0.07,
  eps=0.0,
):
  """Contrastive representation distillation.

  NCE(s̄, teacher's bank) + NCE(t̄, student's bank), s̄ and t̄ the normalized
  linear embeddings of the student's and the teacher's features.

  Args:
    student: [B, D] embedded features, any scale; normalized here.
    teacher: [B, D] embedded features of the frozen teacher; normalized here.
      The gradient reaches the teacher's embedding matrix.
    student_bank: [N, D] unit rows; no gradient.
    teacher_bank: [N, D] unit rows; no gradient.
    indices: [B, 1 + M] int rows of the banks, the positive first.
    normalizers: (Z_s, Z_t), scalars above 0.
    temperature: above 0.
    eps: in the denominators (1e-7 in the official code).

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Tian et al., Contrastive representation distillation,
    https://arxiv.org/abs/1910.10699, 2019.

  >>> z, bank, i = jnp.zeros((1, 2)), jnp.eye(2), jnp.array([[0, 1]])
  >>> round(float(crd(z, z, bank, bank, i, (2.0, 2.0))), 4)
  2.7726
  """
  shapes.check(student=(student, 'B D'), teacher=(teacher, 'B D'))
  return cmc_nce(
    distance.normalize(student),
    distance.normalize(teacher),
    student_bank,
    teacher_bank,
    indices,
    normalizers,
    temperature=temperature,
    eps=eps,
  )


def pirl(
  images,
  transformed,
  bank,
  indices,
  *,
  weight=0.5,
  temperature=0.07,
  normalizer=None,
):
  """Pretext-invariant representation learning.

  λ·L(m, g(v_It)) + (1 − λ)·L(m, f(v_I)), L the InfoNCE against the bank m, or
  its NCE where a normalizer is given.

  Args:
    images: [B, D] f of the images, any scale; normalized here.
    transformed: [B, D] g of the transformed images; normalized here.
    bank: [N, D] unit rows; no gradient.
    indices: [B, 1 + M] int rows of the bank, the positive first.
    weight: λ in [0, 1].
    temperature: above 0.
    normalizer: optional scalar Z.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Misra & van der Maaten, Self-supervised learning of pretext-invariant
    representations, https://arxiv.org/abs/1912.01991, 2019.

  Deviations:
    The official code updates the bank between the two terms and draws new
    negatives for the second; here both terms see the same bank and rows.

  >>> z, i = jnp.zeros((1, 2)), jnp.array([[0, 1]])
  >>> round(float(pirl(z, z, jnp.eye(2), i)), 4)
  0.6931
  """
  shapes.check(images=(images, 'B D'), transformed=(transformed, 'B D'))

  def one(features):
    features = distance.normalize(features)
    if normalizer is None:
      return instdisc_softmax(features, bank, indices, temperature=temperature)
    return instdisc_nce(
      features, bank, indices, normalizer, temperature=temperature
    )

  return weight * one(transformed) + (1 - weight) * one(images)
