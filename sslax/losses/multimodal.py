"""Losses between two modalities: images, video, audio and text."""

import math

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.predictive import masked_language_modeling
from sslax.ops import pair_sums
from sslax.ops.masked import masked_logsumexp
from sslax.ops.precision import at_least_float32

__all__ = [
  'clip',
  'image_text_matching',
  'masked_object_classification',
  'masked_region_regression',
  'mil_nce',
  'siglip',
]


def clip(image, text, logit_scale, *, image_weight=0.5):
  """CLIP: symmetric cross-entropy over the batch's image-text similarities.

  w·CE(rows of s·I Tᵀ) + (1 − w)·CE(columns), the diagonal being the true
  pairs, w = ½. ConVIRT weights the two directions with w = 0.75; ALIGN sums
  them (twice this value).

  Args:
    image: [B, D] image embeddings, unit rows (`sslax.ops.distance.normalize`);
      not normalized here.
    text: [B, D] text embeddings, unit rows; row i describes image i.
    logit_scale: [] one over the temperature, > 0; in CLIP exp of a learned
      scalar.
    image_weight: w in [0, 1], weight of the image-to-text direction.

  Returns:
    Scalar, at least 0; log B where all similarities are equal.

  Raises:
    ValueError: the shapes differ, or logit_scale is not a scalar.

  References:
    Radford et al., Learning transferable visual models from natural language
    supervision, https://arxiv.org/abs/2103.00020, 2021.
    Zhang et al., Contrastive learning of medical visual representations from
    paired images and text, https://arxiv.org/abs/2010.00747, 2020.

  >>> import numpy as np
  >>> round(float(clip(np.eye(2), np.eye(2), 1.0)), 4)
  0.3133
  """
  image, text = _scaled_pairs(image, text, logit_scale)
  if pair_sums.too_many(len(image), len(text), image):
    positive, ids = jnp.sum(image * text, -1), _numbers(image)
    totals = pair_sums.logsumexp_both(image, text, ids, ids)
  else:
    logits = image @ text.T
    others = ~jnp.eye(logits.shape[0], dtype=bool)
    positive = logits.diagonal()
    totals = [masked_logsumexp(logits, others, axis) for axis in (1, 0)]
  to_text, to_image = (jax.nn.softplus(total - positive) for total in totals)
  weighted = image_weight * to_text + (1 - image_weight) * to_image
  return jnp.mean(weighted)


def siglip(image, text, logit_scale, logit_bias):
  """SigLIP: every image-text pair of the batch is a binary classification.

  −1/B Σ_i Σ_j log σ(y_ij (s·i_i·t_j + b)), y_ij = 1 on the diagonal, −1 off it.

  Args:
    image: [B, D] image embeddings, unit rows; not normalized here.
    text: [B, D] text embeddings, unit rows; row i describes image i.
    logit_scale: [] one over the temperature, > 0 (exp of a learned scalar, 10
      to begin with).
    logit_bias: [] learned, −10 to begin with, against the many negatives.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ, or scale or bias is not a scalar.

  References:
    Zhai et al., Sigmoid loss for language image pre-training,
    https://arxiv.org/abs/2303.15343, 2023.

  >>> import numpy as np
  >>> round(float(siglip(np.eye(2), np.eye(2), 1.0, 0.0)), 4)
  1.0064
  """
  shapes.check(logit_bias=(logit_bias, ''))
  image, text = _scaled_pairs(image, text, logit_scale)
  bias = jnp.asarray(logit_bias, image.dtype)
  if pair_sums.too_many(len(image), len(text), image):
    return _streamed_siglip(image, text, bias)
  logits = image @ text.T + bias
  is_pair = jnp.eye(logits.shape[0], dtype=bool)
  agreement = jax.nn.log_sigmoid(jnp.where(is_pair, logits, -logits))
  return -jnp.mean(jnp.sum(agreement, axis=1))


def _streamed_siglip(image, text, bias):
  """As `siglip` of scaled images, without the matrix of all pairs."""
  ids, biases = _numbers(image), jnp.full(len(image), bias)
  own = jax.nn.softplus(-(jnp.sum(image * text, -1) + biases))
  others = pair_sums.sum_of_scores(
    (image, biases), text, ids, ids, score=_softplus_logits
  )
  return jnp.mean(own + others)


def _softplus_logits(image_and_bias, text):
  image, bias = image_and_bias
  return jax.nn.softplus(image @ text.T + bias[:, None])


def mil_nce(video, text, *, count_positives_twice=False):
  """MIL-NCE: each video has a bag of candidate narrations, at least one right.

  −mean_i log Σ_{P_i} e^{v·t} / (Σ_{P_i} e^{v·t} + Σ_{N_i} e^{v·t}), where P_i
  pairs video i with its K candidates, and N_i pairs it with the candidates of
  other videos, and its candidates with other videos.

  Args:
    video: [B, D] clip embeddings, any scale; not normalized.
    text: [B, K, D] embeddings of the K candidate narrations of each clip.
    count_positives_twice: the denominator of the authors' code, for their
      published numbers.

  Returns:
    Scalar, at least 0 (at least log 2 with count_positives_twice).

  Raises:
    ValueError: the shapes differ.

  References:
    Miech et al., End-to-end learning of visual representations from uncurated
    instructional videos, https://arxiv.org/abs/1912.06430, 2020.

  Deviations:
    The authors' code takes the positive bag into the denominator twice, once
    by the row and once by the column; the paper once, and so does this.

  >>> import numpy as np
  >>> round(float(mil_nce(np.eye(2), np.eye(2)[:, None])), 4)
  0.5514
  """
  sizes = shapes.check(video=(video, 'B D'), text=(text, 'B K D'))
  video, text = at_least_float32(video, text)
  positive = jax.nn.logsumexp(jnp.einsum('id,ikd->ik', video, text), 1)
  scores = video @ jnp.reshape(text, (-1, sizes['D'])).T
  others = jnp.repeat(~jnp.eye(sizes['B'], dtype=bool), sizes['K'], 1)
  by_candidate = masked_logsumexp(scores, others, 0)
  by_bag = jax.nn.logsumexp(jnp.reshape(by_candidate, (-1, sizes['K'])), 1)
  negative = jnp.logaddexp(masked_logsumexp(scores, others), by_bag)
  once = math.log(2) if count_positives_twice else 0.0
  return jnp.mean(jnp.logaddexp(once, negative - positive))


def image_text_matching(logits, matches):
  """Image-text matching: tells true captions from swapped ones.

  Binary cross-entropy mean_i [softplus(s_i) − y_i s_i].

  Args:
    logits: [B] scores of the fused pairs, any scale; positive means a match.
    matches: [B] 1 for a true pair, 0 for a swapped caption; bool, int or float.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Qi et al., ImageBERT: cross-modal pre-training with large-scale
    weak-supervised image-text data, https://arxiv.org/abs/2001.07966, 2020.

  >>> import numpy as np
  >>> round(float(image_text_matching(np.zeros(2), np.array([1, 0]))), 4)
  0.6931
  """
  shapes.check(logits=(logits, 'B'), matches=(matches, 'B'))
  logits, matches = at_least_float32(logits, matches)
  return -jnp.mean(
    matches * jax.nn.log_sigmoid(logits)
    + (1 - matches) * jax.nn.log_sigmoid(-logits)
  )


def masked_object_classification(logits, classes, mask):
  """Masked object classification: name the object behind each hidden region.

  Cross-entropy with the detector's class, averaged over the hidden regions of
  the whole batch; zero where nothing is hidden.

  Args:
    logits: [B, N, K] class scores of each region, any scale.
    classes: [B, N] the detector's class in [0, K), int.
    mask: [B, N] 1 = hidden; bool, int or float.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Qi et al., ImageBERT: cross-modal pre-training with large-scale
    weak-supervised image-text data, https://arxiv.org/abs/2001.07966, 2020.

  >>> import numpy as np
  >>> logits, mask = np.zeros((1, 2, 4)), np.array([[1, 0]])
  >>> classes = np.array([[2, 0]])
  >>> round(float(masked_object_classification(logits, classes, mask)), 4)
  1.3863
  """
  return masked_language_modeling(logits, classes, mask)


def masked_region_regression(predictions, features, mask):
  """Masked region feature regression: recover the features of hidden regions.

  Σ_hidden ‖p − f‖² / number of hidden regions of the whole batch; zero where
  nothing is hidden.

  Args:
    predictions: [B, N, D] predicted features, any scale.
    features: [B, N, D] the detector's region features; no gradient.
    mask: [B, N] 1 = hidden; bool, int or float.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Qi et al., ImageBERT: cross-modal pre-training with large-scale
    weak-supervised image-text data, https://arxiv.org/abs/2001.07966, 2020.

  >>> import numpy as np
  >>> predictions, features = np.zeros((1, 2, 2)), np.ones((1, 2, 2))
  >>> mask = np.array([[1, 0]])
  >>> float(masked_region_regression(predictions, features, mask))
  2.0
  """
  shapes.check(
    predictions=(predictions, 'B N D'),
    features=(features, 'B N D'),
    mask=(mask, 'B N'),
  )
  predictions, features, mask = at_least_float32(predictions, features, mask)
  gap = predictions - jax.lax.stop_gradient(features)
  squared = jnp.sum(gap * gap, -1)
  return jnp.sum(squared * mask) / jnp.maximum(jnp.sum(mask), 1)


def _scaled_pairs(image, text, logit_scale):
  """Images times the scale, and texts; their products are the logits."""
  shapes.check(
    image=(image, 'B D'), text=(text, 'B D'), logit_scale=(logit_scale, '')
  )
  image, text = at_least_float32(image, text)
  # Scaled before the product: a compiler that fuses the multiplication into the
  # softmax's subtraction would leave rounding errors to overflow.
  return jnp.asarray(logit_scale, image.dtype) * image, text


def _numbers(rows):
  return jnp.arange(len(rows), dtype=jnp.int32)
