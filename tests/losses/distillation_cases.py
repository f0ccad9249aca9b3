"""Cases of sslax.losses.distillation and sslax.losses.entropy."""

import math

import numpy as np
from scipy import special

from sslax import losses
from tests.losses.case import Case
from tests.losses.views import names, over_views


def normal(rng, *shape):
  return rng.normal(size=shape).astype(np.float32)


def softmax(x):
  top = max(x)
  weights = [math.exp(v - top) for v in x]
  return np.array([w / sum(weights) for w in weights])


def cross_entropy(p, logits):
  """−Σ p log softmax(logits) of one row, in loops."""
  top = max(logits)
  log_sum = top + math.log(sum(math.exp(v - top) for v in logits))
  return -sum(a * (b - log_sum) for a, b in zip(p, logits, strict=True))


def unit(x):
  return x / math.sqrt(sum(v * v for v in x))


def views_of(arrays, name, count):
  return [arrays[key] for key in names(name, count)]


def _pair(rng):
  return {'predictions': normal(rng, 16, 6), 'targets': normal(rng, 16, 6)}


def _negative_cosine(predictions, targets):
  total = 0.0
  for p, z in zip(predictions, targets, strict=True):
    total -= sum(p * z) / (sum(p * p) ** 0.5 * sum(z * z) ** 0.5)
  return total / len(predictions)


def _dino_inputs(rng):
  student = {key: normal(rng, 8, 5) for key in names('student', 3)}
  teacher = {key: normal(rng, 8, 5) for key in names('teacher', 2)}
  return {**student, **teacher, 'center': normal(rng, 5)}


def _dino(center, student_temperature=0.1, teacher_temperature=0.04, **views):
  student, teacher = (
    views_of(views, 'student', 3),
    views_of(views, 'teacher', 2),
  )
  terms = []
  for t, targets in enumerate(teacher):
    for s, logits in enumerate(student):
      if s == t:
        continue
      rows = [
        cross_entropy(softmax((a - center) / teacher_temperature), b)
        for a, b in zip(targets, logits / student_temperature, strict=True)
      ]
      terms.append(sum(rows) / len(rows))
  return sum(terms) / len(terms)


def _vmf_inputs(rng):
  student = {key: normal(rng, 8, 64) for key in names('student', 3)}
  teacher = {key: normal(rng, 8, 64) for key in names('teacher', 2)}
  return {
    **student,
    **teacher,
    'student_prototypes': normal(rng, 5, 64) / 4,
    'teacher_prototypes': normal(rng, 5, 64) / 4,
    'center': rng.dirichlet(np.ones(5)).astype(np.float32),
  }


def _log_vmf(w, temperature):
  kappa, order = math.sqrt(sum(w * w)) / temperature, len(w) / 2 - 1
  log_bessel = math.log(special.ive(order, kappa)) + kappa
  constant = len(w) / 2 * math.log(2 * math.pi)
  return order * math.log(kappa) - constant - log_bessel


def _vmf_logits(x, prototypes, temperature):
  return np.array(
    [
      [
        sum(unit(row) * w) / temperature + _log_vmf(w, temperature)
        for w in prototypes
      ]
      for row in x
    ]
  )


def _dino_vmf(student_prototypes, teacher_prototypes, center, **views):
  logits = {
    key: _vmf_logits(
      x,
      *(
        (student_prototypes, 0.1)
        if key.startswith('student')
        else (teacher_prototypes, 0.04)
      ),
    )
    for key, x in views.items()
  }
  return _dino(np.log(center), 1.0, 1.0, **logits)


def _dinov2_inputs(rng):
  student = {key: normal(rng, 8, 5) for key in names('student', 2)}
  probs = {
    key: rng.dirichlet(np.ones(5), 8).astype(np.float32)
    for key in names('probs', 2)
  }
  return {**student, **probs}


def _dinov2_cls(student_temperature=0.1, **views):
  total = 0.0
  for probs in views_of(views, 'probs', 2):
    for student in views_of(views, 'student', 2):
      for p, s in zip(probs, student, strict=True):
        total += cross_entropy(p, s / student_temperature) / len(probs)
  return total


def _logits(rng):
  return {'student': normal(rng, 8, 5), 'teacher': normal(rng, 8, 5)}


def _knowledge_distillation(
  student, teacher, labels=(), temperature=4.0, label_weight=1.0
):
  total = 0.0
  for s, y in zip(student, labels, strict=False):
    total -= label_weight / temperature**2 * math.log(softmax(s)[y])
  for s, t in zip(student, teacher, strict=True):
    p, q = softmax(t / temperature), softmax(s / temperature)
    total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
  return temperature**2 * total / len(student)


def _words(rng):
  words = rng.dirichlet(np.ones(5), 8).astype(np.float32)
  return {'words': words, 'logits': normal(rng, 8, 5)}


def _obow(words, logits):
  rows = zip(words, logits, strict=True)
  return sum(cross_entropy(p, s) for p, s in rows) / len(words)


def _entropy(p):
  return -sum(v * math.log(v) for v in p if v > 0)


def _mean_entropy(logits, temperature=1.0):
  return -_entropy(np.mean([softmax(x / temperature) for x in logits], 0))


def _entropy_minimization(logits, temperature=1.0):
  return np.mean([_entropy(softmax(x / temperature)) for x in logits])


def _twin(rng):
  return {'logits1': normal(rng, 8, 5), 'logits2': normal(rng, 8, 5)}


def _twist(
  logits1,
  logits2,
  sharpness_weight=0.0,
  diversity_weight=1.0,
  temperature=1.0,
  eps=1e-5,
):
  def log(v):
    return math.log(v + eps)

  kl = certainty = 0.0
  for a, b in zip(logits1, logits2, strict=True):
    p, q = softmax(a), softmax(b)
    for x, y in zip(p, q, strict=True):
      kl += (x * (log(x) - log(y)) + y * (log(y) - log(x))) / 2 / len(logits1)
  diversity = 0.0
  for logits in (logits1, logits2):
    probs = [softmax(row / temperature) for row in logits]
    for row in probs:
      certainty -= sum(v * log(v) for v in row) / len(logits) / 2
    diversity -= sum(v * log(v) for v in np.mean(probs, 0)) / 2
  weighted = (1 + sharpness_weight) * certainty
  return kl + weighted - diversity_weight * diversity


CASES = [
  Case(
    losses.negative_cosine,
    _pair,
    _negative_cosine,
    wrt=('predictions',),
    frozen=('targets',),
  ),
  Case(
    losses.byol,
    _pair,
    lambda predictions, targets: 2 + 2 * _negative_cosine(predictions, targets),
    wrt=('predictions',),
    frozen=('targets',),
  ),
  Case(
    over_views(losses.dino, student=3, teacher=2),
    _dino_inputs,
    _dino,
    kwargs={'student_temperature': 0.2, 'teacher_temperature': 0.1},
    wrt=names('student', 3),
    frozen=names('teacher', 2),
    replicated=('center',),
  ),
  Case(
    over_views(losses.dino_vmf, student=3, teacher=2),
    _vmf_inputs,
    _dino_vmf,
    wrt=(*names('student', 3), 'student_prototypes'),
    frozen=(*names('teacher', 2), 'teacher_prototypes'),
    replicated=('center', 'student_prototypes', 'teacher_prototypes'),
  ),
  Case(
    over_views(losses.dinov2_cls, student=2, probs=2),
    _dinov2_inputs,
    _dinov2_cls,
    wrt=names('student', 2),
    frozen=names('probs', 2),
  ),
  Case(
    losses.knowledge_distillation,
    _logits,
    _knowledge_distillation,
    wrt=('student',),
    frozen=('teacher',),
  ),
  Case(
    losses.knowledge_distillation,
    lambda rng: {**_logits(rng), 'labels': rng.integers(0, 5, 8)},
    _knowledge_distillation,
    wrt=('student',),
    frozen=('teacher',),
    kwargs={'temperature': 2.0, 'label_weight': 0.3},
    name='knowledge_distillation with labels',
  ),
  Case(losses.obow, _words, _obow, wrt=('logits',), frozen=('words',)),
  Case(
    losses.mean_entropy,
    lambda rng: {'logits': normal(rng, 8, 5)},
    _mean_entropy,
    kwargs={'temperature': 0.5},
    wrt=('logits',),
  ),
  Case(
    losses.entropy_minimization,
    lambda rng: {'logits': normal(rng, 8, 5)},
    _entropy_minimization,
    kwargs={'temperature': 0.5},
    wrt=('logits',),
  ),
  Case(
    losses.twist,
    _twin,
    _twist,
    kwargs={
      'temperature': 0.5,
      'sharpness_weight': 0.3,
      'diversity_weight': 2.0,
      'eps': 1e-3,
    },
    wrt=('logits1', 'logits2'),
  ),
]
