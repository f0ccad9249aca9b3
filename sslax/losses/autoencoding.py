"""Losses of reconstruction: the input, its clean form, or another view."""

import math

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.precision import at_least_float32

__all__ = ['gaussian_reconstruction', 'reconstruction']


def reconstruction(predictions, targets, mask=None, *, form='squared'):
  """Reconstruction of what went in, of its uncorrupted form, or of a view.

  Σ m·ℓ(x̂, x) / Σ m over all entries; squared: (x̂ − x)²; absolute: |x̂ − x|;
  bernoulli: −x log σ(x̂) − (1 − x) log(1 − σ(x̂)), x̂ being logits.

  Args:
    predictions: [B, ...] x̂ of the decoder.
    targets: [B, ...] x: the input (autoencoder), the clean input (denoising),
      the hidden region (context encoder), another view (cross-view); in [0, 1]
      for 'bernoulli'; no gradient.
    mask: optional [B, ...] m of the targets' shape or with axes of 1, in [0,
      1]: 1 = counted, as the entries that were hidden or corrupted.
    form: 'squared', 'absolute' or 'bernoulli'.

  Returns:
    Scalar, at least 0; 0 where nothing counts.

  Raises:
    ValueError: the shapes differ, or an unknown form.

  References:
    Vincent et al., Extracting and composing robust features with denoising
    autoencoders, https://doi.org/10.1145/1390156.1390294, 2008.
    Pathak et al., Context encoders: feature learning by inpainting,
    https://arxiv.org/abs/1604.07379, 2016.

  >>> x = jnp.array([[0.0, 1.0]])
  >>> float(reconstruction(x + 2, x))
  4.0
  """
  if form not in _ERRORS:
    raise ValueError(f'form is {form!r}; expected one of {[*_ERRORS]}')
  predictions, targets = _pair(predictions, targets)
  errors = _ERRORS[form](predictions, targets)
  if mask is None:
    return jnp.mean(errors)
  mask = jnp.asarray(mask)
  if mask.ndim != errors.ndim or any(
    size not in (1, whole)
    for size, whole in zip(mask.shape, errors.shape, strict=True)
  ):
    raise ValueError(
      f'mask has shape {list(mask.shape)}; expected {list(errors.shape)}, or 1'
      ' along some axes'
    )
  mask = jnp.broadcast_to(mask, errors.shape).astype(errors.dtype)
  return jnp.sum(mask * errors) / jnp.maximum(jnp.sum(mask), 1e-12)


def _pair(predictions, targets):
  """The two in one dtype, of one shape; no gradient to the second."""
  spec = 'B ' + ' '.join(f'A{i}' for i in range(1, jnp.ndim(targets)))
  shapes.check(targets=(targets, spec), predictions=(predictions, spec))
  return at_least_float32(predictions, jax.lax.stop_gradient(targets))


_ERRORS = {
  'squared': lambda x, y: (x - y) ** 2,
  'absolute': lambda x, y: jnp.abs(x - y),
  'bernoulli': lambda x, y: jax.nn.softplus(x) - x * y,
}


def gaussian_reconstruction(predictions, targets, log_scale):
  """Negative log-likelihood of the un-augmented input under a normal decoder.

  mean_i −log N(x_i; x̂_i, s²·I), log s = `log_scale`. AASAE decodes x̂ from a
  sample of the augmented input's code, and needs no prior term.

  Args:
    predictions: [B, ...] x̂, the decoder's mean.
    targets: [B, ...] x, before augmentation; no gradient.
    log_scale: [] logarithm of the deviation, learned or fixed.

  Returns:
    Scalar, of either sign.

  Raises:
    ValueError: the shapes differ, or log_scale is not a scalar.

  References:
    Falcon et al., AASAE: augmentation-augmented stochastic autoencoders,
    https://arxiv.org/abs/2107.12329, 2021.

  >>> x = jnp.zeros((1, 2))  # log 2π
  >>> round(float(gaussian_reconstruction(x, x, 0.0)), 4)
  1.8379
  """
  shapes.check(log_scale=(log_scale, ''))
  predictions, targets = _pair(predictions, targets)
  log_scale = jnp.asarray(log_scale).astype(predictions.dtype)
  gaps = (predictions - targets) * jnp.exp(-log_scale)
  level = log_scale + math.log(2 * math.pi) / 2
  return jnp.sum(gaps**2 / 2 + level) / len(predictions)
