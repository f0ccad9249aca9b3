"""Centering and sharpening: what keeps a self-distilling teacher alive."""

import jax
import jax.numpy as jnp

from sslax.ops.masked import masked_mean
from sslax.ops.precision import at_least_float32
from sslax.ops.schedules import linear


def sharpened(logits, center, *, temperature):
  """The teacher's probabilities, softmax((logits − center) / temperature).

  Args:
    logits: [..., K], any scale.
    center: [K], the running mean of the teacher's logits.
    temperature: above 0; low values sharpen.

  Returns:
    [..., K] probabilities in at least float32; no gradient flows.

  References:
    Caron et al., Emerging properties in self-supervised vision transformers,
    https://arxiv.org/abs/2104.14294, 2021.
  """
  logits, center = at_least_float32(logits, center)
  center = jnp.expand_dims(center, tuple(range(logits.ndim - center.ndim)))
  probs = jax.nn.softmax((logits - center) / temperature, -1)
  return jax.lax.stop_gradient(probs)


def update_center(center, logits, *, momentum=0.9, mask=None):
  """Moves the center to the mean of a batch of teacher logits.

  c ← m·c + (1 − m)·mean(logits).

  Args:
    center: [K].
    logits: [..., K] of the teacher, views and tokens alike.
    momentum: the share kept, in [0, 1].
    mask: [...] booleans, True = counted; default all.

  Returns:
    [K], the dtype of `center`; unchanged where nothing is counted.

  References:
    Caron et al., Emerging properties in self-supervised vision transformers,
    https://arxiv.org/abs/2104.14294, 2021.

  >>> import jax.numpy as jnp
  >>> center = update_center(jnp.zeros(1), jnp.array([[1.0], [3.0]]))
  >>> round(float(center[0]), 4)
  0.2
  """
  dtype = jnp.asarray(center).dtype
  center, logits = at_least_float32(center, jax.lax.stop_gradient(logits))
  rows = jnp.reshape(logits, (-1, logits.shape[-1]))
  if mask is None:
    mask = jnp.ones(logits.shape[:-1], bool)
  counted = jnp.reshape(mask, (-1, 1)).astype(bool)
  mean = masked_mean(rows, jnp.broadcast_to(counted, rows.shape), axis=0)
  moved = momentum * center + (1 - momentum) * mean
  return jnp.where(jnp.any(counted), moved, center).astype(dtype)


def update_probability_center(center, probs, *, momentum=0.9):
  """Moves a center that lives among probabilities (DINO-vMF).

  p̄ ← m·p̄ + (1 − m)·mean(p); subtract log p̄ from the teacher's logits.

  Args:
    center: [K] probabilities.
    probs: [..., K] of the teacher, before centering.
    momentum: the share kept, in [0, 1].

  Returns:
    [K], the dtype of `center`.

  References:
    Govindarajan et al., DINO as a von Mises-Fisher mixture model,
    https://arxiv.org/abs/2405.10939, 2024.
  """
  return update_center(center, probs, momentum=momentum)


def teacher_temperature(step, *, initial, final, num_warmup):
  """Linear warm-up of the teacher's temperature, then constant.

  Args:
    step: index of the step (or epoch, as in the official code).
    initial: the temperature at index 0.
    final: the temperature at index num_warmup − 1 and after.
    num_warmup: duration in the unit of `step`.

  Returns:
    Scalar.

  >>> round(float(teacher_temperature(2, initial=0.04, final=0.07,
  ...                                 num_warmup=5)), 4)
  0.055
  """
  return linear(initial, final, num_steps=max(num_warmup - 1, 0))(step)
