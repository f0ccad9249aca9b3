"""Losses of masked prediction: tokens, pixels and features. Mask 1 = hidden."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.centering import sharpened
from sslax.ops.cross_entropy import (
  mean_of_other_views,
  of_views,
  soft_cross_entropy,
  stacked,
  view_cross_entropies,
)
from sslax.ops.masked import masked_mean
from sslax.ops.precision import at_least_float32

__all__ = [
  'beit',
  'cae',
  'ibot',
  'mae',
  'patch_distillation',
  'simmim',
]


def mae(predictions, targets, mask):
  """Squared error of the hidden patches.

  Σ_hidden mean_pixels (x̂ − x)² / number of hidden patches. For MAE's
  normalized pixels give `ops.patches.normalized_patches(targets)`.

  Args:
    predictions: [B, N, D] predicted patches.
    targets: [B, N, D] patches of the image; no gradient.
    mask: [B, N], 1 = hidden (in the loss).

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    He et al., Masked autoencoders are scalable vision learners,
    https://arxiv.org/abs/2111.06377, 2021. The official code:
    facebookresearch/mae, models_mae.py.

  >>> import numpy as np
  >>> x = np.array([[[0.0], [0.0]]])
  >>> float(mae(x + 2, x, np.array([[1, 0]])))
  4.0
  """
  shapes.check(
    predictions=(predictions, 'B N D'),
    targets=(targets, 'B N D'),
    mask=(mask, 'B N'),
  )
  targets = jax.lax.stop_gradient(targets)
  predictions, targets, mask = at_least_float32(predictions, targets, mask)
  error = jnp.mean((predictions - targets) ** 2, -1)
  return jnp.sum(error * mask) / jnp.maximum(jnp.sum(mask), 1)


def simmim(predictions, images, mask):
  """Absolute error of the hidden pixels.

  Σ_hidden |x̂ − x| / (number of hidden pixels · channels).

  Args:
    predictions: [B, H, W, C] predicted image.
    images: [B, H, W, C]; no gradient.
    mask: [B, h, w] of patches, 1 = hidden; h and w divide H and W.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Xie et al., SimMIM: a simple framework for masked image modeling,
    https://arxiv.org/abs/2111.09886, 2021.

  >>> import numpy as np
  >>> x = np.zeros((1, 2, 2, 1))
  >>> float(simmim(x + 3, x, np.ones((1, 1, 1))))
  3.0
  """
  sizes = shapes.check(
    predictions=(predictions, 'B H W C'),
    images=(images, 'B H W C'),
    mask=(mask, 'B h w'),
  )
  images = jax.lax.stop_gradient(images)
  predictions, images, mask = at_least_float32(predictions, images, mask)
  mask = jnp.repeat(mask, sizes['H'] // sizes['h'], 1)
  mask = jnp.repeat(mask, sizes['W'] // sizes['w'], 2)
  error = jnp.sum(jnp.abs(predictions - images), -1)
  count = jnp.maximum(jnp.sum(mask), 1) * sizes['C']
  return jnp.sum(error * mask) / count


def beit(logits, tokens, mask):
  """Cross-entropy of the hidden patches' visual tokens.

  −mean over hidden patches of log softmax(logits)_token.

  Args:
    logits: [B, N, K] over the tokenizer's vocabulary.
    tokens: [B, N] integers in [0, K).
    mask: [B, N], 1 = hidden (in the loss).

  Returns:
    Scalar, at least 0; 0 where nothing is hidden.

  Raises:
    ValueError: the shapes differ.

  References:
    Bao et al., BEiT: BERT pre-training of image transformers,
    https://arxiv.org/abs/2106.08254, 2021.

  >>> import numpy as np
  >>> mask, tokens = np.array([[1, 0]]), np.array([[3, 0]])
  >>> round(float(beit(np.zeros((1, 2, 4)), tokens, mask)), 4)
  1.3863
  """
  shapes.check(
    logits=(logits, 'B N K'), tokens=(tokens, 'B N'), mask=(mask, 'B N')
  )
  log_probs = jax.nn.log_softmax(at_least_float32(logits), -1)
  tokens = jnp.asarray(tokens)[..., None]
  chosen = jnp.take_along_axis(log_probs, tokens, -1)[..., 0]
  return -masked_mean(chosen, jnp.asarray(mask).astype(bool))


def cae(logits, tokens, mask, latents, targets, *, alignment_weight=2.0):
  """Tokens of the hidden patches, read from latents that are regressed.

  beit(logits, tokens, mask) + λ·mean over hidden patches and features of
  (ẑ − z)²: the regressor's latents ẑ of hidden patches must lie where the
  encoder puts those patches when it sees them.

  Args:
    logits: [B, N, K] of the decoder, over the tokenizer's vocabulary.
    tokens: [B, N] integers in [0, K).
    mask: [B, N], 1 = hidden (in the loss).
    latents: [B, N, D] ẑ of the latent contextual regressor.
    targets: [B, N, D] z of the encoder (or its teacher) on the hidden patches;
      no gradient.
    alignment_weight: λ, at least 0.

  Returns:
    Scalar, at least 0; 0 where nothing is hidden.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Chen et al., Context autoencoder for self-supervised representation
    learning, https://arxiv.org/abs/2202.03026, 2022. In code:
    open-mmlab/mmselfsup, cae_loss.py.

  >>> import numpy as np
  >>> mask, tokens, z = np.array([[1]]), np.array([[3]]), np.zeros((1, 1, 2))
  >>> loss = cae(np.zeros((1, 1, 4)), tokens, mask, z, z + 1)  # log 4 + 2
  >>> round(float(loss), 4)
  3.3863
  """
  prediction = beit(logits, tokens, mask)
  shapes.check(
    mask=(mask, 'B N'), latents=(latents, 'B N D'), targets=(targets, 'B N D')
  )
  targets = jax.lax.stop_gradient(targets)
  latents, targets = at_least_float32(latents, targets)
  gaps = jnp.mean((latents - targets) ** 2, -1)
  alignment = masked_mean(gaps, jnp.asarray(mask).astype(bool))
  return prediction + alignment_weight * alignment


def patch_distillation(student, probs, mask, *, student_temperature=0.1):
  """Cross-entropy of the hidden patches to the teacher's patch distribution.

  mean over images of Σ_hidden −Σ_k p_k log softmax(s / τ_s)_k / number of
  hidden patches of the image (images without any count as 0).

  Args:
    student: [B, N, K] logits.
    probs: [B, N, K] the teacher's probabilities on the full image, of
      `ops.centering.sharpened` or `ops.sinkhorn.sinkhorn_codes`; no gradient.
    mask: [B, N], 1 = hidden.
    student_temperature: τ_s, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Zhou et al., iBOT: image BERT pre-training with online tokenizer,
    https://arxiv.org/abs/2111.07832, 2021; Oquab et al., DINOv2,
    https://arxiv.org/abs/2304.07193, 2023. The official code:
    facebookresearch/dinov2, ibot_patch_loss.py.

  >>> import numpy as np
  >>> probs, mask = np.full((1, 2, 4), 0.25), np.array([[1, 0]])
  >>> loss = patch_distillation(np.zeros((1, 2, 4)), probs, mask)
  >>> round(float(loss), 4)
  1.3863
  """
  shapes.check(
    student=(student, 'B N K'), probs=(probs, 'B N K'), mask=(mask, 'B N')
  )
  probs = jax.lax.stop_gradient(at_least_float32(probs))
  error = soft_cross_entropy(probs, student, temperature=student_temperature)
  return jnp.mean(masked_mean(error, jnp.asarray(mask).astype(bool), axis=-1))


def ibot(
  student,
  teacher,
  student_patches,
  teacher_patches,
  masks,
  center,
  patch_center,
  *,
  student_temperature=0.1,
  teacher_temperature=0.04,
  patch_temperature=0.07,
  patch_weight=1.0,
):
  """DINO on the class token, plus patch distillation within each view.

  DINO's mean over different views of the class token's cross-entropy, plus
  the mean over global views of `patch_distillation` of the view to itself.

  Args:
    student: V views of class-token logits [B, K]; global crops first.
    teacher: W ≤ V global views of logits [B, K]; no gradient.
    student_patches: W views of patch logits [B, N, D], from masked images.
    teacher_patches: W views of patch logits [B, N, D]; no gradient.
    masks: W masks [B, N], 1 = hidden.
    center: [K], the running mean of the teacher's class-token logits.
    patch_center: [D], the running mean of its patch logits.
    student_temperature: above 0.
    teacher_temperature: of the class token, above 0.
    patch_temperature: of the teacher's patches, above 0.
    patch_weight: weight of the patch term.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Zhou et al., iBOT: image BERT pre-training with online tokenizer,
    https://arxiv.org/abs/2111.07832, 2021. The official code: bytedance/ibot,
    main_ibot.py.

  >>> import numpy as np
  >>> z, x, mask = (np.zeros((1, 2)),) * 2, (np.zeros((1, 3, 2)),) * 2, (
  ...   np.ones((1, 3)),) * 2
  >>> round(float(ibot(z, z, x, x, mask, np.zeros(2), np.zeros(2))), 4)
  1.3863
  """
  shapes.check(
    **of_views(student=(student, 'B K'), teacher=(teacher, 'B K')),
    center=(center, 'K'),
    **of_views(
      student_patches=(student_patches, 'B N D'),
      teacher_patches=(teacher_patches, 'B N D'),
      masks=(masks, 'B N'),
    ),
    patch_center=(patch_center, 'D'),
  )
  probs = sharpened(stacked(teacher), center, temperature=teacher_temperature)
  logits = stacked(student)
  cls = mean_of_other_views(
    view_cross_entropies(probs, logits, temperature=student_temperature)
  )
  patches = [
    patch_distillation(
      s,
      sharpened(t, patch_center, temperature=patch_temperature),
      mask,
      student_temperature=student_temperature,
    )
    for s, t, mask in zip(student_patches, teacher_patches, masks, strict=True)
  ]
  return cls + patch_weight * sum(patches) / len(patches)
