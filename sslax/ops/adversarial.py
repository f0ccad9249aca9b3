"""Two players in one loss: each gets gradients of its own part only."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sslax.ops.precision import at_least_float32


class Verdict(NamedTuple):
  """What the discriminator says, as logits of being real.

  Attributes:
    real: [B], of the real examples.
    fake: [B], of the made ones.
  """

  real: jax.Array
  fake: jax.Array


def judge(discriminate, params, stats, real, fake):
  """Lets the discriminator judge real and fake examples, for both players.

  Both verdicts have the same values. Gradients of the first flow into the
  discriminator's parameters and nowhere else, gradients of the second into what
  made the examples and not into the discriminator. So their losses can be added
  and differentiated at once.

  Args:
    discriminate: (params, stats, *example) -> (logits [B], stats).
    params: of the discriminator.
    stats: of the discriminator.
    real: tuple of arrays [B, ...], such as (images,) or (images, codes).
    fake: likewise.

  Returns:
    (the discriminator's Verdict, its opponent's Verdict, stats).
  """
  still = jax.lax.stop_gradient
  own_real, new = discriminate(params, stats, *still(real))
  own_fake, new = discriminate(params, new, *still(fake))
  frozen = still(params)
  others_real, _ = discriminate(frozen, stats, *real)
  others_fake, _ = discriminate(frozen, stats, *fake)
  return Verdict(own_real, own_fake), Verdict(others_real, others_fake), new


def called_real(logits):
  """Mean of −log D, small where the verdict is real.

  Args:
    logits: [B].

  Returns:
    Scalar, in at least float32.
  """
  return jnp.mean(jax.nn.softplus(-at_least_float32(logits)))


def called_fake(logits):
  """Mean of −log(1 − D), small where the verdict is fake.

  Args:
    logits: [B].

  Returns:
    Scalar, in at least float32.
  """
  return jnp.mean(jax.nn.softplus(at_least_float32(logits)))


def share_right(verdict: Verdict):
  """Returns the share of examples that are judged rightly, a scalar."""
  real, fake = at_least_float32(verdict.real, verdict.fake)
  right = jnp.concatenate([real > 0, fake < 0])
  return jnp.mean(right.astype(real.dtype))
