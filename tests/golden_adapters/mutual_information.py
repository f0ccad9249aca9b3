"""Golden adapters of sslax.losses.mutual_information.

The files hold the bounds themselves, which are to be maximized.
"""

import jax.numpy as jnp

from sslax import losses


def _of_scores(bound):
  def adapter(x, hp, form):
    del hp, form
    return {'loss': bound(x['scores'])}

  return adapter


def _smile(x, hp, form):
  del form
  clip = hp.get('clip', jnp.inf)  # the peer's default cuts nothing
  return {'loss': losses.smile_bound(x['scores'], clip=clip)}


def _mine(x, hp, form):
  del form
  momentum = hp['momentum']
  bound, new = losses.mine_bound(
    x['scores'], jnp.log(x['buffer']), momentum=momentum
  )
  batch_mean = (jnp.exp(new) - momentum * x['buffer']) / (1 - momentum)
  return {'loss': bound, 'buffer_update': batch_mean}


ADAPTERS = {
  'mi_dv': _of_scores(losses.dv_bound),
  'mi_infonce': _of_scores(losses.infonce_bound),
  'mi_js_nwj': _of_scores(losses.js_nwj_bound),
  'mi_jsd': _of_scores(losses.jsd_bound),
  'mi_mine': _mine,
  'mi_nwj': _of_scores(losses.nwj_bound),
  'mi_smile': _smile,
}
