"""Losses of cluster assignments: one column of outputs for each cluster."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import info_nce, ntxent
from sslax.losses.entropy import entropy, mean_entropy, probabilities
from sslax.ops.cross_entropy import of_views, stacked
from sslax.ops.precision import at_least_float32

__all__ = [
  'cc_cluster',
  'drc',
  'iic',
  'pica',
  'scan',
  'scan_selflabel',
  'self_classifier',
]


def iic(probs1, probs2, *, entropy_weight=1.0, eps=2.220446e-16):
  """Mutual information of the assignments of two views, negated.

  −Σ_kl P_kl (log P_kl − λ log P_k· − λ log P_·l), P the symmetrized mean of
  Φ(x)Φ(x')ᵀ.

  Args:
    probs1: [B, K] class probabilities of view 1.
    probs2: [B, K] class probabilities of view 2.
    entropy_weight: λ; 1 in the paper's equation, above 1 it asks for more
      balance.
    eps: entries below it are set to it, without gradient.

  Returns:
    Scalar, at least −log K at λ = 1.

  Raises:
    ValueError: the shapes differ.

  References:
    Ji et al., Invariant information clustering for unsupervised image
    classification and segmentation, https://arxiv.org/abs/1807.06653, 2019. The
    official code: xu-ji/IIC, IID_losses.py.

  >>> import numpy as np
  >>> round(float(iic(np.eye(2), np.eye(2))), 4)
  -0.6931
  """
  shapes.check(probs1=(probs1, 'B K'), probs2=(probs2, 'B K'))
  probs1, probs2 = at_least_float32(probs1, probs2)
  joint = probs1.T @ probs2
  joint = (joint + joint.T) / 2
  tiny = float(jnp.finfo(joint.dtype).tiny)
  joint = joint / jnp.maximum(jnp.sum(joint), tiny)
  return negative_information(joint, entropy_weight=entropy_weight, eps=eps)


def negative_information(joint, *, entropy_weight=1.0, eps=2.220446e-16):
  """The last step of `iic`, from the joint distribution.

  Args:
    joint: [K, K], non-negative, of sum 1.
    entropy_weight: λ of the marginals.
    eps: entries below it are set to it, without gradient.

  Returns:
    Scalar.
  """

  def floor(x):
    return jnp.where(x < eps, jnp.full_like(x, eps), x)

  log_rows = jnp.log(floor(jnp.sum(joint, 1, keepdims=True)))
  log_columns = jnp.log(floor(jnp.sum(joint, 0, keepdims=True)))
  joint = floor(joint)
  marginals = entropy_weight * (log_rows + log_columns)
  return -jnp.sum(joint * (jnp.log(joint) - marginals))


def cc_cluster(probs1, probs2, *, temperature=1.0):
  """NT-Xent over the columns: clusters are what is told apart.

  (1 / 2K) Σ over the 2K columns of −log [exp(cos⁺ / τ) / Σ_{others} exp(cos /
  τ)], plus Σ_v (log K − H(mean mass of view v)).

  Args:
    probs1: [B, K] class probabilities of view 1.
    probs2: [B, K] class probabilities of view 2.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Li et al., Contrastive clustering, https://arxiv.org/abs/2009.09687, 2020.
    The official code: Yunfan-Li/Contrastive-Clustering, contrastive_loss.py.

  >>> import numpy as np
  >>> round(float(cc_cluster(np.eye(2), np.eye(2))), 4)
  0.5514
  """
  shapes.check(probs1=(probs1, 'B K'), probs2=(probs2, 'B K'))
  probs1, probs2 = at_least_float32(probs1, probs2)
  contrast = ntxent(probs1.T, probs2.T, temperature=temperature)
  return contrast + imbalance(probs1) + imbalance(probs2)


def imbalance(probs):
  """The log of K minus the entropy of the mean mass of the clusters.

  Args:
    probs: [B, K] class probabilities.

  Returns:
    Scalar, at least 0.
  """
  mass = jnp.sum(probs, 0)
  tiny = float(jnp.finfo(mass.dtype).tiny)
  mass = mass / jnp.maximum(jnp.sum(mass), tiny)
  return jnp.log(len(mass)) - entropy(mass)


def pica(probs1, probs2, *, balance_weight=2.0):
  """Partition confidence: each cluster agrees with itself alone.

  −mean_k log softmax_l(cos(q_k, q'_l))_k + λ·(log K − H(mean p)), q the columns
  of the assignment.

  Args:
    probs1: [B, K] class probabilities.
    probs2: [B, K] class probabilities of another view.
    balance_weight: λ.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Huang et al., Deep semantic clustering by partition confidence maximisation,
    CVPR 2020. The official code: Raymond-sci/PICA.

  >>> import numpy as np
  >>> round(float(pica(np.eye(2), np.eye(2))), 4)
  0.3133
  """
  shapes.check(probs1=(probs1, 'B K'), probs2=(probs2, 'B K'))
  probs1, probs2 = at_least_float32(probs1, probs2)
  uncertainty = info_nce(probs1.T, probs2.T, temperature=1.0)
  return uncertainty + balance_weight * imbalance(probs1)


def drc(
  logits1,
  logits2,
  *,
  feature_temperature,
  probability_temperature,
  balance_weight,
):
  """Deep robust clustering: contrasts assignment features and probabilities.

  −mean_i log softmax_j(z_i·z'_j / τ_f)_i − mean_k log softmax_l(q_k·q'_l /
  τ_p)_k + λ·Σ_k (Σ_i p_ik)² / B, z the logits (assignment features), p their
  softmax and q_k its columns.

  Args:
    logits1: [B, K] assignment features, as they are.
    logits2: [B, K] those of another view.
    feature_temperature: τ_f, above 0.
    probability_temperature: τ_p, above 0.
    balance_weight: λ, at least 0; its term is least, B / K, where clusters are
      of one size.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Zhong et al., Deep robust clustering by contrastive learning,
    https://arxiv.org/abs/2008.03030, 2020.

  >>> import numpy as np
  >>> weights = {'feature_temperature': 1.0, 'probability_temperature': 1.0}
  >>> z = np.zeros((2, 2))  # log 2 + log 2 + 1
  >>> round(float(drc(z, z, balance_weight=1.0, **weights)), 4)
  2.3863
  """
  shapes.check(logits1=(logits1, 'B K'), logits2=(logits2, 'B K'))
  probs1, probs2 = probabilities(logits1), probabilities(logits2)
  by_feature = info_nce(
    logits1, logits2, temperature=feature_temperature, normalize=False
  )
  by_cluster = info_nce(
    probs1.T, probs2.T, temperature=probability_temperature, normalize=False
  )
  sizes = jnp.sum(probs1, 0)
  imbalanced = jnp.sum(sizes**2) / probs1.shape[0]
  return by_feature + by_cluster + balance_weight * imbalanced


def scan(anchors, neighbors, *, entropy_weight=2.0):
  """Neighbors share a class, and all classes are used.

  −mean_i log⟨p_i, p_nn(i)⟩ − λ·H(mean_i p_i).

  Args:
    anchors: [B, K] logits.
    neighbors: [B, K] logits of a mined neighbor of every anchor.
    entropy_weight: λ.

  Returns:
    Scalar, at least −λ log K.

  Raises:
    ValueError: the shapes differ.

  References:
    Van Gansbeke et al., SCAN: learning to classify images without labels,
    https://arxiv.org/abs/2005.12320, 2020. The official code:
    wvangansbeke/Unsupervised-Classification, losses.py.

  Deviations:
    The official code cuts the logarithm at −100.

  >>> import numpy as np
  >>> logits = np.array([[9e3, 0.0], [0.0, 9e3]])
  >>> round(float(scan(logits, logits)), 4)
  -1.3863
  """
  shapes.check(anchors=(anchors, 'B K'), neighbors=(neighbors, 'B K'))
  anchors, neighbors = at_least_float32(anchors, neighbors)
  log_product = jax.nn.log_softmax(anchors) + jax.nn.log_softmax(neighbors)
  consistency = -jnp.mean(jax.nn.logsumexp(log_product, -1))
  return consistency + entropy_weight * mean_entropy(anchors)


def scan_selflabel(weak, strong, *, threshold=0.99, balanced=True):
  """Cross-entropy to confident own labels, on strong augmentations.

  Σ_i w_y(i) CE(strong_i, y(i)) / Σ_i w_y(i) over the examples whose weak view
  is surer than the threshold, y its class, w_k = 1 / (share of class k).

  Args:
    weak: [B, K] logits of the weak view; no gradient.
    strong: [B, K] logits of the strong view.
    threshold: in [0, 1].
    balanced: weight the classes; otherwise w = 1.

  Returns:
    Scalar, at least 0; 0 where no example is confident.

  Raises:
    ValueError: the shapes differ.

  References:
    Van Gansbeke et al., SCAN: learning to classify images without labels,
    https://arxiv.org/abs/2005.12320, 2020. The official code:
    wvangansbeke/Unsupervised-Classification, losses.py.

  Deviations:
    The official code stops with an error where no example is confident.

  >>> import numpy as np
  >>> weak = np.array([[9.0, 0.0], [0.1, 0.0]])
  >>> round(float(scan_selflabel(weak, np.zeros((2, 2)))), 4)
  0.6931
  """
  shapes.check(weak=(weak, 'B K'), strong=(strong, 'B K'))
  weak, strong = at_least_float32(jax.lax.stop_gradient(weak), strong)
  probs = probabilities(weak)
  labels = jnp.argmax(probs, -1)
  sure = (jnp.max(probs, -1) > threshold).astype(probs.dtype)
  weights = sure
  if balanced:
    members = jax.nn.one_hot(labels, probs.shape[1], dtype=probs.dtype)
    counts = jnp.sum(members * sure[:, None], 0)
    weights = sure * (jnp.sum(sure) / jnp.maximum(counts, 1))[labels]
  log_probs = jax.nn.log_softmax(strong, -1)
  chosen = jnp.take_along_axis(log_probs, labels[:, None], -1)[:, 0]
  total = jnp.sum(weights)
  safe = jnp.where(total > 0, total, jnp.ones_like(total))
  return -jnp.sum(weights * chosen) / safe


def self_classifier(
  views,
  *,
  num_global=2,
  row_temperature=0.1,
  column_temperature=0.05,
  eps=1e-8,
):
  """Cross-entropy of views under a uniform prior of classes and examples.

  −mean_i Σ_y [p(i|y) / Σ_ỹ p(i|ỹ)] log((B / K)·p(y|i) / Σ_j p(y|j)), p(i|y) a
  softmax over the batch, p(y|i) over the classes; mean over ordered pairs of
  views that are not both local. Gradient flows into both sides.

  Args:
    views: V views of logits [B, K]; global crops first.
    num_global: number of global crops.
    row_temperature: of the softmax over the classes, above 0.
    column_temperature: of the softmax over the batch, above 0.
    eps: smallest sum divided by, and added inside the logarithm.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes differ.

  References:
    Amrani et al., Self-supervised classification network,
    https://arxiv.org/abs/2103.10994, 2021. The official code:
    elad-amrani/self-classifier, loss.py.

  >>> import numpy as np
  >>> z = np.array([[9.0, 0.0], [0.0, 9.0]])
  >>> abs(round(float(self_classifier((z, z))), 4))
  0.0
  """
  shapes.check(**of_views(views=(views, 'B K')))
  views = stacked(views)
  num_views, batch, num_classes = views.shape
  targets = jax.nn.softmax(views / column_temperature, 1)
  targets = targets / jnp.maximum(jnp.sum(targets, 2, keepdims=True), eps)
  probs = jax.nn.softmax(views / row_temperature, 2)
  probs = probs / jnp.maximum(jnp.sum(probs, 1, keepdims=True), eps)
  log_probs = jnp.log(batch / num_classes * probs + eps)
  table = -jnp.einsum('wbk,vbk->wv', targets, log_probs) / batch
  is_global = jnp.arange(num_views) < num_global
  pairs = is_global[:, None] | is_global[None, :]
  pairs = pairs & ~jnp.eye(num_views, dtype=bool)
  total = jnp.sum(jnp.where(pairs, table, jnp.zeros_like(table)))
  return total / jnp.sum(pairs).astype(total.dtype)
