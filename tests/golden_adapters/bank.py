"""Golden adapters of losses with a memory bank or a support set."""

import jax.numpy as jnp

from sslax import losses
from sslax.ops import memory_bank, selectors
from sslax.ops.distance import normalize
from tests.golden_adapters.contrastive import pushed

_EPS = 1e-7  # of the official NCE criteria
_VISSL_EPS = float(jnp.finfo(jnp.float32).eps)


def _params(*values):
  return jnp.stack([jnp.asarray(v, jnp.result_type(float)) for v in values])


def _draw(bank, x, features, hp):
  """Logits of the drawn rows, and the normalizer that they set."""
  logits = memory_bank.scores(bank, x['idx'], features, hp['temperature'])
  return logits, memory_bank.normalizer(logits, hp['n_data'])


def _instdisc_nce(x, hp, form):
  del form
  temperature = hp['temperature']
  _, z = _draw(x['memory'], x, x['x'], hp)
  if hp['softmax']:
    z = -1.0
    loss = losses.instdisc_softmax(
      x['x'], x['memory'], x['idx'], temperature=temperature
    )
  else:
    loss = losses.instdisc_nce(
      x['x'], x['memory'], x['idx'], z, temperature=temperature, eps=_EPS
    )
  num = x['idx'].shape[1] - 1
  momentum = hp['momentum']
  return {
    'loss': loss,
    'memory_after': memory_bank.update(x['memory'], x['y'], x['x'], momentum),
    'params_after': _params(num, temperature, z, momentum),
  }


def _two_banks(first, second, bank1, bank2, x, hp):
  """Loss, banks after the step, parameters and scores of CMC and CRD."""
  scores1, z1 = _draw(bank2, x, first, hp)
  scores2, z2 = _draw(bank1, x, second, hp)
  temperature, momentum = hp['temperature'], hp['momentum']
  if hp.get('softmax', False):
    z1, z2 = -1.0, -1.0
    loss = losses.instdisc_softmax(
      first, bank2, x['idx'], temperature=temperature
    ) + losses.instdisc_softmax(
      second, bank1, x['idx'], temperature=temperature
    )
    shares = scores1, scores2
  else:
    loss = losses.cmc_nce(
      first,
      second,
      bank1,
      bank2,
      x['idx'],
      (z1, z2),
      temperature=temperature,
      eps=_EPS,
    )
    shares = jnp.exp(scores1) / z1, jnp.exp(scores2) / z2
  banks = (
    memory_bank.update(bank1, x['y'], first, momentum),
    memory_bank.update(bank2, x['y'], second, momentum),
  )
  num = x['idx'].shape[1] - 1
  return loss, banks, _params(num, temperature, z1, z2, momentum), shares


def _cmc_nce(x, hp, form):
  del form
  loss, banks, params, shares = _two_banks(
    x['l'], x['ab'], x['memory_l'], x['memory_ab'], x, hp
  )
  return {
    'loss': loss,
    'memory_l_after': banks[0],
    'memory_ab_after': banks[1],
    'params_after': params,
    'score_l': shares[0][:, :, None],
    'score_ab': shares[1][:, :, None],
  }


def _crd(x, hp, form):
  del form
  student = x['f_s'] @ x['Ws'].T + x['bs'][None, :]
  teacher = x['f_t'] @ x['Wt'].T + x['bt'][None, :]
  units = normalize(student), normalize(teacher)
  v1, v2 = x['memory_v1'], x['memory_v2']
  _, banks, params, _ = _two_banks(*units, v1, v2, x, hp)
  normalizers = (
    _draw(v2, x, units[0], hp)[1],
    _draw(v1, x, units[1], hp)[1],
  )
  loss = losses.crd(
    student,
    teacher,
    v1,
    v2,
    x['idx'],
    normalizers,
    temperature=hp['temperature'],
    eps=_EPS,
  )
  return {
    'loss': loss,
    'memory_v1_after': banks[0],
    'memory_v2_after': banks[1],
    'params_after': params,
  }


def _pirl(x, hp, form):
  # The official code updates the bank with output 0 between the two terms.
  del form
  temperature, momentum = hp['temperature'], hp['momentum']
  e0, e1 = normalize(x['e0']), normalize(x['e1'])
  after = memory_bank.update(x['memory'], x['y'], e0, momentum)
  if hp['loss_type'] == 'nce':
    logits = memory_bank.scores(x['memory'], x['idx0'], e0, temperature)
    z = memory_bank.normalizer(logits, hp['n_data'])

    def one(features, bank, indices):
      return losses.instdisc_nce(
        features, bank, indices, z, temperature=temperature, eps=_VISSL_EPS
      )
  else:
    z = -1.0

    def one(features, bank, indices):
      return losses.instdisc_softmax(
        features, bank, indices, temperature=temperature
      )

  loss = hp['w0'] * one(e0, x['memory'], x['idx0'])
  loss = loss + hp['w1'] * one(e1, after, x['idx1'])
  num = x['idx0'].shape[1] - 1
  return {
    'loss': loss,
    'memory_after': after,
    'params_after': _params(num, temperature, z, momentum),
  }


def _nnclr(x, hp, form):
  temperature = hp['temperature']
  if 'nn' in x:
    loss = losses.nnclr(x['nn'], x['p'], temperature=temperature)
    return {'loss': loss}
  # lightly: NT-Xent among neighbors and predictions, both directions.
  del form
  nn0 = selectors.nearest(x['z0'], x['bank'])
  nn1 = selectors.nearest(x['z1'], x['bank'])
  forward = losses.ntxent(nn0, x['p1'], temperature=temperature)
  backward = losses.ntxent(nn1, x['p0'], temperature=temperature)
  rows, _ = pushed(x['bank'], x['z1'])
  return {
    'loss': (forward + backward) / 2,
    'nn0': nn0,
    'nn1': nn1,
    'bank_after': rows,
  }


ADAPTERS = {
  'cmc_nce': _cmc_nce,
  'crd': _crd,
  'instdisc_nce': _instdisc_nce,
  'nnclr': _nnclr,
  'pirl': _pirl,
}
