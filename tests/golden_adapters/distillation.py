"""Golden adapters of self-distillation losses and DirectPred's predictor."""

import jax.numpy as jnp

from sslax import losses
from sslax.ops import centering, predictor
from sslax.ops.distance import normalize
from sslax.ops.sinkhorn import sinkhorn_codes


def _byol(x, hp, form):
  if form.startswith('official'):  # DeepMind: the sum of the two directions
    return {
      'loss': losses.byol(x['p0'], x['z1']) + losses.byol(x['p1'], x['z0'])
    }
  if form.startswith('htdt'):  # no stop-gradient on the target
    if form.startswith('htdt_nonorm') or not hp.get('normalize', True):
      return {'loss': jnp.mean((x['p'] - x['z']) ** 2)}
    gap = normalize(x['p']) - normalize(x['z'])
    return {'loss': jnp.mean(jnp.sum(gap * gap, -1))}
  return {'loss': losses.byol(x['p'], x['z'])}


def _negative_cosine(x, hp, form):
  del hp, form
  if 'p0' in x:
    forward = losses.negative_cosine(x['p0'], x['z1'])
    return {'loss': (forward + losses.negative_cosine(x['p1'], x['z0'])) / 2}
  return {'loss': losses.negative_cosine(x['p'], x['z'])}


def numbered(x, letter):
  """The arrays letter0, letter1, ... in order."""
  names = sorted(
    (k for k in x if k.startswith(letter) and k[len(letter) :].isdigit()),
    key=lambda k: int(k[len(letter) :]),
  )
  return tuple(x[k] for k in names)


def _dino(x, hp, form):
  del form
  if 's0' in x:  # lightly: an array a crop
    student, teacher = numbered(x, 's'), numbered(x, 't')
  else:
    student = jnp.split(x['student'], hp['n_crops'])
    teacher = jnp.split(x['teacher'], 2)
  center = jnp.ravel(x['center'])
  return {
    'loss': losses.dino(
      student,
      teacher,
      center,
      student_temperature=hp['student_temp'],
      teacher_temperature=hp['teacher_temp'],
    ),
    'center_after': centering.update_center(
      center, jnp.stack(teacher), momentum=hp['center_momentum']
    ),
    'teacher_temp': hp['teacher_temp'],
  }


def _dinov2_cls(x, hp, form):
  if 'sinkhorn' in form:
    probs = sinkhorn_codes(
      x['teacher'],
      epsilon=hp['teacher_temp'],
      num_iterations=hp['n_iterations'],
    )
  else:
    probs = centering.sharpened(
      x['teacher'], jnp.ravel(x['center']), temperature=hp['teacher_temp']
    )
  student = numbered(x, 's')
  return {
    'loss': losses.dinov2_cls(
      student,
      jnp.split(probs, len(probs) // len(student[0])),
      student_temperature=hp['student_temp'],
    ),
    'teacher_probs': probs,
  }


def _directpred(x, hp, form):
  del form
  features = numbered(x, 'f')
  correlation = features[0].T @ features[0] / len(features[0])
  for batch in features[1:]:
    correlation = predictor.update_correlation(
      correlation, batch, momentum=hp['dyn_lambda']
    )
  if hp['balance_type'] == 'direct' and hp['dyn_convert'] == 1:
    weight = predictor.direct_copy_predictor(correlation, eps=hp['dyn_eps'])
  else:
    weight = predictor.direct_predictor(
      correlation,
      eps=hp['dyn_eps'],
      power=1 / hp['dyn_convert'],
      eps_inside=hp['eps_inside'],
      shrinkage=max(hp['dyn_reg'], 0),  # -1 is none
    )
  return {'corr': correlation, 'W': weight}


def _twist(x, hp, form):
  del form
  kwargs = {'temperature': hp['tau'], 'eps': hp['eps']}
  kl, eh, he = losses.twist_terms(x['f1'], x['f2'], **kwargs)
  loss = losses.twist(
    x['f1'],
    x['f2'],
    sharpness_weight=hp['lam1'],
    diversity_weight=hp['lam2'],
    **kwargs,
  )
  return {'loss': loss, 'kl': kl, 'eh': eh, 'he': he}


def _koleo(x, hp, form):
  kwargs = {'eps': hp.get('eps', 1e-8)}
  if 'p' in hp or form.startswith('lightly'):  # one epsilon for all
    kwargs |= {'norm': hp.get('p', 2), 'gap_eps': kwargs['eps']}
  return {'loss': losses.koleo(x['x'], **kwargs)}


ADAPTERS = {
  'byol': _byol,
  'dino': _dino,
  'dinov2_cls': _dinov2_cls,
  'directpred': _directpred,
  'koleo': _koleo,
  'negative_cosine': _negative_cosine,
  'twist': _twist,
}
