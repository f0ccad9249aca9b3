"""Losses whose positives are other images, or other objects, of one kind."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import cross_entropy, negative_logits
from sslax.ops import distance
from sslax.ops.precision import at_least_float32

__all__ = ['interclr', 'mvcln']


def interclr(queries, positives, negatives, *, temperature=0.2, margin=-0.5):
  """Inter-image invariance: a query and an image of its pseudo-class.

  mean_i −log e^{(q_i·p_i − m)/τ} / (e^{(q_i·p_i − m)/τ} + Σ_n e^{q_i·n/τ}). A
  negative margin lets images of one pseudo-class stay different. InterCLR adds
  0.25 of it to 0.75 of MoCo's loss, the intra-image branch.

  Args:
    queries: [B, D] student's, any scale; normalized here.
    positives: [B, D] bank rows of the queries' pseudo-classes, as
      `sslax.ops.pseudo_labels.members` draws them; unit rows; no gradient.
    negatives: [B, K, D] or [K, D] bank rows of other pseudo-classes, as
      `sslax.ops.pseudo_labels.semi_hard_rows` draws them; unit rows; no
      gradient.
    temperature: τ, above 0.
    margin: m, subtracted from the cosine of the positive.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Xie et al., Delving into inter-image invariance for unsupervised visual
    representations, https://arxiv.org/abs/2008.11702, 2020. The official code:
    open-mmlab/mmselfsup, interclr_moco.py.

  >>> q, n = jnp.eye(2)[:1], jnp.eye(2)[1:]  # log(1 + e^{−1 + 1})
  >>> round(float(interclr(q, q, n, temperature=1.0, margin=1.0)), 4)
  0.6931
  """
  shapes.check(queries=(queries, 'B D'), positives=(positives, 'B D'))
  positives, negatives = jax.lax.stop_gradient((positives, negatives))
  queries, positives = at_least_float32(queries, positives)
  queries = distance.normalize(queries)
  logits = negative_logits(queries, negatives) / temperature
  positive = jnp.sum(queries * positives, -1) - margin
  return jnp.mean(cross_entropy(positive / temperature, logits))


def mvcln(x, y, paired, *, margin=5.0, robust=True):
  """Noise-robust contrastive loss of pairs whose negatives may be false.

  (1/2) mean_i [P_i·d_i² + (1 − P_i)·ℓ⁻(d_i)], d_i = ‖x_i − y_i‖; robust:
  ℓ⁻(d) = (1/m)·max(0, √d·(m − d))², which falls again below d = m/3, so that
  close pairs are pulled together though they are called negative; else
  ℓ⁻(d) = max(0, m − d)².

  Args:
    x: [B, D] embeddings of one modality, any scale.
    y: [B, D] embeddings of the other.
    paired: [B] P, 1 for a known correspondence, 0 for a random pair.
    margin: m, above 0.
    robust: the second stage of training, entered when the mean distance of
      the random pairs has grown beyond the margin; False is the first stage.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Yang et al., Partially view-aligned representation learning with
    noise-robust contrastive loss, CVPR 2021. The official code:
    XLearning-SCU/2021-CVPR-MvCLN, run.py.

  >>> x, y = jnp.zeros((2, 1)), jnp.array([[1.0], [1.0]])
  >>> loss = mvcln(x, y, jnp.array([1, 0]), margin=2.0)  # (1 + 1/2) / 4
  >>> round(float(loss), 4)
  0.375
  """
  shapes.check(x=(x, 'B D'), y=(y, 'B D'), paired=(paired, 'B'))
  x, y, paired = at_least_float32(x, y, paired)
  gap = distance.safe_norm(x - y)
  short = jax.nn.relu(margin - gap) ** 2
  push = gap * short / margin if robust else short
  return jnp.mean(paired * gap**2 + (1 - paired) * push) / 2
