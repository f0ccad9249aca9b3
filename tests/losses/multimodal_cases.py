"""Cases of sslax.losses.multimodal."""

import math

import numpy as np

from sslax import losses
from tests.losses.case import Case


def _pairs(rng):
  pair = rng.normal(size=(2, 8, 5)).astype(np.float32)
  image, text = pair / np.linalg.norm(pair, axis=-1, keepdims=True)
  return {
    'image': image,
    'text': text,
    'logit_scale': np.asarray(5.0, np.float32),
  }


def _sigmoid_pairs(rng):
  return {**_pairs(rng), 'logit_bias': np.asarray(-3.0, np.float32)}


def _bags(rng):
  return {
    'video': rng.normal(size=(8, 5)).astype(np.float32),
    'text': rng.normal(size=(8, 3, 5)).astype(np.float32),
  }


def _matches(rng):
  return {
    'logits': rng.normal(size=16).astype(np.float32),
    'matches': rng.integers(0, 2, 16),
  }


def _regions(rng):
  return {
    'logits': rng.normal(size=(8, 6, 5)).astype(np.float32),
    'classes': rng.integers(0, 5, (8, 6)),
    'mask': rng.integers(0, 2, (8, 6)),
  }


def _region_features(rng):
  predictions, features = rng.normal(size=(2, 8, 6, 5)).astype(np.float32)
  mask = rng.integers(0, 2, (8, 6)).astype(bool)
  return {'predictions': predictions, 'features': features, 'mask': mask}


def _clip(image, text, logit_scale, image_weight=0.5):
  n, total = len(image), 0.0
  for i in range(n):
    pair = math.exp(logit_scale * (image[i] @ text[i]))
    texts = sum(math.exp(logit_scale * (image[i] @ t)) for t in text)
    images = sum(math.exp(logit_scale * (v @ text[i])) for v in image)
    total -= image_weight * math.log(pair / texts)
    total -= (1 - image_weight) * math.log(pair / images)
  return total / n


def _siglip(image, text, logit_scale, logit_bias):
  total = 0.0
  for i in range(len(image)):
    for j in range(len(text)):
      logit = logit_scale * (image[i] @ text[j]) + logit_bias
      sign = 1 if i == j else -1
      total += math.log(1 + math.exp(-sign * logit))
  return total / len(image)


def _mil_nce(video, text, count_positives_twice=False):
  n, k, total = len(video), text.shape[1], 0.0
  for i in range(n):
    positives = sum(math.exp(video[i] @ text[i, c]) for c in range(k))
    negatives = 0.0
    for j in range(n):
      for c in range(k):
        if j != i:
          negatives += math.exp(video[i] @ text[j, c])
          negatives += math.exp(video[j] @ text[i, c])
    bags = 2 if count_positives_twice else 1
    total -= math.log(positives / (bags * positives + negatives))
  return total / n


def _matching(logits, matches):
  total = 0.0
  for logit, match in zip(logits, matches, strict=True):
    probability = 1 / (1 + math.exp(-logit))
    total -= math.log(probability if match else 1 - probability)
  return total / len(logits)


def _classification(logits, classes, mask):
  total, count = 0.0, 0
  for b in range(len(mask)):
    for n in range(len(mask[b])):
      if mask[b, n]:
        normalizer = sum(math.exp(v) for v in logits[b, n])
        total -= math.log(math.exp(logits[b, n, classes[b, n]]) / normalizer)
        count += 1
  return total / max(count, 1)


def _regression(predictions, features, mask):
  total, count = 0.0, 0
  for b in range(len(mask)):
    for n in range(len(mask[b])):
      if mask[b, n]:
        total += sum((predictions[b, n] - features[b, n]) ** 2)
        count += 1
  return total / max(count, 1)


def _nothing_hidden(shape):
  return {'nothing hidden': lambda: {'mask': np.zeros(shape, np.int32)}}


CASES = [
  Case(
    losses.clip,
    _pairs,
    _clip,
    ('image', 'text', 'logit_scale'),
    replicated=('logit_scale',),
  ),
  Case(
    losses.clip,
    _pairs,
    _clip,
    ('image', 'text', 'logit_scale'),
    kwargs={'image_weight': 0.75},
    replicated=('logit_scale',),
    name='clip_convirt',
  ),
  Case(
    losses.siglip,
    _sigmoid_pairs,
    _siglip,
    ('image', 'text', 'logit_scale', 'logit_bias'),
    replicated=('logit_scale', 'logit_bias'),
  ),
  Case(losses.mil_nce, _bags, _mil_nce, ('video', 'text')),
  Case(
    losses.mil_nce,
    _bags,
    _mil_nce,
    ('video', 'text'),
    kwargs={'count_positives_twice': True},
    name='mil_nce_double_count',
  ),
  Case(losses.image_text_matching, _matches, _matching, ('logits',)),
  Case(
    losses.masked_object_classification,
    _regions,
    _classification,
    ('logits',),
    hard=_nothing_hidden((8, 6)),
  ),
  Case(
    losses.masked_region_regression,
    _region_features,
    _regression,
    ('predictions',),
    frozen=('features',),
    hard=_nothing_hidden((8, 6)),
  ),
]
