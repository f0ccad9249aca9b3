"""Golden adapters of sslax.losses.predictive."""

import jax.numpy as jnp

from sslax import losses


def _columns(x):
  """[B, C, H, W] -> [B·W, H, C]: each column is a sequence read downwards."""
  x = jnp.transpose(x, (0, 3, 2, 1))
  return x.reshape(-1, *x.shape[2:])


def _cpc(x, hp, form):
  del form
  predictions = hp['embed_scale'] * _columns(x['preds'])
  steps = hp['step'] + 1  # step 0 predicts the next row
  targets = _columns(x['targets'])
  return {'loss': losses.cpc(predictions, targets, num_steps_ahead=steps)}


ADAPTERS = {'cpc': _cpc}
