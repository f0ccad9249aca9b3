"""Cases of sslax.losses.information."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case


def _code(rng):
  return {
    'mean': rng.normal(size=(8, 3)).astype(np.float32),
    'log_variance': rng.normal(size=(8, 3)).astype(np.float32),
    'logits': rng.normal(size=(8, 4)).astype(np.float32),
    'labels': rng.integers(0, 4, 8),
  }


def _layer(rng):
  labels = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 16)]
  hidden = labels @ rng.normal(size=(3, 4)) + rng.normal(size=(16, 4))
  return {
    'hidden': hidden.astype(np.float32),
    'inputs': rng.normal(size=(16, 5)).astype(np.float32),
    'labels': labels,
  }


def _two_views(rng):
  view1 = rng.normal(size=(24, 3))
  view2 = view1[:, :2] + rng.normal(size=(24, 2))
  return {
    'view1': view1.astype(np.float32),
    'view2': view2.astype(np.float32),
  }


def _encodings(rng):
  inputs = rng.normal(size=(16, 2))
  latents = 2 * inputs + rng.normal(size=(16, 2))
  return {
    'latents': latents.astype(np.float32),
    'inputs': inputs.astype(np.float32),
  }


def _segments(rng):
  labels = rng.integers(0, 2, (8, 6, 6))
  labels[:, 0, 0] = 255
  return {
    'logits': rng.normal(size=(8, 6, 6, 2)).astype(np.float32),
    'labels': labels,
  }


def _bottleneck(mean, log_variance, logits, labels, beta):
  total = 0.0
  for i in range(len(mean)):
    for mu, log_var in zip(mean[i], log_variance[i], strict=True):
      total += 0.5 * (mu**2 + math.exp(log_var) - 1 - log_var)
    normalizer = sum(math.exp(v) for v in logits[i])
    total -= beta * math.log(math.exp(logits[i, labels[i]]) / normalizer)
  return total / len(mean)


def _kernel(x, bandwidth):
  n, width = len(x), bandwidth**2 * x.shape[1]
  kernel = np.zeros((n, n))
  for i in range(n):
    for j in range(n):
      kernel[i, j] = math.exp(-sum((x[i] - x[j]) ** 2) / (2 * width))
  center = np.eye(n) - 1 / n
  return center @ kernel @ center


def _normalized_hsic(x, y, bandwidth, eps):
  n = len(x)
  shrunk = []
  for z in (x, y):
    kernel = _kernel(z, bandwidth)
    shrunk.append(kernel @ np.linalg.inv(kernel + eps * n * np.eye(n)))
  return np.trace(shrunk[0] @ shrunk[1])


def _hsic_bottleneck(hidden, inputs, labels, beta, bandwidth, eps):
  on_input = _normalized_hsic(hidden, inputs, bandwidth, eps)
  return on_input - beta * _normalized_hsic(hidden, labels, bandwidth, eps)


def _covariance(x, y):
  total = np.zeros((x.shape[1], y.shape[1]))
  for a, b in zip(x - x.mean(0), y - y.mean(0), strict=True):
    total += np.outer(a, b)
  return total / len(x)


def _inverse_root(covariance, eps):
  dim = len(covariance)
  ridge = eps * np.trace(covariance) / dim + 1e-12
  values, vectors = np.linalg.eigh(covariance + ridge * np.eye(dim))
  return vectors @ np.diag(values**-0.5) @ vectors.T


def _cca(view1, view2, eps=1e-4):
  whitened = (
    _inverse_root(_covariance(view1, view1), eps)
    @ _covariance(view1, view2)
    @ _inverse_root(_covariance(view2, view2), eps)
  )
  return -math.fsum(np.linalg.eigvalsh(whitened.T @ whitened) ** 0.5)


def _stein_scores(x, share=0.99):
  n, dim = x.shape
  squared = np.array([[sum((a - b) ** 2) for b in x] for a in x])
  width = np.median(squared)
  values, vectors = np.linalg.eigh(np.exp(-squared / (2 * width)))
  score, held = np.zeros((n, dim)), 0.0
  for value, u in zip(values[::-1], vectors.T[::-1], strict=True):
    if held >= share * n:
      break
    held += value
    slope = np.zeros(dim)  # mean over samples of the eigenfunction's gradient
    for i in range(n):
      for m in range(n):
        kernel = math.exp(-squared[i, m] / (2 * width))
        gradient = kernel * (x[m] - x[i]) / width
        slope += math.sqrt(n) / value * u[m] * gradient / n
    score += np.outer(math.sqrt(n) * u, -slope)
  return score


def _mige(latents, inputs):
  marginal = _stein_scores(latents)
  joint = _stein_scores(np.hstack([latents, inputs]))
  gap = marginal - joint[:, : latents.shape[1]]
  return sum(z @ g for z, g in zip(latents, gap, strict=True)) / len(latents)


def _patches(x, radius):
  h, w = x.shape
  columns = [
    x[i : i + radius, j : j + radius].ravel()
    for i in range(h - radius + 1)
    for j in range(w - radius + 1)
  ]
  y = np.array(columns).T
  return y - y.mean(1, keepdims=True)


def _average(x, size):
  h, w = x.shape
  return np.array(
    [
      [x[i : i + size, j : j + size].mean() for j in range(0, w, size)]
      for i in range(0, h, size)
    ]
  )


def _regions(logits, labels, radius, weight=0.5, pool_size=1):
  total, pixels, regions, alpha = 0.0, 0, 0.0, 5e-4
  for image, label in zip(logits, labels, strict=True):
    valid = label < logits.shape[-1]
    pixels += valid.sum()
    for c in range(logits.shape[-1]):
      probability = 1 / (1 + np.exp(-image[..., c]))
      truth = (label == c) * 1.0
      likelihood = np.where(truth == 1, probability, 1 - probability)
      total -= np.log(likelihood)[valid].sum()
      y = _patches(_average(truth * valid, pool_size), radius)
      p = _patches(_average(probability * valid, pool_size), radius)
      identity = alpha * np.eye(radius**2)
      inverse = np.linalg.inv(p @ p.T + identity)
      left = y @ y.T - y @ p.T @ inverse @ p @ y.T
      regions += 0.5 * np.linalg.slogdet(left + identity)[1] / radius**2
  return weight * total / pixels + (1 - weight) * regions / len(logits)


CASES = [
  Case(
    losses.information_bottleneck,
    _code,
    _bottleneck,
    ('mean', 'log_variance', 'logits'),
    kwargs={'beta': 3.0},
    # The variance is the exponential of an input.
    constrained=True,
    hard={
      'zeros': lambda: {
        'mean': np.zeros((8, 3), np.float32),
        'log_variance': np.zeros((8, 3), np.float32),
        'logits': np.zeros((8, 4), np.float32),
      },
      'far': lambda: {
        'mean': np.full((8, 3), 1e4, np.float32),
        'log_variance': np.full((8, 3), -80, np.float32),
        'logits': np.full((8, 4), 1e4, np.float32) * np.eye(8, 4),
      },
    },
  ),
  Case(
    losses.hsic_bottleneck,
    _layer,
    _hsic_bottleneck,
    ('hidden',),
    kwargs={'beta': 2.0, 'bandwidth': 1.0, 'eps': 0.01},
  ),
  Case(losses.cca, _two_views, _cca, ('view1', 'view2')),
  # The scores are under stop-gradient.
  Case(
    losses.mige,
    _encodings,
    _mige,
    ('latents',),
    frozen=('inputs',),
    semi_gradient=True,
  ),
  Case(
    losses.region_mutual_information,
    _segments,
    _regions,
    ('logits',),
    kwargs={'radius': 2},
  ),
  Case(
    losses.region_mutual_information,
    _segments,
    _regions,
    ('logits',),
    kwargs={'radius': 2, 'pool_size': 2, 'weight': 0.2},
    name='region_mutual_information_pooled',
  ),
]
