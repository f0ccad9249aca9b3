"""Golden adapters of the losses that decorrelate, whiten or spread."""

import jax
import jax.numpy as jnp
import numpy as np

from sslax import losses
from sslax.ops import multiquadric, whitening
from tests.golden_adapters.distillation import numbered


def _barlow_twins(x, hp, form):
  del form
  loss = losses.barlow_twins(x['z0'], x['z1'], off_diagonal_weight=hp['lambd'])
  return {'loss': hp.get('scale_loss', 1.0) * loss}


def _vicreg_weights(hp):
  names = {
    'lambda_param': 'invariance_weight',
    'sim_loss_weight': 'invariance_weight',
    'mu_param': 'variance_weight',
    'var_loss_weight': 'variance_weight',
    'nu_param': 'covariance_weight',
    'cov_loss_weight': 'covariance_weight',
    'eps': 'eps',
  }
  return {names[k]: v for k, v in hp.items() if k in names}


def _vicreg(x, hp, form):
  weights = _vicreg_weights(hp)
  if form.startswith('solo'):  # the sum of the two views' variance terms
    weights['variance_weight'] *= 2
  return {'loss': losses.vicreg(x['z0'], x['z1'], **weights)}


def _vibcreg(x, hp, form):
  del form
  return {'loss': losses.vibcreg(x['z0'], x['z1'], **_vicreg_weights(hp))}


def _cells(maps):
  return tuple(jnp.reshape(m, (m.shape[0], -1, m.shape[-1])) for m in maps)


def _vicregl(x, hp, form):
  del form
  globals_, locals_ = numbered(x, 'g'), numbered(x, 'l')
  maps = numbered(x, 'gl') + numbered(x, 'll')
  grids = numbered(x, 'ggrid') + numbered(x, 'lgrid')
  loss = losses.vicregl(
    globals_ + locals_,
    _cells(maps),
    _cells(grids),
    num_global=len(globals_),
    num_matches=tuple(hp['num_matches']),
    global_weight=hp['alpha'],
    **_vicreg_weights(hp),
  )
  return {'loss': loss}


def _tico(x, hp, form):
  del form
  loss, covariance = losses.tico(
    x['z0'],
    x['z1'],
    x['C'],
    momentum=hp['beta'],
    contrast_weight=hp['rho'],
  )
  return {'loss': loss, 'C_after': covariance}


def _whitening(x, hp, form):
  del form
  white = whitening.whiten(x['x'], eps=hp['eps'])
  return {'loss': jnp.sum(white * x['w']), 'white': white}


def _wmse(x, hp, form):
  views = jnp.split(x['z'], 2) if 'z' in x else numbered(x, 'z')
  size = hp['w_size']
  return {'loss': losses.wmse(views, group_size=size, eps=hp['eps'])}


def _emp_ssl(x, hp, form):
  weights = {'invariance_weight': hp['inv_coef'], 'eps': hp['tcr_eps']}
  if not form.startswith('official'):  # lightly adds the coding rate
    loss = losses.emp_ssl(numbered(x, 'z'), rate_weight=-1.0, **weights)
    return {'loss': loss}
  views = jnp.split(x['z'], hp['num_patches'])
  rate = hp['tcr_coef']
  weights['invariance_weight'] = 1.0
  contract = losses.emp_ssl(views, rate_weight=0.0, **weights)
  weights['invariance_weight'] = 0.0
  return {
    'loss': losses.emp_ssl(
      views,
      rate_weight=rate,
      invariance_weight=hp['inv_coef'],
      eps=hp['tcr_eps'],
    ),
    'contract': contract,
    'tcr': losses.emp_ssl(views, rate_weight=1.0, **weights),
  }


def _frossl(x, hp, form):
  del form
  weight = hp['invariance_weight']
  return {'loss': losses.frossl(numbered(x, 'z'), invariance_weight=weight)}


def _mmcr(x, hp, form):
  del form
  teacher = jax.lax.stop_gradient(x['momentum'])
  embeddings = jnp.concatenate([x['online'], teacher], 1)
  return {'loss': losses.mmcr(embeddings, local_weight=hp['lmda'])}


def _lejepa(x, hp, form):
  del form
  # The grid is float32 in the peer, whatever the inputs are.
  grid = losses.frequency_grid(
    num_knots=hp['knots'], max_frequency=hp['t_max'], dtype=jnp.float32
  )
  views = (*x['glob'], *x['local'])
  loss = losses.lejepa(
    views,
    x['A'],
    num_global=len(x['glob']),
    regularization_weight=hp['lambda_param'],
    grid=grid,
  )
  statistics = [losses.sigreg(view, x['A'], grid) for view in views]
  return {'loss': loss, 'sigreg': sum(statistics) / len(statistics)}


def _ssl_hsic(x, hp, form):
  del form
  views = tuple(h / hp['scale'] for h in numbered(x, 'h'))
  first, second = (
    multiquadric.RandomFeatures(
      x[f'directions{i}'],
      jnp.ravel(x[f'amp{i}']),
      2 * np.pi * jnp.ravel(x[f'uniform{i}']),
    )
    for i in (1, 2)
  )
  features = multiquadric.transform(jnp.stack(views), first)
  others = multiquadric.transform(jnp.stack(views), second)
  return {
    'loss': losses.ssl_hsic(
      views, first, second, regularization_weight=hp['regul_weight']
    ),
    'hsic_xy': multiquadric.hsic_with_identity(features),
    'hsic_xx': multiquadric.hsic_with_itself(others, features),
  }


ADAPTERS = {
  'barlow_twins': _barlow_twins,
  'emp_ssl': _emp_ssl,
  'frossl': _frossl,
  'lejepa': _lejepa,
  'mmcr': _mmcr,
  'ssl_hsic': _ssl_hsic,
  'tico': _tico,
  'vibcreg': _vibcreg,
  'vicreg': _vicreg,
  'vicregl': _vicregl,
  'whitening': _whitening,
  'wmse': _wmse,
}
