"""A network and views so small that a method's own logic is what is tested."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from sslax.nets import Net, from_linen
from sslax.nets.norm import BatchNorm


def encoder(features: int = 8, *, num_groups: int = 0) -> Net:
  """Images [B, H, W, C] -> [B, features]: flatten, linear, ReLU, linear.

  Args:
    features: size of the output.
    num_groups: groups of the batch that a batch normalization before the ReLU
      takes apart; 0 is none.
  """
  return from_linen(_Encoder(features, num_groups))


class _Encoder(nn.Module):
  features: int
  num_groups: int

  @nn.compact
  def __call__(self, inputs, train):
    x = nn.Dense(16)(inputs.reshape(len(inputs), -1))
    if self.num_groups:
      x = BatchNorm('float32', num_groups=self.num_groups)(x, train)
    return nn.Dense(self.features)(nn.relu(x))


def views(seed: int = 0, *, batch: int = 8, size: int = 2, noise: float = 0.5):
  """Two views [batch, size, size, 3]: an image, and noise for each of them."""
  image, *noises = jax.random.normal(
    jax.random.key(seed), (3, batch, size, size, 3)
  )
  return tuple(image + noise * more for more in noises)


def call(method, params, state, batch, *, step=0, seed=0):
  """Returns (loss, (state, metrics)), compiled."""
  return jax.jit(method.loss)(
    params, state, batch, rng=jax.random.key(seed), step=jnp.int32(step)
  )


def gradients(method, params, state, batch, *, step=0, seed=0):
  """Returns the gradients of the loss, compiled."""
  function = jax.jit(jax.grad(method.loss, has_aux=True))
  return function(
    params, state, batch, rng=jax.random.key(seed), step=jnp.int32(step)
  )[0]
