"""Losses against prototypes and pseudo-labels."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import cross_entropy, moco
from sslax.ops.cross_entropy import (
  mean_of_other_views,
  of_views,
  stacked,
  view_cross_entropies,
)
from sslax.ops.distance import normalize
from sslax.ops.masked import masked_mean
from sslax.ops.precision import at_least_float32
from sslax.ops.sinkhorn import sinkhorn_codes

__all__ = [
  'deepcluster_v2',
  'nat',
  'odc',
  'pcl',
  'proto_nce',
  'sela',
  'swapped_prediction',
  'swav',
]


def swapped_prediction(scores, codes, *, temperature=0.1):
  """Each view predicts the codes of the other views.

  mean over code views w and score views v ≠ w of
  −mean_i Σ_k q^w_ik log softmax(s^v_i / τ)_k.

  Args:
    scores: V views of prototype scores [B, K]; those with codes first.
    codes: W ≤ V views of codes [B, K], rows of sum 1; no gradient.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Caron et al., Unsupervised learning of visual features by contrasting
    cluster assignments, https://arxiv.org/abs/2006.09882, 2020.

  >>> import numpy as np
  >>> scores, codes = (np.zeros((1, 2)),) * 2, (np.array([[1.0, 0.0]]),) * 2
  >>> round(float(swapped_prediction(scores, codes)), 4)
  0.6931
  """
  shapes.check(**of_views(scores=(scores, 'B K'), codes=(codes, 'B K')))
  codes = jax.lax.stop_gradient(stacked(codes))
  return mean_of_other_views(
    view_cross_entropies(codes, stacked(scores), temperature=temperature)
  )


def swav(
  scores,
  queue_scores=None,
  *,
  num_assigned=2,
  temperature=0.1,
  epsilon=0.05,
  num_iterations=3,
):
  """Swapped prediction of codes that use every prototype equally.

  `swapped_prediction` with q = Sinkhorn-Knopp(scores / ε) of the first views,
  over the batch and, where given, the queue.

  Args:
    scores: V views [B, K], cosines to the prototypes; global crops first.
    queue_scores: per assigned view, scores [Q, K] of earlier embeddings that
      share the Sinkhorn problem; default none.
    num_assigned: views that get codes.
    temperature: of the predictions, above 0.
    epsilon: ε of the codes, above 0.
    num_iterations: of Sinkhorn-Knopp.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Caron et al., Unsupervised learning of visual features by contrasting
    cluster assignments, https://arxiv.org/abs/2006.09882, 2020. The official
    code: facebookresearch/swav, main_swav.py.

  >>> import numpy as np
  >>> scores = (np.eye(2), np.eye(2))
  >>> bool(swav(scores) < swav((np.eye(2), 1 - np.eye(2))))
  True
  """
  shapes.check(
    **of_views(scores=(scores, 'B K'), queue_scores=(queue_scores or (), 'Q K'))
  )
  views = stacked(scores)
  codes = []
  for i, view in enumerate(views[:num_assigned]):
    rows = [view]
    if queue_scores is not None:
      rows.append(jnp.asarray(queue_scores[i]).astype(view.dtype))
    joint = sinkhorn_codes(
      jnp.concatenate(rows), epsilon=epsilon, num_iterations=num_iterations
    )
    codes.append(joint[: len(view)])
  return swapped_prediction(views, codes, temperature=temperature)


def deepcluster_v2(scores, labels, *, temperature=0.1):
  """Cross-entropy of every view to the cluster of its image.

  mean over clusterings of −mean_vi log softmax(s_vi / τ)_label(i), over the
  rows that have a label.

  Args:
    scores: per clustering, V views [B, K] of cosines to the centroids, as
      [V, B, K] or a tuple; K may differ between clusterings.
    labels: per clustering, [B] integers; negative = unassigned, left out.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Caron et al., Unsupervised learning of visual features by contrasting
    cluster assignments, https://arxiv.org/abs/2006.09882, 2020. The official
    code: facebookresearch/swav, main_deepclusterv2.py.

  >>> import numpy as np
  >>> scores = np.zeros((1, 2, 1, 4))
  >>> round(float(deepcluster_v2(scores, np.array([[3]]))), 4)
  1.3863
  """
  losses = []
  for views, label in zip(scores, labels, strict=True):
    shapes.check(**of_views(scores=(views, 'B K')), labels=(label, 'B'))
    views, label = stacked(views), jnp.asarray(label)
    losses.append(_view_label_loss(views, label, temperature))
  return sum(losses) / len(losses)


def _view_label_loss(views, labels, temperature):
  log_probs = jax.nn.log_softmax(views / temperature, -1)
  labels = jnp.broadcast_to(labels[None, :], views.shape[:2])
  safe = jnp.maximum(labels, 0)[..., None]
  chosen = jnp.take_along_axis(log_probs, safe, -1)[..., 0]
  return -masked_mean(chosen, labels >= 0)


def sela(logits, labels):
  """Cross-entropy to self-labels, averaged over heads.

  mean over heads of −mean_i log softmax(x_i)_label(i); the labels are the
  largest entries of `ops.sinkhorn.sinkhorn` of the log-probabilities of the
  data set, an equal partition.

  Args:
    logits: per head, [B, K].
    labels: per head, [B] integers.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Asano et al., Self-labelling via simultaneous clustering and representation
    learning, https://arxiv.org/abs/1911.05371, 2020.

  >>> import numpy as np
  >>> round(float(sela(np.zeros((1, 2, 4)), np.array([[0, 3]]))), 4)
  1.3863
  """
  for head, label in zip(logits, labels, strict=True):
    shapes.check(logits=(head, 'B K'), labels=(label, 'B'))
  views = [jnp.expand_dims(jnp.asarray(head), 0) for head in logits]
  return deepcluster_v2(views, labels, temperature=1.0)


def pcl(
  queries,
  keys,
  queue,
  centroids,
  densities,
  assignments,
  *,
  temperature=0.2,
):
  """InfoNCE with instances, plus `proto_nce` with prototypes (ProtoNCE).

  −mean_i log [exp(q·k / τ) / Σ exp(q·{k, queue} / τ)] + mean over clusterings
  of the same with prototypes, each at its own temperature.

  Args:
    queries: [B, D], any scale; normalized here.
    keys: [B, D] of the teacher, any scale; normalized here; no gradient.
    queue: [K, D] earlier keys, unit rows; no gradient.
    centroids: per clustering, [C, D] unit rows; no gradient.
    densities: per clustering, [C] the concentration φ, above 0.
    assignments: per clustering, [B] the cluster of every example.
    temperature: τ, above 0.

  Returns:
    Scalar.

  Raises:
    ValueError: a shape is wrong.

  References:
    Li et al., Prototypical contrastive learning of unsupervised
    representations, https://arxiv.org/abs/2005.04966, 2020. The official code:
    salesforce/PCL, builder.py and main_pcl.py.

  Deviations:
    All other prototypes are negatives; the official code samples some.

  >>> import numpy as np
  >>> q, labels = np.array([[1.0, 0.0]]), (np.array([0]),)
  >>> protos, density = (np.eye(2),), (np.ones(2),)
  >>> loss = pcl(q, q, np.array([[0.0, 1.0]]), protos, density, labels,
  ...            temperature=1.0)
  >>> round(float(loss), 4)
  0.6265
  """
  shapes.check(
    queries=(queries, 'B D'), keys=(keys, 'B D'), queue=(queue, 'K D')
  )
  instance = moco(queries, keys, queue, temperature=temperature)
  parts = zip(centroids, densities, assignments, strict=True)
  prototype = [proto_nce(queries, *part) for part in parts]
  return instance + sum(prototype) / len(prototype)


def proto_nce(queries, centroids, densities, assignments):
  """Contrast of every query with its prototype, among all prototypes.

  −mean_i log [exp(q_i·c_s(i) / φ_s(i)) / Σ_j exp(q_i·c_j / φ_j)].

  Args:
    queries: [B, D], any scale; normalized here.
    centroids: [C, D] unit rows; no gradient.
    densities: [C] the concentration φ of every prototype, above 0.
    assignments: [B] integers, s(i).

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Li et al., Prototypical contrastive learning of unsupervised
    representations, https://arxiv.org/abs/2005.04966, 2020.

  Deviations:
    As in the official code, the positive prototypes of the batch stand in the
    sum once for every example of theirs.

  >>> import numpy as np
  >>> q, prototypes = np.array([[1.0, 0.0]]), np.eye(2)
  >>> round(float(proto_nce(q, prototypes, np.ones(2), np.array([0]))), 4)
  0.3133
  """
  shapes.check(
    queries=(queries, 'B D'),
    centroids=(centroids, 'C D'),
    densities=(densities, 'C'),
    assignments=(assignments, 'B'),
  )
  queries, centroids, densities = at_least_float32(
    queries, centroids, densities
  )
  centroids, densities = jax.lax.stop_gradient((centroids, densities))
  scores = normalize(queries) @ centroids.T / densities[None, :]
  assignments = jnp.asarray(assignments)
  positives = scores[:, assignments]
  in_batch = jnp.zeros(len(centroids), bool).at[assignments].set(True)
  keep = jnp.broadcast_to(~in_batch[None, :], scores.shape)
  others = jnp.concatenate([~jnp.eye(len(queries), dtype=bool), keep], 1)
  rivals = jnp.concatenate([positives, scores], 1)
  return jnp.mean(cross_entropy(jnp.diagonal(positives), rivals, others))


def odc(logits, labels, counts, *, eps=1e-10):
  """Cross-entropy to pseudo-labels, rare clusters weighted up.

  −Σ_i w_y(i) log softmax(x_i)_y(i) / Σ_i w_y(i), w_k ∝ 1 / √N_k, N_k the number
  of samples that the memory has in cluster k.

  Args:
    logits: [B, K].
    labels: [B] integers of the samples memory.
    counts: [K] the sizes of the clusters; no gradient.
    eps: added to the counts.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Zhan et al., Online deep clustering for unsupervised representation
    learning, https://arxiv.org/abs/2006.10645, 2020. The official code:
    open-mmlab/OpenSelfSup, models/odc.py.

  >>> import numpy as np
  >>> round(float(odc(np.zeros((2, 4)), np.array([0, 1]), np.ones(4))), 4)
  1.3863
  """
  shapes.check(
    logits=(logits, 'B K'), labels=(labels, 'B'), counts=(counts, 'K')
  )
  logits, counts = at_least_float32(logits, jax.lax.stop_gradient(counts))
  labels = jnp.asarray(labels)
  weights = (1 / jnp.sqrt(counts + eps))[labels]
  log_probs = jax.nn.log_softmax(logits, -1)
  chosen = jnp.take_along_axis(log_probs, labels[:, None], -1)[:, 0]
  return -jnp.sum(weights * chosen) / jnp.sum(weights)


def nat(embeddings, targets):
  """Distance to the assigned noise targets.

  ½ mean_i ‖z̄_i − y_P(i)‖² with z̄ unit rows; the permutation P of the batch's
  targets is found by `ops.hungarian`.

  Args:
    embeddings: [B, D], any scale; normalized here.
    targets: [B, D] unit rows, already permuted; no gradient.

  Returns:
    Scalar in [0, 2].

  Raises:
    ValueError: the shapes differ.

  References:
    Bojanowski and Joulin, Unsupervised learning by predicting noise,
    https://arxiv.org/abs/1704.05310, 2017. The official code:
    facebookresearch/noise-as-targets, main.lua.

  Deviations:
    The official code sums over the batch, without the half.

  >>> import numpy as np
  >>> float(nat(np.array([[2.0, 0.0]]), np.array([[0.0, 1.0]])))
  1.0
  """
  shapes.check(embeddings=(embeddings, 'B D'), targets=(targets, 'B D'))
  targets = jax.lax.stop_gradient(targets)
  embeddings, targets = at_least_float32(embeddings, targets)
  gap = normalize(embeddings) - targets
  return jnp.mean(jnp.sum(gap**2, -1)) / 2
