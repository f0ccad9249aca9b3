"""A data set of a second: noisy observations of points, no images."""

import jax
import jax.numpy as jnp

from sslax import health, optim


def key(i):
  """The key of step i."""
  return jax.random.fold_in(jax.random.key(7), i)


def views(rng, num_rows=64, size=8, noise=0.5):
  """Returns two noisy observations [num_rows, size] of the same points."""
  points, *rngs = jax.random.split(rng, 3)
  x = jax.random.normal(points, (num_rows, size), jnp.float32)
  return tuple(
    x + noise * jax.random.normal(k, x.shape, jnp.float32) for k in rngs
  )


def fresh_batch(i):
  """The batch of step i: points that no other step has."""
  return {'views': views(key(i))}


def trained(method, num_steps, learning_rate, batch_of=fresh_batch):
  """Trains on batch_of(step); returns the metrics [num_steps] of all steps."""
  tx = optim.build(
    'adamw', learning_rate=learning_rate, batch_size=256, num_steps=num_steps
  )

  def step(carry, i):
    params, state, opt_state = carry
    grad = jax.value_and_grad(method.loss, has_aux=True)
    (value, (state, metrics)), grads = grad(
      params, state, batch_of(i), rng=key(i), step=i
    )
    with jax.numpy_dtype_promotion('standard'):
      updates, opt_state = tx.update(grads, opt_state, params)
      params = jax.tree.map(jnp.add, params, updates)
    return (params, state, opt_state), {**metrics, 'loss': value}

  @jax.jit
  def run(rng):
    params, state = method.init(rng, batch_of(0))
    first = (params, state, tx.init(params))
    return jax.lax.scan(step, first, jnp.arange(num_steps))[1]

  return jax.device_get(run(jax.random.key(0)))


def said(method, metrics):
  """What the health monitor says of a run, or None."""
  rows = [
    {'step': i, 'nonfinite': False, **{k: v[i] for k, v in metrics.items()}}
    for i in range(len(metrics['loss']))
  ]
  return health.monitor(method.safeguard)(rows)
