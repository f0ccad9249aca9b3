"""Golden adapters of sslax.losses.hard_negatives."""

from sslax import losses


def _debiased(x, hp, form):
  del form
  temperature = hp['temperature']
  if not hp.get('debiased', True):
    loss = losses.ntxent(x['z0'], x['z1'], temperature=temperature)
    return {'loss': loss}
  loss = losses.debiased(
    x['z0'], x['z1'], temperature=temperature, class_prior=hp['tau_plus']
  )
  return {'loss': loss}


def _hcl(x, hp, form):
  del form
  temperature = hp['temperature']
  if hp.get('estimator', 'hard') == 'easy':
    loss = losses.ntxent(x['z0'], x['z1'], temperature=temperature)
    return {'loss': loss}
  loss = losses.hcl(
    x['z0'],
    x['z1'],
    temperature=temperature,
    class_prior=hp['tau_plus'],
    concentration=hp['beta'],
  )
  return {'loss': loss}


def _ifm(x, hp, form):
  del form
  queue, temperature = x['queue'].T, hp['temperature']
  loss = losses.ifm(x['q'], x['k'], queue, **hp)
  plain = losses.moco(x['q'], x['k'], queue, temperature=temperature)
  return {'loss': loss, 'loss_plain': plain}


ADAPTERS = {'debiased': _debiased, 'hcl': _hcl, 'ifm': _ifm}
