"""Losses against one learned vector for each class."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import distance
from sslax.ops.masked import masked_logsumexp, masked_mean
from sslax.ops.precision import at_least_float32

__all__ = [
  'center',
  'contrastive_center',
  'negative_margin_softmax',
  'proxy_anchor',
  'proxy_nca',
]


def center(x, labels, centers):
  """Center loss: squared distance to the center of the own class.

  mean_i ‖x_i − c_{y_i}‖².

  Args:
    x: [B, D], any scale.
    labels: [B] int in [0, C).
    centers: [C, D], learned.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Wen et al., A discriminative feature learning approach for deep face
    recognition, ECCV 2016.

  Deviations:
    A mean without the factor ½, where the paper halves a sum over the batch.

  >>> x, c = jnp.array([[3.0, 4.0]]), jnp.zeros((2, 2))
  >>> float(center(x, jnp.array([1]), c))
  25.0
  """
  shapes.check(x=(x, 'B D'), labels=(labels, 'B'), centers=(centers, 'C D'))
  x, centers = at_least_float32(x, centers)
  return jnp.mean(jnp.sum((x - centers[labels]) ** 2, -1))


def contrastive_center(x, labels, centers, *, delta=1.0):
  """Contrastive center loss: near to the own center against the others.

  mean_i ½·‖x_i − c_{y_i}‖² / (Σ_{j≠y_i} ‖x_i − c_j‖² + δ).

  Args:
    x: [B, D], any scale.
    labels: [B] int in [0, C).
    centers: [C, D], learned.
    delta: δ, above 0, keeps the denominator from zero.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Qi & Su, Contrastive-center loss for deep neural networks,
    https://arxiv.org/abs/1707.07391, 2017.

  Deviations:
    A mean over the batch, where the paper sums.

  >>> x, c = jnp.array([[1.0]]), jnp.array([[0.0], [2.0]])
  >>> float(contrastive_center(x, jnp.array([0]), c))  # ½ · 1 / (1 + 1)
  0.25
  """
  sizes = shapes.check(
    x=(x, 'B D'), labels=(labels, 'B'), centers=(centers, 'C D')
  )
  x, centers = at_least_float32(x, centers)
  squared = jnp.sum((x[:, None, :] - centers[None, :, :]) ** 2, -1)
  own = _own(labels, sizes['C'])
  inner = jnp.sum(jnp.where(own, squared, jnp.zeros_like(squared)), 1)
  outer = jnp.sum(jnp.where(own, jnp.zeros_like(squared), squared), 1)
  return jnp.mean(inner / (outer + delta)) / 2


def _own(labels, num_classes):
  """[B, C] True at the class of each sample."""
  return labels[:, None] == jnp.arange(num_classes)[None, :]


def proxy_nca(
  embeddings, labels, proxies, *, scale=1.0, positive_in_denominator=False
):
  """Proxy-NCA: neighborhood components analysis against class proxies.

  mean_i −log e^{−c·d²(x_i, p_y)} / Σ_{j≠y} e^{−c·d²(x_i, p_j)}, y = y_i.

  Args:
    embeddings: [B, D], any scale; normalized here.
    labels: [B] int in [0, C), C ≥ 2.
    proxies: [C, D], learned, any scale; normalized here.
    scale: c, above 0.
    positive_in_denominator: sum over all proxies, as a softmax does.

  Returns:
    Scalar; at least 0 with the positive in the denominator.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Movshovitz-Attias et al., No fuss distance metric learning using proxies,
    https://arxiv.org/abs/1703.07464, 2017.

  Deviations:
    pytorch-metric-learning sums over all proxies: positive_in_denominator.

  >>> x = jnp.array([[1.0, 0.0]])  # d² = 0 and 2
  >>> round(float(proxy_nca(x, jnp.array([0]), jnp.eye(2))), 4)
  -2.0
  """
  sizes = shapes.check(
    embeddings=(embeddings, 'B D'),
    labels=(labels, 'B'),
    proxies=(proxies, 'C D'),
  )
  embeddings, proxies = at_least_float32(embeddings, proxies)
  logits = -scale * distance.squared_distances(
    distance.normalize(embeddings), distance.normalize(proxies)
  )
  own = _own(labels, sizes['C'])
  positive = jnp.sum(jnp.where(own, logits, jnp.zeros_like(logits)), 1)
  gaps = masked_logsumexp(logits, ~own) - positive
  return jnp.mean(jax.nn.softplus(gaps) if positive_in_denominator else gaps)


def proxy_anchor(embeddings, labels, proxies, *, margin=0.1, alpha=32.0):
  """Proxy-anchor loss: each proxy is an anchor for the whole batch.

  1/|P⁺| Σ_{p∈P⁺} log(1 + Σ_{x: y=p} e^{−α(s(x,p) − δ)}) + 1/|P| Σ_{p∈P} log(1 +
  Σ_{x: y≠p} e^{α(s(x,p) + δ)}), P⁺ the proxies with a sample in the batch.

  Args:
    embeddings: [B, D], any scale; s is the cosine.
    labels: [B] int in [0, C).
    proxies: [C, D], learned, any scale.
    margin: δ.
    alpha: α, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Kim et al., Proxy anchor loss for deep metric learning,
    https://arxiv.org/abs/2003.13911, 2020.

  >>> x, y = jnp.eye(2), jnp.array([0, 1])  # log(1 + 1/e) + log 2
  >>> round(float(proxy_anchor(x, y, x, margin=0.0, alpha=1.0)), 4)
  1.0064
  """
  sizes = shapes.check(
    embeddings=(embeddings, 'B D'),
    labels=(labels, 'B'),
    proxies=(proxies, 'C D'),
  )
  s = distance.cosine(embeddings, proxies)
  own = _own(labels, sizes['C'])
  pull = masked_logsumexp(-alpha * (s - margin), own, axis=0)
  push = masked_logsumexp(alpha * (s + margin), ~own, axis=0)
  present = jnp.any(own, 0)
  near = masked_mean(jax.nn.softplus(pull), present)
  return near + jnp.mean(jax.nn.softplus(push))


def negative_margin_softmax(
  embeddings, labels, weights, *, margin=-0.3, scale=30.0
):
  """Cosine softmax with a margin, negative for few-shot learning.

  mean_i −log softmax(β·(cos θ_{ic} − m·[c = y_i]))_{y_i}.

  Args:
    embeddings: [B, D], any scale; normalized here.
    labels: [B] int in [0, C).
    weights: [C, D] classifier, any scale; normalized here.
    margin: m, below 0 for few-shot features, above 0 for verification.
    scale: β, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Liu et al., Negative margin matters: understanding margin in few-shot
    classification, https://arxiv.org/abs/2003.12060, 2020.

  >>> x, y = jnp.eye(2), jnp.array([0, 1])
  >>> round(float(negative_margin_softmax(x, y, x, margin=0.0, scale=1.0)), 4)
  0.3133
  """
  sizes = shapes.check(
    embeddings=(embeddings, 'B D'),
    labels=(labels, 'B'),
    weights=(weights, 'C D'),
  )
  logits = scale * distance.cosine(embeddings, weights)
  own = _own(labels, sizes['C'])
  positive = jnp.sum(jnp.where(own, logits, jnp.zeros_like(logits)), 1)
  positive = positive - scale * margin
  return jnp.mean(jax.nn.softplus(masked_logsumexp(logits, ~own) - positive))
