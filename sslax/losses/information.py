"""Losses that measure information: bottlenecks, correlation, regions."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.hsic import gaussian_kernel, ridge_share
from sslax.ops.precision import at_least_float32
from sslax.ops.spectral import stein_score, whitened_correlation

__all__ = [
  'cca',
  'hsic_bottleneck',
  'information_bottleneck',
  'mige',
  'region_mutual_information',
]


def information_bottleneck(mean, log_variance, logits, labels, *, beta=1e3):
  """Variational information bottleneck: forget the input, keep the label.

  I(X;Z) − β I(Z;Y), bounded by mean_i KL(N(μ_i, σ_i²) ‖ N(0, 1)) +
  β·mean_i CE(y_i, logits_i), the logits being read from z ~ N(μ, σ²).

  Args:
    mean: μ [B, D] of the code, any scale.
    log_variance: log σ² [B, D]; overflows float32 beyond 88.
    logits: [B, K] class scores from a sample of the code.
    labels: [B] class in [0, K), int.
    beta: β > 0, price of a nat of the label.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Tishby & Zaslavsky, Deep learning and the information bottleneck principle,
    https://arxiv.org/abs/1503.02406, 2015.
    Alemi et al., Deep variational information bottleneck,
    https://arxiv.org/abs/1612.00410, 2017.

  Deviations:
    Alemi et al. weigh the KL term and call that weight β: it is 1/β here, and
    their objective is this one divided by β.

  >>> import numpy as np
  >>> mean, logits = np.ones((1, 2)), np.zeros((1, 2))
  >>> labels = np.array([0])
  >>> loss = information_bottleneck(mean, 0 * mean, logits, labels, beta=2)
  >>> round(float(loss), 4)
  2.3863
  """
  shapes.check(
    mean=(mean, 'B D'),
    log_variance=(log_variance, 'B D'),
    logits=(logits, 'B K'),
    labels=(labels, 'B'),
  )
  mean, log_variance, logits = at_least_float32(mean, log_variance, logits)
  # expm1 keeps the near-zero regime; σ² − 1 − log σ² is at least 0.
  divergence = mean**2 + jnp.expm1(log_variance) - log_variance
  rate = 0.5 * jnp.mean(jnp.sum(divergence, -1))
  is_label = jax.nn.one_hot(labels, logits.shape[1], dtype=logits.dtype)
  likelihood = jnp.sum(jax.nn.log_softmax(logits) * is_label, -1)
  return rate - beta * jnp.mean(likelihood)


def hsic_bottleneck(
  hidden, inputs, labels, *, beta=500.0, bandwidth=5.0, eps=1e-5
):
  """HSIC bottleneck: a layer depends on the label and not on the input.

  nHSIC(Z, X) − β nHSIC(Z, Y), with normalized HSIC and Gaussian kernels of
  bandwidth σ√D.

  Args:
    hidden: Z [B, D] activations of a layer, any scale.
    inputs: X [B, C] the network's inputs, flat; standardized.
    labels: Y [B, K] one-hot labels.
    beta: β > 0, weight of the label's term.
    bandwidth: σ > 0 of every kernel, for unit-variance features.
    eps: ε of the normalized HSIC. In float32 the value is rounded by about
      1e-7 / ε of itself: raise ε where that matters, or run in float64.

  Returns:
    Scalar, of either sign.

  Raises:
    ValueError: the numbers of rows differ.

  References:
    Ma et al., The HSIC bottleneck: deep learning without back-propagation,
    https://arxiv.org/abs/1908.01580, 2020.

  >>> import numpy as np
  >>> y = np.repeat(np.eye(2), 4, axis=0)
  >>> x = np.tile(np.eye(2), (4, 1))
  >>> round(float(hsic_bottleneck(y, x, y, beta=1.0)), 2)
  -1.0
  """
  shapes.check(
    hidden=(hidden, 'B D'), inputs=(inputs, 'B C'), labels=(labels, 'B K')
  )
  kernels = [
    gaussian_kernel(a, a, bandwidth * a.shape[1] ** 0.5)
    for a in at_least_float32(hidden, inputs, labels)
  ]
  hidden, inputs, labels = (ridge_share(kernel, eps) for kernel in kernels)
  return jnp.sum(hidden * (inputs - beta * labels))


def cca(view1, view2, *, eps=1e-4):
  """Canonical correlation analysis as a loss: minus the total correlation.

  −‖Σ11^{−½} Σ12 Σ22^{−½}‖_*, the sum of the canonical correlations of the two
  views' features, the largest trace that rotating the whitened views reaches.

  Args:
    view1: [B, D], any scale; centered here. B should be well above D.
    view2: [B, C], any scale; centered here.
    eps: added to both covariances, relative to their mean variance, > 0.

  Returns:
    Scalar in [−min(D, C), 0].

  Raises:
    ValueError: the numbers of rows differ.

  References:
    Andrew et al., Deep canonical correlation analysis,
    https://proceedings.mlr.press/v28/andrew13.html, 2013.

  Deviations:
    The ridge is relative to the variance, where the paper adds a constant, so
    that the loss ignores the scale of the features.

  >>> import numpy as np
  >>> x = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
  >>> round(float(cca(x, x[:, ::-1])), 3)
  -2.0
  """
  shapes.check(view1=(view1, 'B D'), view2=(view2, 'B C'))
  _, _, correlation = whitened_correlation(view1, view2, eps)
  return -jnp.sum(jnp.linalg.svd(correlation, compute_uv=False))


def mige(latents, inputs, *, share=0.99):
  """MIGE: a loss whose gradient is minus the gradient of I(X; Z).

  mean_i z_i·sg[∇_z log q(z_i) − ∇_z log q(x_i, z_i)], the scores by the
  spectral Stein estimator. Only the gradient has a meaning, not the value.

  Args:
    latents: Z [B, D] encodings of the inputs, any scale; a differentiable
      function of noise and parameters.
    inputs: X [B, C], any scale, no gradient; project high-dimensional inputs to
      a few dimensions by a fixed random matrix first.
    share: of the kernel's trace that the score estimate keeps, in (0, 1].

  Returns:
    Scalar; to be minimized.

  Raises:
    ValueError: the numbers of rows differ.

  References:
    Wen et al., Mutual information gradient estimation for representation
    learning, https://arxiv.org/abs/2005.01123, 2020.

  >>> import numpy as np
  >>> x = np.array([[0.0], [1.0], [2.0], [4.0]])
  >>> np.isfinite(float(mige(2 * x + x**2, x))).item()
  True
  """
  sizes = shapes.check(latents=(latents, 'B D'), inputs=(inputs, 'B C'))
  latents, inputs = at_least_float32(latents, inputs)
  joint = jnp.concatenate([latents, inputs], axis=1)
  gap = stein_score(latents, share)
  gap = gap - stein_score(joint, share)[:, : sizes['D']]
  return jnp.mean(jnp.sum(latents * jax.lax.stop_gradient(gap), -1))


def region_mutual_information(
  logits, labels, *, radius=3, weight=0.5, pool_size=1, ridge=5e-4
):
  """Region mutual information of predicted and labeled neighborhoods.

  w·BCE + (1 − w)·Σ_c ½ log det(M_c + αI) / d, where M_c = Y Yᵀ −
  Y Pᵀ (P Pᵀ + αI)⁻¹ P Yᵀ is the covariance of a label's R×R neighborhoods
  (columns of Y, d = R²) that those of the prediction (P) leave unexplained,
  for each image and class; averaged over images.

  Args:
    logits: [B, H, W, C] one score for each class, any scale; sigmoid here.
    labels: [B, H, W] class in [0, C); a pixel with another number is ignored.
    radius: R, side of the neighborhoods, in pixels after pooling.
    weight: w in [0, 1], of the binary cross-entropy.
    pool_size: average-pools both maps by this factor first; divides H and W.
    ridge: α > 0.

  Returns:
    Scalar, of either sign (a log determinant).

  Raises:
    ValueError: the shapes differ, or pool_size does not divide H and W.

  References:
    Zhao et al., Region mutual information loss for semantic segmentation,
    https://arxiv.org/abs/1910.12037, 2019.

  Deviations:
    The authors' code runs the determinant in float64. Here M_c is summed from
    residuals of a ridge regression, which keeps it positive in float32. It
    pools by the maximum with a default of 3; here the mean, by default none.
    The cross-entropy is divided by the count of pixels, not that count plus 1.

  >>> import numpy as np
  >>> labels = np.arange(16).reshape(1, 4, 4) % 3 % 2
  >>> right = 9 * np.eye(2)[labels] - 4
  >>> loss = region_mutual_information
  >>> bool(loss(right, labels, radius=2) < loss(-right, labels, radius=2))
  True
  """
  sizes = shapes.check(logits=(logits, 'B H W C'), labels=(labels, 'B H W'))
  if sizes['H'] % pool_size or sizes['W'] % pool_size:
    raise ValueError(
      f'pool_size={pool_size} does not divide logits of'
      f' {sizes["H"]}x{sizes["W"]} pixels'
    )
  logits = at_least_float32(logits)
  valid = jnp.logical_and(labels >= 0, labels < sizes['C'])[..., None]
  valid = valid.astype(logits.dtype)
  truth = jax.nn.one_hot(labels, sizes['C'], dtype=logits.dtype)
  cross_entropy = jax.nn.softplus(logits) - truth * logits
  cross_entropy = jnp.sum(cross_entropy * valid) / jnp.maximum(valid.sum(), 1)
  hidden = _log_det_of_residuals(
    _neighborhoods(_pool(truth * valid, pool_size), radius),
    _neighborhoods(_pool(jax.nn.sigmoid(logits) * valid, pool_size), radius),
    ridge,
  )
  regions = jnp.mean(jnp.sum(0.5 * hidden / radius**2, axis=1))
  return weight * cross_entropy + (1 - weight) * regions


def _pool(x, size):
  b, h, w, c = x.shape
  return jnp.mean(x.reshape(b, h // size, size, w // size, size, c), (2, 4))


def _neighborhoods(x, radius):
  """[B, H, W, C] -> [B, C, R·R, (H-R+1)·(W-R+1)], centered over the places."""
  height, width = x.shape[1] - radius + 1, x.shape[2] - radius + 1
  shifted = jnp.stack(
    [
      x[:, i : i + height, j : j + width]
      for i in range(radius)
      for j in range(radius)
    ]
  )
  vectors = jnp.transpose(shifted, (1, 4, 0, 2, 3))
  vectors = vectors.reshape(*vectors.shape[:3], -1)
  return vectors - jnp.mean(vectors, -1, keepdims=True)


def _log_det_of_residuals(labels, predictions, ridge):
  """Log det of Y Yᵀ − Y Pᵀ (P Pᵀ + αI)⁻¹ P Yᵀ + αI.

  That difference equals (Y − A P)(Y − A P)ᵀ + α A Aᵀ with the ridge
  regression A = Y Pᵀ (P Pᵀ + αI)⁻¹: a sum of squares, positive as rounded.
  """
  identity = jnp.eye(labels.shape[2], dtype=labels.dtype)[None, None]
  gram = predictions @ _transpose(predictions) + ridge * identity
  cross = predictions @ _transpose(labels)
  regression = _transpose(jnp.linalg.solve(gram, cross))
  residual = labels - regression @ predictions
  unexplained = residual @ _transpose(residual) + ridge * identity
  unexplained = unexplained + ridge * regression @ _transpose(regression)
  diagonal = jnp.diagonal(jnp.linalg.cholesky(unexplained), axis1=-2, axis2=-1)
  return 2 * jnp.sum(jnp.log(diagonal), axis=-1)


def _transpose(x):
  return jnp.swapaxes(x, -1, -2)
