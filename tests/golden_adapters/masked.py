"""Golden adapters of masked prediction."""

import jax.numpy as jnp
import numpy as np

from sslax import losses
from sslax.ops import centering, patches
from sslax.ops.sinkhorn import sinkhorn_codes
from tests.golden_adapters.distillation import numbered


def channels_last(x):
  """[B, C, H, W] -> [B, H, W, C]."""
  return jnp.moveaxis(x, 1, -1)


def _mae(x, hp, form):
  del form
  raw = patches.patchify(channels_last(x['imgs']), hp['patch_size'])
  targets = patches.normalized_patches(raw) if hp['norm_pix'] else raw
  loss = losses.mae(x['pred'], targets, x['mask'])
  return {'loss': loss, 'target_patches': raw}


def _simmim(x, hp, form):
  del hp, form
  predictions, images = channels_last(x['pred']), channels_last(x['target'])
  return {'loss': losses.simmim(predictions, images, x['mask'])}


def _data2vec(x, hp, form):
  del form
  norms = {'layer_norm': 'none', 'target_norm': 'none'}
  kind, _, place = hp['target_norm'].partition('_norm_')
  if place:
    norms['layer_norm' if place == 'target_layer' else 'target_norm'] = kind
  targets = losses.data2vec_targets(numbered(x, 'layer'), **norms)
  scale = hp['loss_scale']
  return {
    'loss': losses.data2vec(
      x['source'],
      targets,
      x['mask_indices'],
      beta=hp['beta'],
      scale=None if scale == -1 else scale,
    ),
    'sample_size': jnp.sum(x['mask_indices']),
  }


def _dinov2_patch(x, hp, form):
  batch, num = x['student'].shape[:2]
  mask = jnp.reshape(x['mask'], (batch, num))
  teacher, temperature = x['teacher'], hp['teacher_temp']
  center = jnp.zeros(teacher.shape[-1], teacher.dtype)
  outputs = {}
  if 'sinkhorn' in form:
    rows = jnp.reshape(teacher, (batch * num, -1))
    codes = sinkhorn_codes(rows, epsilon=temperature, row_mask=jnp.ravel(mask))
    probs = jnp.reshape(codes, teacher.shape)
    outputs['teacher_probs'] = codes[np.asarray(mask).ravel()]
  else:
    center = jnp.ravel(x['center']) if 'center' in x else center
    probs = centering.sharpened(teacher, center, temperature=temperature)
    outputs['teacher_probs'] = probs
  if form.startswith('lightly'):
    outputs['center_after'] = centering.update_center(
      center, teacher, momentum=hp.get('center_momentum', 0.9), mask=mask
    )
  loss = losses.patch_distillation(
    x['student'], probs, mask, student_temperature=hp['student_temp']
  )
  return {'loss': loss, **outputs}


def _ibot_masks(x, num_tokens):
  return tuple(
    jnp.reshape(mask, (-1, num_tokens)) for mask in numbered(x, 'mask')
  )


def _ibot(x, hp, form):
  del form
  num_global, num_local = hp['n_global'], hp['n_local']
  student = jnp.split(x['student_cls'], num_global)
  if num_local:
    student += jnp.split(x['student_local'], num_local)
  centers = jnp.ravel(x['center']), jnp.ravel(x['center2'])
  inputs = (
    student,
    jnp.split(x['teacher_cls'], num_global),
    jnp.split(x['student_patch'], num_global),
    jnp.split(x['teacher_patch'], num_global),
    _ibot_masks(x, x['student_patch'].shape[1]),
    *centers,
  )
  kwargs = {
    'student_temperature': hp['student_temp'],
    'teacher_temperature': hp['teacher_temp'],
    'patch_temperature': hp['teacher_temp2'],
  }
  cls = losses.ibot(*inputs, patch_weight=0.0, **kwargs)
  patch = losses.ibot(*inputs, patch_weight=1.0, **kwargs) - cls
  cls, patch = hp['lambda1'] * cls, hp['lambda2'] * patch
  teachers = x['teacher_cls'], x['teacher_patch']
  after = [
    centering.update_center(center, logits, momentum=0.9)
    for center, logits in zip(centers, teachers, strict=True)
  ]
  return {
    'loss': cls + patch,
    'cls': cls,
    'patch': patch,
    'center_after': after[0],
    'center2_after': after[1],
  }


def _msn_views(x):
  return jnp.split(x['anchor'], len(x['anchor']) // len(x['target']))


def _msn(x, hp, form):
  del form
  num_iterations = hp.get('sinkhorn_iterations', 3)
  if not hp.get('sinkhorn', True):
    num_iterations = 0
  kwargs = {
    'temperature': hp.get('tau', hp.get('temperature')),
    'sharpening': hp['sharpen_T'],
    'num_iterations': num_iterations,
  }
  weight = hp.get('memax_weight', hp.get('regularization_weight', 1.0))
  certainty = hp.get('ent_weight', 0.0) if hp.get('entropy', True) else 0.0
  inputs = _msn_views(x), x['target'], x['prototypes']
  prediction = losses.msn(*inputs, diversity_weight=0.0, **kwargs)
  diversity = losses.msn(*inputs, diversity_weight=1.0, **kwargs) - prediction
  loss = losses.msn(
    *inputs, diversity_weight=weight, entropy_weight=certainty, **kwargs
  )
  targets = losses.msn_targets(x['target'], x['prototypes'], **kwargs)
  return {
    'loss': loss,
    'ploss': prediction,
    'rloss': diversity,
    'targets': jnp.concatenate([targets] * len(inputs[0])),
  }


def _pmsn(x, hp, form):
  del form
  loss = losses.pmsn(
    _msn_views(x),
    x['target'],
    x['prototypes'],
    temperature=hp['temperature'],
    sharpening=hp['sharpen_T'],
    num_iterations=hp['sinkhorn_iterations'],
    prior_weight=hp['regularization_weight'],
    exponent=hp['power_law_exponent'],
  )
  return {'loss': loss}


ADAPTERS = {
  'data2vec': _data2vec,
  'dinov2_patch': _dinov2_patch,
  'ibot': _ibot,
  'mae': _mae,
  'msn': _msn,
  'pmsn': _pmsn,
  'simmim': _simmim,
}
