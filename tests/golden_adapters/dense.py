"""Golden adapters of dense losses."""

import jax.numpy as jnp

from sslax import losses
from sslax.ops.distance import normalize
from tests.golden_adapters.masked import channels_last


def _pixpro(x, hp, form):
  del form
  loss = losses.pixpro(
    channels_last(x['q']),
    channels_last(x['k']),
    x['coord_q'],
    x['coord_k'],
    pos_ratio=hp['pos_ratio'],
  )
  return {'loss': loss}


def _pixpro_ppm(x, hp, form):
  del form
  features = channels_last(x['feat'])
  bias = x['bv'][None, None, None, :]
  values = jnp.einsum('bhwc,dc->bhwd', features, x['Wv']) + bias
  out = losses.pixel_propagation(
    features, values, sharpness=hp['p'], clamp=hp['clamp']
  )
  out = jnp.moveaxis(out, -1, 1)
  return {'loss': jnp.sum(out * x['w']), 'prop': out}


def _tokens(x):
  """[B, C, ...] -> [B, N, C]."""
  return jnp.swapaxes(jnp.reshape(x, (*x.shape[:2], -1)), 1, 2)


def _densecl(x, hp, form):
  del form
  temperature, weight = hp['temperature'], hp['loss_lambda']
  inputs = (
    x['q'],
    x['k'],
    x['queue'].T,
    *(_tokens(x[k]) for k in ('q_grid', 'k_grid', 'q_b', 'k_b')),
    x['queue2'].T,
  )
  single, dense, loss = (
    losses.densecl(*inputs, temperature=temperature, dense_weight=w)
    for w in (0.0, 1.0, weight)
  )
  # The peer gives the two terms weighted.
  parts = {
    'loss': loss,
    'loss_single': (1 - weight) * single,
    'loss_dense': weight * dense,
  }
  for queue, keys in (('queue', x['k']), ('queue2', x['k2'])):
    after = x[queue].at[:, : len(keys)].set(normalize(keys).T)
    parts[f'{queue}_after'] = after
  return parts


def _detcon(x, hp, form):
  del form
  if 'p0' in x:  # DetCon-B
    predictions, targets = (x['p0'], x['p1']), (x['t0'], x['t1'])
  else:
    predictions = targets = x['view0'], x['view1']
  masks = x['mask0'], x['mask1']
  loss = losses.detcon(
    predictions, targets, masks, temperature=hp['temperature']
  )
  return {'loss': loss}


def _iic_seg(x, hp, form):
  del form
  x1, x2 = channels_last(x['x1']), channels_last(x['x2'])
  displacement = hp['half_T_side_dense']
  mask = x['mask'] if 'mask' in x else jnp.ones(x1.shape[:3], x1.dtype)
  loss, plain = (
    losses.iic_seg(
      x1, x2, mask, displacement=displacement, entropy_weight=weight
    )
    for weight in (hp['lamb'], 1.0)
  )
  return {'loss': loss, 'loss_no_lamb': plain}


ADAPTERS = {
  'densecl': _densecl,
  'detcon': _detcon,
  'iic_seg': _iic_seg,
  'pixpro': _pixpro,
  'pixpro_ppm': _pixpro_ppm,
}
