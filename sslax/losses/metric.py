"""Metric learning on pairs and triplets."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import distance
from sslax.ops.masked import masked_mean
from sslax.ops.precision import at_least_float32
from sslax.ops.selectors import label_masks

__all__ = [
  'contrastive_margin',
  'contrastive_margin_in_batch',
  'triplet',
  'triplet_in_batch',
]


def contrastive_margin(
  x, y, labels, *, margin=1.0, metric='euclidean', squared=True, eps=0.0
):
  """Pull similar pairs together, push the others beyond a margin (DrLIM).

  mean_i ½·[y_i·d_i² + (1 − y_i)·max(0, m − d_i)²], y_i = 1 for a similar pair.

  Args:
    x: [B, D], any scale.
    y: [B, D], any scale.
    labels: [B], 1 similar, 0 dissimilar; a share between them is graded
      similarity.
    margin: m, above 0.
    metric: 'euclidean', d = ‖x − y‖; 'manhattan', d = Σ|x − y|; or 'cosine',
      d = 1 − cos.
    squared: False gives the linear form y·d + (1 − y)·max(0, m − d).
    eps: added to each coordinate of x − y (1e-6 in PyTorch); not to cosines.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit, or an unknown metric.

  References:
    Hadsell et al., Dimensionality reduction by learning an invariant mapping,
    CVPR 2006.

  >>> x, y = jnp.zeros((2, 1)), jnp.array([[2.0], [0.5]])
  >>> float(contrastive_margin(x, y, jnp.array([1, 0])))  # (4 + 0.25) / 4
  1.0625
  """
  shapes.check(x=(x, 'B D'), y=(y, 'B D'), labels=(labels, 'B'))
  x, y, labels = at_least_float32(x, y, labels)
  if metric not in _METRICS:
    raise ValueError(f'metric is {metric!r}; expected one of {[*_METRICS]}')
  gaps = _METRICS[metric](x, y, eps)
  short = jax.nn.relu(margin - gaps)
  if squared:
    return jnp.mean(labels * gaps**2 + (1 - labels) * short**2) / 2
  return jnp.mean(labels * gaps + (1 - labels) * short)


def _cosine_gap(x, y, eps):
  del eps
  return 1 - jnp.sum(distance.normalize(x) * distance.normalize(y), -1)


_METRICS = {
  'euclidean': lambda x, y, eps: distance.safe_norm(x - y + eps),
  'manhattan': lambda x, y, eps: distance.safe_norm(x - y + eps, ord=1),
  'cosine': _cosine_gap,
}


def contrastive_margin_in_batch(
  embeddings,
  labels,
  *,
  positive_margin=0.0,
  negative_margin=1.0,
  violated_only=False,
):
  """Linear pairwise margin loss over all pairs of a labelled batch.

  mean_{positive pairs} max(0, d − m₊) + mean_{negative pairs} max(0, m₋ − d).

  Args:
    embeddings: [B, D], any scale; d is the Euclidean distance.
    labels: [B] int.
    positive_margin: m₊, at least 0.
    negative_margin: m₋, at least m₊.
    violated_only: take each mean over the pairs with a loss above zero.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Hadsell et al., Dimensionality reduction by learning an invariant mapping,
    CVPR 2006; in this form in
    https://github.com/KevinMusgrave/pytorch-metric-learning.

  >>> x = jnp.array([[0.0], [2.0], [2.5]])
  >>> round(float(contrastive_margin_in_batch(x, jnp.array([0, 0, 1]))), 4)
  2.25
  """
  shapes.check(embeddings=(embeddings, 'B D'), labels=(labels, 'B'))
  positives, negatives = label_masks(labels)
  gaps = distance.distances(embeddings, embeddings)
  pull = jax.nn.relu(gaps - positive_margin)
  push = jax.nn.relu(negative_margin - gaps)
  if violated_only:
    positives, negatives = positives & (pull > 0), negatives & (push > 0)
  return masked_mean(pull, positives) + masked_mean(push, negatives)


def triplet(
  anchors,
  positives,
  negatives,
  *,
  margin=1.0,
  order=2,
  squared=False,
  swap=False,
  smooth=False,
  eps=0.0,
):
  """Triplet loss on explicit triplets.

  mean_i max(0, d(a_i, p_i) − d(a_i, n_i) + m).

  Args:
    anchors: [B, D], any scale.
    positives: [B, D].
    negatives: [B, D].
    margin: m.
    order: p of the norm ‖·‖_p, at least 1.
    squared: use squared distances, as FaceNet on unit rows.
    swap: take the nearer of anchor and positive to the negative.
    smooth: log(1 + e^x) in place of max(0, x).
    eps: added to each coordinate of the differences (1e-6 in PyTorch).

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Schroff et al., FaceNet: a unified embedding for face recognition and
    clustering, https://arxiv.org/abs/1503.03832, 2015.

  >>> a, p, n = jnp.zeros((1, 1)), jnp.ones((1, 1)), jnp.full((1, 1), 1.5)
  >>> float(triplet(a, p, n))
  0.5
  """
  shapes.check(
    anchors=(anchors, 'B D'),
    positives=(positives, 'B D'),
    negatives=(negatives, 'B D'),
  )
  anchors, positives, negatives = at_least_float32(
    anchors, positives, negatives
  )

  def gap(x, y):
    norm = distance.safe_norm(x - y + eps, ord=order)
    return norm**2 if squared else norm

  near, far = gap(anchors, positives), gap(anchors, negatives)
  if swap:
    far = jnp.minimum(far, gap(positives, negatives))
  return jnp.mean(_hinge(near - far + margin, smooth))


def _hinge(violation, smooth):
  return jax.nn.softplus(violation) if smooth else jax.nn.relu(violation)


def triplet_in_batch(
  embeddings,
  labels,
  *,
  margin=0.2,
  mining='all',
  smooth=False,
  violated_only=False,
):
  """Triplet loss over the triplets that a labelled batch holds.

  all: mean over (a, p, n) of max(0, d_ap − d_an + m); hard: mean over anchors
  of max(0, max_p d_ap − min_n d_an + m); semi_hard: mean over (a, p) with n
  the nearest negative beyond p, or the farthest one where none is.

  Args:
    embeddings: [B, D], any scale; d is the Euclidean distance.
    labels: [B] int.
    margin: m.
    mining: 'all', 'hard' or 'semi_hard'.
    smooth: log(1 + e^x) in place of max(0, x).
    violated_only: take the mean over the triplets with a loss above zero.

  Returns:
    Scalar, at least 0; 0 where the batch holds no triplet.

  Raises:
    ValueError: the shapes do not fit, or an unknown mining.

  References:
    Schroff et al., FaceNet, https://arxiv.org/abs/1503.03832, 2015 (semi_hard).
    Hermans et al., In defense of the triplet loss for person
    re-identification, https://arxiv.org/abs/1703.07737, 2017 (all, hard).

  >>> x = jnp.array([[0.0], [1.0], [1.5]])
  >>> y = jnp.array([0, 0, 1])
  >>> round(float(triplet_in_batch(x, y, mining='hard')), 4)  # (0 + 0.7) / 2
  0.35
  """
  shapes.check(embeddings=(embeddings, 'B D'), labels=(labels, 'B'))
  if mining not in ('all', *_MINING):
    names = ['all', *_MINING]
    raise ValueError(f'mining is {mining!r}; expected one of {names}')
  gaps = distance.distances(embeddings, embeddings)
  pairs = label_masks(labels)
  if mining == 'all':
    sums = _smooth_sums if smooth else _hinge_sums
    total, violated = sums(gaps, *pairs, margin)
    num_positives, num_negatives = (
      jnp.sum(mask, 1, dtype=gaps.dtype) for mask in pairs
    )
    count = violated if violated_only else num_positives @ num_negatives
    return total / jnp.maximum(count, 1)
  violation, exists = _MINING[mining](gaps, *pairs)
  losses = _hinge(violation + margin, smooth)
  if violated_only:
    exists = exists & (losses > 0)
  return masked_mean(losses, exists)


def _hinge_sums(gaps, positives, negatives, margin):
  """Sum of max(0, d_ap − d_an + m) over triplets, and how many exceed zero.

  Where a row's d_ap + m and d_an are sorted together, the negatives that
  violate a positive's margin stand before it: their number and their sum are
  all that it needs.
  """
  ends = jnp.where(positives, gaps + margin, gaps)
  # Differences do not know the mean, and sums keep more digits without it.
  ends = ends - jax.lax.stop_gradient(jnp.mean(ends, 1, keepdims=True))
  kinds = jnp.where(positives, 0, jnp.where(negatives, 1, 2))
  ends, kinds = jax.lax.sort((ends, kinds), dimension=1, num_keys=2)
  is_positive, is_negative = kinds == 0, kinds == 1
  zeros = jnp.zeros_like(ends)
  before = jnp.cumsum(is_negative.astype(ends.dtype), 1)
  passed = jnp.cumsum(jnp.where(is_negative, ends, zeros), 1)
  terms = jnp.where(is_positive, before * ends - passed, zeros)
  return jnp.sum(terms), jnp.sum(jnp.where(is_positive, before, zeros))


def _smooth_sums(gaps, positives, negatives, margin):
  """The same for log(1 + e^x), which no sorting shortens: anchor by anchor."""

  @jax.checkpoint
  def of_anchor(row):
    gaps, positives, negatives = row
    losses = jax.nn.softplus(gaps[:, None] - gaps[None, :] + margin)
    exists = positives[:, None] & negatives[None, :]
    losses = jnp.where(exists, losses, jnp.zeros_like(losses))
    return jnp.sum(losses), jnp.sum(losses > 0, dtype=losses.dtype)

  totals, counts = jax.lax.map(of_anchor, (gaps, positives, negatives))
  return jnp.sum(totals), jnp.sum(counts)


def _hardest_triplets(gaps, positives, negatives):
  exists = jnp.any(positives, 1) & jnp.any(negatives, 1)
  return _farthest(gaps, positives) - _nearest(gaps, negatives), exists


def _semi_hard_triplets(gaps, positives, negatives):
  """[B, B] violations by rising distance, and which are of a positive."""
  far = _farthest(gaps, negatives)[:, None]
  # A negative at the distance of a positive is not beyond it: it goes first.
  kinds = jnp.where(negatives, 0, jnp.where(positives, 1, 2))
  gaps, kinds = jax.lax.sort((gaps, kinds), dimension=1, num_keys=2)
  places = jnp.broadcast_to(jnp.arange(gaps.shape[1]), gaps.shape)
  places = jnp.where(kinds == 0, places, gaps.shape[1])
  beyond = jax.lax.cummin(places, axis=1, reverse=True)
  found = beyond < gaps.shape[1]
  nearest = jnp.take_along_axis(gaps, jnp.where(found, beyond, 0), 1)
  exists = (kinds == 1) & jnp.any(negatives, 1)[:, None]
  return gaps - jnp.where(found, nearest, far), exists


def _farthest(gaps, keep):
  """Largest kept distance of each row; 0 where nothing is kept."""
  return jnp.max(jnp.where(keep, gaps, jnp.zeros_like(gaps)), -1)


def _nearest(gaps, keep):
  """Smallest kept distance of each row; the row's largest where none is."""
  ceiling = jnp.max(gaps, -1, keepdims=True)
  ceiling = jnp.broadcast_to(ceiling, gaps.shape)
  return jnp.min(jnp.where(keep, gaps, ceiling), -1)


_MINING = {'hard': _hardest_triplets, 'semi_hard': _semi_hard_triplets}
