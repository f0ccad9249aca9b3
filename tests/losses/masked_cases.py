"""Cases of masked prediction: pixels, tokens, features, prototypes."""

import math

import numpy as np

from sslax import losses
from sslax.ops import patches
from tests.losses.case import Case
from tests.losses.distillation_cases import (
  cross_entropy,
  normal,
  softmax,
  unit,
  views_of,
)
from tests.losses.prototypes_cases import sinkhorn_loops
from tests.losses.views import names, over_views


def _mean(values):
  return sum(values) / len(values)


def _mask(rng, *shape):
  mask = rng.integers(0, 2, size=shape).astype(np.int32)
  mask[0] = 0  # an image where nothing is hidden
  mask[1] = 1
  return mask


def _patches(rng):
  return {
    'predictions': normal(rng, 8, 4, 6),
    'targets': normal(rng, 8, 4, 6),
    'mask': _mask(rng, 8, 4),
  }


def _mae(predictions, targets, mask):
  errors = [
    np.mean((predictions[b, n] - targets[b, n]) ** 2)
    for b, n in zip(*np.nonzero(mask), strict=True)
  ]
  return _mean(errors)


def _images(rng):
  return {
    'predictions': normal(rng, 8, 4, 6, 2),
    'images': normal(rng, 8, 4, 6, 2),
    'mask': _mask(rng, 8, 2, 3),
  }


def _simmim(predictions, images, mask):
  errors = [
    abs(predictions[b, h, w, c] - images[b, h, w, c])
    for b in range(8)
    for h in range(4)
    for w in range(6)
    for c in range(2)
    if mask[b, h // 2, w // 2]
  ]
  return _mean(errors)


def _tokens(rng):
  return {
    'logits': normal(rng, 8, 4, 5),
    'tokens': rng.integers(0, 5, size=(8, 4)).astype(np.int32),
    'mask': _mask(rng, 8, 4),
  }


def _beit(logits, tokens, mask):
  rows = [
    cross_entropy(np.eye(5)[tokens[b, n]], logits[b, n])
    for b, n in zip(*np.nonzero(mask), strict=True)
  ]
  return _mean(rows)


def _cae(logits, tokens, mask, latents, targets, alignment_weight=2.0):
  gaps = [
    _mean((latents[b, n] - targets[b, n]) ** 2)
    for b, n in zip(*np.nonzero(mask), strict=True)
  ]
  return _beit(logits, tokens, mask) + alignment_weight * _mean(gaps)


def _patch_probs(rng):
  return {
    'student': normal(rng, 8, 4, 5),
    'probs': rng.dirichlet(np.ones(5), (8, 4)).astype(np.float32),
    'mask': _mask(rng, 8, 4),
  }


def _patch_distillation(student, probs, mask, student_temperature=0.1):
  total = 0.0
  for s, p, hidden in zip(student, probs, mask, strict=True):
    rows = [
      cross_entropy(p[n], s[n] / student_temperature)
      for n in range(len(s))
      if hidden[n]
    ]
    total += sum(rows) / max(len(rows), 1)
  return total / len(student)


_IBOT = {
  'student': 3,
  'teacher': 2,
  'student_patches': 2,
  'teacher_patches': 2,
  'masks': 2,
}


def _ibot_inputs(rng):
  arrays = {'center': normal(rng, 5), 'patch_center': normal(rng, 6)}
  for name, count in _IBOT.items():
    for key in names(name, count):
      if name == 'masks':
        arrays[key] = _mask(rng, 8, 4)
      elif name.endswith('patches'):
        arrays[key] = normal(rng, 8, 4, 6)
      else:
        arrays[key] = normal(rng, 8, 5)
  return arrays


def _sharp(logits, center, temperature):
  rows = np.reshape(logits, (-1, logits.shape[-1]))
  probs = [softmax((row - center) / temperature) for row in rows]
  return np.reshape(probs, logits.shape)


def _ibot(center, patch_center, patch_weight=1.0, **views):
  student = views_of(views, 'student', 3)
  terms = []
  for t, teacher in enumerate(views_of(views, 'teacher', 2)):
    probs = _sharp(teacher, center, 0.2)
    for s, logits in enumerate(student):
      if s != t:
        rows = zip(probs, logits / 0.3, strict=True)
        terms.append(_mean([cross_entropy(p, z) for p, z in rows]))
  parts = [
    _patch_distillation(s, _sharp(t, patch_center, 0.4), mask, 0.3)
    for s, t, mask in zip(
      *(views_of(views, name, 2) for name in list(_IBOT)[2:]), strict=True
    )
  ]
  return _mean(terms) + patch_weight * _mean(parts)


def _prototypes(rng):
  return {
    **{key: normal(rng, 8, 6) for key in names('anchors', 2)},
    'targets': normal(rng, 8, 6),
    'prototypes': normal(rng, 4, 6),
  }


def _prototype_parts(views, targets, prototypes, num_iterations=3):
  anchors = np.concatenate(views_of(views, 'anchors', 2))

  def cosines(x):
    return np.array([[sum(unit(z) * unit(c)) for c in prototypes] for z in x])

  probs = [softmax(row / 0.1) for row in cosines(anchors)]
  sharp = np.array(
    [softmax(row / 0.1) ** (1 / 0.25) for row in cosines(targets)]
  )
  sharp = sharp / sharp.sum(1, keepdims=True)
  codes = sinkhorn_loops(np.log(sharp), 1.0, num_iterations)
  codes = codes / codes.sum(1, keepdims=True)
  loss = -_mean(
    [
      sum(q * np.log(p))
      for q, p in zip(np.concatenate([codes] * 2), probs, strict=True)
    ]
  )
  return loss, np.array(probs)


def _entropy(p):
  return -sum(p * np.log(p))


def _msn(
  targets,
  prototypes,
  diversity_weight=1.0,
  entropy_weight=0.0,
  num_iterations=3,
  **views,
):
  loss, probs = _prototype_parts(views, targets, prototypes, num_iterations)
  diversity = math.log(len(prototypes)) - _entropy(np.mean(probs, 0))
  certainty = _mean([_entropy(p) for p in probs])
  return loss + diversity_weight * diversity + entropy_weight * certainty


def _pmsn(targets, prototypes, prior_weight=1.0, exponent=0.25, **views):
  loss, probs = _prototype_parts(views, targets, prototypes)
  prior = np.array([(k + 1) ** -exponent for k in range(len(prototypes))])
  prior = prior / sum(prior)
  return loss + prior_weight * sum(prior * np.log(prior / np.mean(probs, 0)))


def _regression(rng):
  return {
    'predictions': 2 * normal(rng, 8, 3, 4),
    'targets': normal(rng, 8, 3, 4),
    'mask': _mask(rng, 8, 3),
  }


def _data2vec(predictions, targets, mask, beta=0.0, scale=None):
  total = 0.0
  for b, t in zip(*np.nonzero(mask), strict=True):
    for d in np.abs(predictions[b, t] - targets[b, t]):
      if beta == 0:
        total += d * d
      else:
        total += d * d / (2 * beta) if d < beta else d - beta / 2
  return total * (predictions.shape[-1] ** -0.5 if scale is None else scale)


def _mae_of_normalized(predictions, images, mask):
  targets = patches.normalized_patches(patches.patchify(images, 2))
  return losses.mae(predictions, targets, mask)


def _mae_of_normalized_loops(predictions, images, mask):
  total, count = 0.0, 0
  for b, n in zip(*np.nonzero(mask), strict=True):
    top, left = 2 * (n // 2), 2 * (n % 2)
    pixels = [
      images[b, top + i, left + j, c]
      for i in range(2)
      for j in range(2)
      for c in range(images.shape[-1])
    ]
    mean = _mean(pixels)
    variance = sum((v - mean) ** 2 for v in pixels) / (len(pixels) - 1)
    target = [(v - mean) / math.sqrt(variance + 1e-6) for v in pixels]
    total += np.mean((predictions[b, n] - target) ** 2)
    count += 1
  return total / count


CASES = [
  Case(losses.mae, _patches, _mae, wrt=('predictions',), frozen=('targets',)),
  Case(
    _mae_of_normalized,
    lambda rng: {
      'predictions': normal(rng, 8, 4, 12),
      'images': normal(rng, 8, 4, 4, 3),
      'mask': _mask(rng, 8, 4),
    },
    _mae_of_normalized_loops,
    wrt=('predictions',),
    frozen=('images',),
    name='mae of normalized pixels',
  ),
  Case(
    losses.simmim, _images, _simmim, wrt=('predictions',), frozen=('images',)
  ),
  Case(losses.beit, _tokens, _beit, wrt=('logits',)),
  Case(
    losses.cae,
    lambda rng: {
      **_tokens(rng),
      'latents': normal(rng, 8, 4, 3),
      'targets': normal(rng, 8, 4, 3),
    },
    _cae,
    wrt=('logits', 'latents'),
    frozen=('targets',),
    kwargs={'alignment_weight': 0.7},
  ),
  Case(
    losses.patch_distillation,
    _patch_probs,
    _patch_distillation,
    wrt=('student',),
    frozen=('probs',),
  ),
  Case(
    over_views(losses.ibot, **_IBOT),
    _ibot_inputs,
    lambda student_temperature, teacher_temperature, patch_temperature, **x: (
      _ibot(**x)
    ),
    kwargs={
      'student_temperature': 0.3,
      'teacher_temperature': 0.2,
      'patch_temperature': 0.4,
      'patch_weight': 0.7,
    },
    wrt=(*names('student', 3), *names('student_patches', 2)),
    frozen=(*names('teacher', 2), *names('teacher_patches', 2)),
    replicated=('center', 'patch_center'),
  ),
  # The targets depend on the prototypes, under stop-gradient.
  Case(
    over_views(losses.msn, anchors=2),
    _prototypes,
    _msn,
    kwargs={'diversity_weight': 2.0, 'entropy_weight': 0.5},
    wrt=(*names('anchors', 2), 'prototypes'),
    frozen=('targets',),
    replicated=('prototypes',),
    semi_gradient=True,
  ),
  Case(
    over_views(losses.msn, anchors=2),
    _prototypes,
    _msn,
    kwargs={'num_iterations': 0},
    wrt=names('anchors', 2),
    frozen=('targets',),
    replicated=('prototypes',),
    name='msn without Sinkhorn',
  ),
  Case(
    over_views(losses.pmsn, anchors=2),
    _prototypes,
    _pmsn,
    kwargs={'exponent': 0.5},
    wrt=(*names('anchors', 2), 'prototypes'),
    frozen=('targets',),
    replicated=('prototypes',),
    semi_gradient=True,
  ),
  Case(
    losses.data2vec,
    _regression,
    _data2vec,
    wrt=('predictions',),
    frozen=('targets',),
  ),
  Case(
    losses.data2vec,
    _regression,
    _data2vec,
    kwargs={'beta': 1.5, 'scale': 0.5},
    wrt=('predictions',),
    frozen=('targets',),
    name='data2vec with smooth L1',
  ),
]
