"""Losses of feature maps: pixels, regions and their correspondence."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.clustering import negative_information
from sslax.losses.contrastive import cross_entropy
from sslax.ops.cross_entropy import of_views
from sslax.ops.distance import normalize
from sslax.ops.masked import masked_logsumexp, masked_mean
from sslax.ops.precision import at_least_float32

__all__ = [
  'densecl',
  'densecl_dense',
  'detcon',
  'iic_seg',
  'pixel_propagation',
  'pixpro',
]


def pixpro(student, teacher, student_boxes, teacher_boxes, *, pos_ratio=0.7):
  """Agreement of the pixels of two crops that lie near each other.

  −2·mean over images of the mean of y_i·x'_j over pairs of cells whose centers
  are nearer than `pos_ratio` cell diagonals (the larger crop's). One
  direction; the method adds both.

  Args:
    student: [B, H, W, C] propagated features (`pixel_propagation`), unit
      vectors expected; not normalized here.
    teacher: [B, H, W, C] features, unit vectors expected.
    student_boxes: [B, 4] left, top, right, bottom of the crop in the image.
    teacher_boxes: [B, 4] the same of the teacher's crop.
    pos_ratio: the threshold, in diagonals of a cell.

  Returns:
    Scalar in [-2, 2].

  Raises:
    ValueError: a shape is wrong.

  References:
    Xie et al., Propagate yourself: exploring pixel-level consistency for
    unsupervised visual representation learning,
    https://arxiv.org/abs/2011.10043, 2020. The official code: zdaxie/PixPro,
    PixPro.py.

  >>> import numpy as np
  >>> x, box = np.ones((1, 2, 2, 1)), np.array([[0.0, 0.0, 1.0, 1.0]])
  >>> round(float(pixpro(x, x, box, box)), 4)
  -2.0
  """
  sizes = shapes.check(
    student=(student, 'B H W C'),
    teacher=(teacher, 'B H W C'),
    student_boxes=(student_boxes, 'B 4'),
    teacher_boxes=(teacher_boxes, 'B 4'),
  )
  student, teacher, boxes1, boxes2 = at_least_float32(
    student, teacher, student_boxes, teacher_boxes
  )
  grid = sizes['H'], sizes['W']
  near = jax.lax.stop_gradient(_near_cells(boxes1, boxes2, grid, pos_ratio))
  rows = (sizes['B'], -1, sizes['C'])
  student, teacher = jnp.reshape(student, rows), jnp.reshape(teacher, rows)
  similarity = jnp.einsum('bic,bjc->bij', student, teacher)
  count = jnp.sum(near, (1, 2)) + 1e-6
  return -2 * jnp.mean(jnp.sum(similarity * near, (1, 2)) / count)


def _near_cells(boxes1, boxes2, grid, pos_ratio):
  """[B, N, N] of 1 where two cells' centers are near, else 0."""
  (centers1, diagonal1), (centers2, diagonal2) = (
    _cells(boxes, grid) for boxes in (boxes1, boxes2)
  )
  gap = centers1[:, :, None, :] - centers2[:, None, :, :]
  distance = jnp.sqrt(jnp.sum(gap**2, -1))
  diagonal = jnp.maximum(diagonal1, diagonal2)[:, None, None]
  return (distance < pos_ratio * diagonal).astype(gap.dtype)


def _cells(boxes, grid):
  """Returns centers [B, H·W, 2] and diagonals [B] of a crop's cells."""
  height, width = grid
  left, top, right, bottom = boxes.T
  steps = jnp.stack([(right - left) / width, (bottom - top) / height], -1)
  x, y = jnp.meshgrid(
    jnp.arange(width, dtype=boxes.dtype), jnp.arange(height, dtype=boxes.dtype)
  )
  places = jnp.stack([jnp.ravel(x), jnp.ravel(y)], -1) + 0.5
  corner = jnp.stack([left, top], -1)
  centers = corner[:, None, :] + places[None] * steps[:, None, :]
  return centers, jnp.sqrt(jnp.sum(steps**2, -1))


def pixel_propagation(features, values, *, sharpness=2.0, clamp=0.0):
  """Pixel propagation module: every pixel becomes a mean of similar ones.

  y_i = Σ_j max(cos(x_i, x_j), clamp)^γ · g(x_j) / ‖g(x_j)‖.

  Args:
    features: [B, H, W, C], any scale; normalized here.
    values: [B, H, W, D] transformed features g(x), any scale; normalized.
    sharpness: γ, at least 1.
    clamp: least similarity.

  Returns:
    [B, H, W, D], not normalized.

  Raises:
    ValueError: the maps differ.

  References:
    Xie et al., Propagate yourself: exploring pixel-level consistency for
    unsupervised visual representation learning,
    https://arxiv.org/abs/2011.10043, 2020. The official code: zdaxie/PixPro,
    PixPro.py.

  >>> import numpy as np
  >>> x = np.ones((1, 1, 2, 1))
  >>> pixel_propagation(x, x).tolist()
  [[[[2.0], [2.0]]]]
  """
  sizes = shapes.check(
    features=(features, 'B H W C'), values=(values, 'B H W D')
  )
  features, values = at_least_float32(features, values)
  unit = normalize(jnp.reshape(features, (sizes['B'], -1, sizes['C'])))
  values = normalize(values)
  rows = jnp.reshape(values, (sizes['B'], -1, sizes['D']))
  similarity = jnp.maximum(jnp.einsum('bic,bjc->bij', unit, unit), clamp)
  out = jnp.einsum('bij,bjd->bid', similarity**sharpness, rows)
  return jnp.reshape(out, values.shape)


def densecl(
  queries,
  keys,
  queue,
  dense_queries,
  dense_keys,
  query_maps,
  key_maps,
  dense_queue,
  *,
  temperature=0.2,
  dense_weight=0.5,
):
  """Global InfoNCE and the same for every cell of the feature map.

  (1 − λ)·InfoNCE(q, k, queue) + λ·`densecl_dense`.

  Args:
    queries: [B, D], any scale; normalized here.
    keys: [B, D] of the teacher; normalized here; no gradient.
    queue: [K, D] unit rows; no gradient.
    dense_queries: [B, N, D] of the dense head; normalized here.
    dense_keys: [B, N, D] of the teacher's; normalized here; no gradient.
    query_maps: [B, N, C] backbone features that find the matches; no gradient.
    key_maps: [B, N, C]; no gradient.
    dense_queue: [M, D] unit rows; no gradient.
    temperature: above 0.
    dense_weight: λ in [0, 1].

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Wang et al., Dense contrastive learning for self-supervised visual
    pre-training, https://arxiv.org/abs/2011.09157, 2020.

  >>> import numpy as np
  >>> q, x, queue = np.ones((1, 1)), np.ones((1, 2, 1)), np.ones((3, 1))
  >>> round(float(densecl(q, q, queue, x, x, x, x, queue)), 4)
  1.3863
  """
  shapes.check(
    queries=(queries, 'B D'),
    keys=(keys, 'B D'),
    queue=(queue, 'K D'),
  )
  single = _queue_infonce(queries, keys, queue, temperature)
  dense = densecl_dense(
    dense_queries,
    dense_keys,
    query_maps,
    key_maps,
    dense_queue,
    temperature=temperature,
  )
  return (1 - dense_weight) * single + dense_weight * dense


def densecl_dense(
  queries, keys, query_maps, key_maps, queue, *, temperature=0.2
):
  """InfoNCE of every cell with the key of the most similar backbone cell.

  −mean_bi log [exp(q_i·k_c(i) / τ) / Σ exp(q_i·{k_c(i), queue} / τ)] with
  c(i) = argmax_j cos(f_i, f'_j) among the backbone's features.

  Args:
    queries: [B, N, D], any scale; normalized here.
    keys: [B, N, D] of the teacher; normalized here; no gradient.
    query_maps: [B, N, C] backbone features; no gradient.
    key_maps: [B, N, C] backbone features of the teacher; no gradient.
    queue: [M, D] unit rows; no gradient.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Wang et al., Dense contrastive learning for self-supervised visual
    pre-training, https://arxiv.org/abs/2011.09157, 2020.

  >>> import numpy as np
  >>> x = np.ones((1, 2, 1))
  >>> round(float(densecl_dense(x, x, x, x, np.ones((3, 1)))), 4)
  1.3863
  """
  shapes.check(
    queries=(queries, 'B N D'),
    keys=(keys, 'B N D'),
    query_maps=(query_maps, 'B N C'),
    key_maps=(key_maps, 'B N C'),
    queue=(queue, 'M D'),
  )
  similarity = jnp.einsum(
    'bic,bjc->bij', normalize(query_maps), normalize(key_maps)
  )
  match = jnp.argmax(similarity, -1)
  matched = jnp.take_along_axis(jnp.asarray(keys), match[..., None], 1)
  return _queue_infonce(queries, matched, queue, temperature)


def _queue_infonce(queries, keys, queue, temperature):
  """InfoNCE of [..., D] rows with their keys, and a queue of negatives."""
  keys, queue = jax.lax.stop_gradient((keys, queue))
  queries, keys, queue = at_least_float32(queries, keys, queue)
  queries, keys = normalize(queries), normalize(keys)
  positive = jnp.sum(queries * keys, -1) / temperature
  return jnp.mean(cross_entropy(positive, queries @ queue.T / temperature))


def detcon(predictions, targets, masks, *, temperature=0.1):
  """InfoNCE of mask-pooled features: same image and same mask are positive.

  Σ over the two directions of mean_bm w_bm·CE, the cross-entropy to equal
  shares of the positives of the other view, among all features of the other
  view and those of the same view that are not of the same image and mask;
  w = 1 / (times the mask stands in the view) where a positive exists, else 0.

  Args:
    predictions: (view 1, view 2), [B, M, D] each, any scale; normalized here.
    targets: (view 1, view 2), [B, M, D] each, any scale; normalized here. The
      predictions for DetCon-S; for DetCon-B the teacher's, whose gradient the
      caller stops.
    masks: (view 1, view 2), [B, M] integers, the segment of every feature.
    temperature: above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Hénaff et al., Efficient visual pretraining with contrastive detection,
    https://arxiv.org/abs/2103.10957, 2021.

  >>> import numpy as np
  >>> z, masks = (np.ones((1, 2, 1)),) * 2, (np.array([[0, 1]]),) * 2
  >>> round(float(detcon(z, z, masks)), 4)
  2.1972
  """
  shapes.check(
    **of_views(
      predictions=(predictions, 'B M D'),
      targets=(targets, 'B M D'),
      masks=(masks, 'B M'),
    )
  )
  (p1, p2), (t1, t2) = (
    tuple(normalize(at_least_float32(x)) for x in pair)
    for pair in (predictions, targets)
  )
  m1, m2 = (jnp.asarray(mask) for mask in masks)
  first = _detcon_direction(p1, t2, t1, m1, m2, temperature)
  return first + _detcon_direction(p2, t1, t2, m2, m1, temperature)


def _detcon_direction(queries, others, own, mask, other_mask, temperature):
  batch, num, dim = queries.shape
  rows = jnp.reshape(queries, (batch * num, dim)) / temperature
  to_others, to_own = (
    rows @ jnp.reshape(keys, (batch * num, dim)).T for keys in (others, own)
  )
  same_own = mask[:, :, None] == mask[:, None, :]
  counted = ~_of_one_image(same_own)
  total = jnp.logaddexp(
    jax.nn.logsumexp(to_others, -1), masked_logsumexp(to_own, counted)
  )
  # Positives stand in the blocks of one image, apart from the big product.
  positives = mask[:, :, None] == other_mask[:, None, :]
  near = jnp.einsum('bmd,bnd->bmn', queries, others) / temperature
  error = jnp.reshape(total, (batch, num)) - masked_mean(near, positives, -1)
  area = jnp.sum(same_own, -1).astype(error.dtype)
  error = jnp.where(jnp.any(positives, -1), error, jnp.zeros_like(error))
  return jnp.mean(error / area)


def _of_one_image(same):
  """[B, M, M] of pairs within an image -> [B·M, B·M], False between images."""
  batch, num, _ = same.shape
  image = jnp.eye(batch, dtype=bool)[:, None, :, None]
  return jnp.reshape(image & same[:, :, None, :], (batch * num, batch * num))


def iic_seg(probs1, probs2, mask, *, displacement=0, entropy_weight=1.0):
  """Mutual information of the classes of near pixels of two views, negated.

  `iic` of the joint over pixels and displacements up to d in both axes,
  normalized by its sum, which is a constant for the gradient.

  Args:
    probs1: [B, H, W, K] class probabilities.
    probs2: [B, H, W, K] of the other view, brought to the first one's frame.
    mask: [B, H, W], 1 = pixel known in both views.
    displacement: d in pixels; the joint sums over (2d + 1)² shifts.
    entropy_weight: weight of the marginals.

  Returns:
    Scalar, at least −log K at `entropy_weight` 1.

  Raises:
    ValueError: the shapes differ.

  References:
    Ji et al., Invariant information clustering for unsupervised image
    classification and segmentation, https://arxiv.org/abs/1807.06653, 2019. The
    official code: xu-ji/IIC, segmentation/IID_losses.py.

  >>> import numpy as np
  >>> x, mask = np.eye(2).reshape(1, 1, 2, 2), np.ones((1, 1, 2))
  >>> round(float(iic_seg(x, x, mask)), 4)
  -0.6931
  """
  shapes.check(
    probs1=(probs1, 'B H W K'), probs2=(probs2, 'B H W K'), mask=(mask, 'B H W')
  )
  probs1, probs2, mask = at_least_float32(probs1, probs2, mask)
  probs1, probs2 = probs1 * mask[..., None], probs2 * mask[..., None]
  joint = _displaced_joint(probs1, probs2, displacement)
  total = jax.lax.stop_gradient(jnp.sum(joint))
  joint = joint / jnp.maximum(total, float(jnp.finfo(joint.dtype).tiny))
  joint = (joint + joint.T) / 2
  return negative_information(joint, entropy_weight=entropy_weight)


def _displaced_joint(probs1, probs2, displacement):
  """Σ over shifts and pixels of p1(x)·p2(x + shift)ᵀ, [K, K]."""
  d = displacement
  # A sum over shifts of one factor is a box filter of it.
  widths = (1, 2 * d + 1, 2 * d + 1, 1)
  padding = ((0, 0), (d, d), (d, d), (0, 0))
  boxed = jax.lax.reduce_window(
    probs2, 0.0, jax.lax.add, widths, (1, 1, 1, 1), padding
  )
  return jnp.einsum('bhwk,bhwl->kl', probs1, boxed)
