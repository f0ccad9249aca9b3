"""Golden adapters of sslax.optim: LARS, moving averages, schedules."""

import jax.numpy as jnp

from sslax import optim


def _lars_optimizers(hp, form):
  """Returns the optimizers of the weight and of the bias."""
  trust = hp.get('eta', hp.get('trust_coefficient', hp.get('trust_coeff')))
  kwargs = {'momentum': hp['momentum'], 'trust_coefficient': trust}
  decay = hp['weight_decay']
  if form.startswith(('dino', 'mae')):
    optimizer = optim.lars(hp['lr'], weight_decay=decay, **kwargs)
    return optimizer, optimizer
  solo = form.startswith('solo')
  always = hp.get('always_adapt', False) or solo
  kwargs |= {
    'eps': hp['eps'],
    'nesterov': hp.get('nesterov', False),
    'clip': hp.get('clip_lr', hp.get('trust_clip', False)),
    'separate_norms': True,
  }
  bias_adapts = always and not (solo and hp.get('exclude_bias_n_norm', True))
  # These give the bias a group of its own, without decay.
  return (
    optim.lars(
      hp['lr'], weight_decay=decay, mask=always or decay > 0, **kwargs
    ),
    optim.lars(hp['lr'], mask=bias_adapts, **kwargs),
  )


def _lars(x, hp, form):
  outputs = {}
  for name, optimizer in zip('wb', _lars_optimizers(hp, form), strict=True):
    param = {name: x[name]}
    state = optimizer.init(param)
    for step, gradient in enumerate(x[f'g{name}'], 1):
      update, state = optimizer.update({name: gradient}, state, param)
      param = {name: param[name] + update[name]}
      outputs[f'{name}_after{step}'] = param[name]
  return outputs


def _ema_update(x, hp, form):
  if form.startswith('solo'):
    teacher, outputs = x['target'], {}
    momentum = optim.teacher_momentum(
      hp['base_tau'], num_steps=hp['max_steps'], final=hp['final_tau']
    )
    for step, student in enumerate(x['online']):
      teacher = optim.ema(teacher, student, momentum(step))
      outputs[f'target_after{step + 1}'] = teacher
    return outputs
  return {'target_after': optim.ema(x['target'], x['online'], hp['momentum'])}


def _dino_schedule(step, hp):
  """Both ends of the line are in the warm-up; the cosine never ends."""
  warmup = hp.get('warmup_epochs', 0) * hp['niter']
  rise = optim.linear(
    hp.get('start_warmup', 0.0), hp['base'], num_steps=warmup - 1
  )
  fall = optim.cosine(
    hp['base'], hp['final'], num_steps=hp['epochs'] * hp['niter'] - warmup
  )
  return jnp.where(step < warmup, rise(step), fall(step - warmup))


def _lightly_schedule(step, hp):
  """The warm-up starts one step in; the cosine ends at max_steps − 1."""
  warmup = hp.get('warmup_steps', 0)
  rise = optim.linear(
    hp.get('warmup_start', 0.0), hp['start'], num_steps=warmup
  )
  fall = optim.cosine(
    hp['start'], hp['end'], num_steps=hp['max_steps'] - warmup - 1
  )
  return jnp.where(step < warmup, rise(step + 1), fall(step - warmup))


def _ema_cosine_schedule(x, hp, form):
  if form.startswith('dino'):
    return {'values': _dino_schedule(x['step'], hp)}
  if form.startswith('solo'):
    momentum = optim.teacher_momentum(
      hp['start'], num_steps=hp['max_steps'], final=hp['end']
    )
    return {'values': momentum(x['step'])}
  return {'values': _lightly_schedule(x['step'], hp)}


ADAPTERS = {
  'lars': _lars,
  'ema_update': _ema_update,
  'ema_cosine_schedule': _ema_cosine_schedule,
}
