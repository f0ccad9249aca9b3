"""Schedules, and the moving average that makes a teacher."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from sslax.errors import BadInputError
from sslax.ops.precision import at_least_float32

Schedule = Callable[[Any], jax.Array]


def linear(start: float, end: float, *, num_steps: int) -> Schedule:
  """A line from `start` at step 0 to `end` at step `num_steps` and after.

  Args:
    start: value at step 0.
    end: value from step `num_steps` on.
    num_steps: duration in steps; 0 is `end` at once.

  Returns:
    step -> scalar.

  >>> float(linear(0.0, 2.0, num_steps=4)(3))
  1.5
  """
  return lambda step: start + (end - start) * _share(step, num_steps)


def cosine(start: float, end: float, *, num_steps: int) -> Schedule:
  """Half a cosine from `start` at step 0 to `end` at step `num_steps`.

  end + (start − end)·(cos(π·k/K) + 1)/2 at step k of K.

  Args:
    start: value at step 0.
    end: value from step `num_steps` on.
    num_steps: K, the duration in steps; 0 is `end` at once.

  Returns:
    step -> scalar.

  >>> round(float(cosine(1.0, 0.0, num_steps=4)(2)), 6)
  0.5
  """

  def schedule(step):
    wave = (jnp.cos(jnp.pi * _share(step, num_steps)) + 1) / 2
    return end + (start - end) * wave

  return schedule


def _share(step, num_steps):
  """Step / num_steps, kept in [0, 1], in the default float type."""
  step = jnp.asarray(step).astype(jnp.result_type(float))
  if num_steps <= 0:
    return jnp.ones_like(step)
  return jnp.clip(step / num_steps, 0, 1)


def warmup_cosine(
  base: float, *, num_steps: int, warmup_steps: int = 0, final: float = 0.0
) -> Schedule:
  """A line from 0 to `base` over the warm-up, then a cosine to `final`.

  Args:
    base: the peak, met at step `warmup_steps`.
    num_steps: the whole duration in steps, the warm-up included.
    warmup_steps: duration of the warm-up in steps.
    final: value at step `num_steps` and after.

  Returns:
    step -> scalar.

  References:
    Grill et al., Bootstrap your own latent, https://arxiv.org/abs/2006.07733,
    2020, and learning_schedule of byol/utils/schedules.py in
    https://github.com/google-deepmind/deepmind-research.

  >>> rate = warmup_cosine(1.0, num_steps=6, warmup_steps=2)
  >>> [round(float(rate(step)), 3) for step in (0, 1, 2, 4, 6)]
  [0.0, 0.5, 1.0, 0.5, 0.0]
  """
  rise = linear(0.0, base, num_steps=warmup_steps)
  fall = cosine(base, final, num_steps=num_steps - warmup_steps)

  def schedule(step):
    step = jnp.asarray(step)
    return jnp.where(step < warmup_steps, rise(step), fall(step - warmup_steps))

  return schedule


def teacher_momentum(
  base: float, *, num_steps: int, final: float = 1.0
) -> Schedule:
  """The share of the teacher that is kept, from `base` to `final`.

  1 − (1 − base)·(cos(π·k/K) + 1)/2 at step k of K, for final = 1.

  Args:
    base: momentum at step 0, in [0, 1].
    num_steps: K, the duration in steps.
    final: momentum at step `num_steps` and after.

  Returns:
    step -> scalar.

  References:
    Grill et al., Bootstrap your own latent, https://arxiv.org/abs/2006.07733,
    2020, and target_ema of byol/utils/schedules.py in
    https://github.com/google-deepmind/deepmind-research.

  >>> momentum = teacher_momentum(0.9, num_steps=2)
  >>> [round(float(momentum(step)), 4) for step in (0, 1, 2)]
  [0.9, 0.95, 1.0]
  """
  return cosine(base, final, num_steps=num_steps)


def ema(teacher, student, momentum):
  """Moves the teacher: momentum·teacher + (1 − momentum)·student.

  Args:
    teacher: tree of arrays; its dtypes are kept, sums are made in at least
      float32.
    student: tree of the same structure and shapes.
    momentum: the share kept, a number or a scalar array in [0, 1].

  Returns:
    The new teacher.

  >>> float(ema({'w': jnp.float32(1)}, {'w': jnp.float32(2)}, 0.75)['w'])
  1.25
  """

  def move(old, new):
    wide, student = at_least_float32(old, new)
    keep = jnp.asarray(momentum).astype(wide.dtype)
    moved = keep * wide + (1 - keep) * student
    return moved.astype(old.dtype)

  return jax.tree.map(move, teacher, student)


def learning_rate_schedule(
  learning_rate: float,
  *,
  batch_size: int,
  num_steps: int,
  warmup_steps: int | None = None,
  warmup_ratio: float | None = None,
  final_ratio: float = 0.0,
  drops: Sequence[float] = (),
  drop_factor: float = 0.1,
  reference_batch_size: int | None = 256,
) -> Schedule:
  """Warm-up and cosine, or steps, from learning_rate · batch_size / 256.

  Args:
    learning_rate: at a batch of `reference_batch_size`.
    batch_size: global batch.
    num_steps: the whole duration in steps.
    warmup_steps: warm-up in steps; default none.
    warmup_ratio: warm-up as a share of num_steps, in place of warmup_steps.
    final_ratio: last learning rate as a share of the peak.
    drops: shares of num_steps at which the rate is multiplied by drop_factor;
      with any, it is constant in between and there is no cosine.
    drop_factor: what a drop multiplies the rate by.
    reference_batch_size: None takes the learning rate as it is.

  Returns:
    step -> learning rate.

  Raises:
    BadInputError: a value out of range, or two warm-ups.

  >>> rate = learning_rate_schedule(0.2, batch_size=512, num_steps=9)
  >>> round(float(rate(0)), 6)
  0.4
  """
  if num_steps < 1:
    raise BadInputError(f'num_steps is {num_steps}; it must be at least 1')
  if batch_size < 1:
    raise BadInputError(f'batch_size is {batch_size}; it must be at least 1')
  if not 0 <= learning_rate < float('inf'):
    raise BadInputError(
      f'optim.learning_rate is {learning_rate}; it must be finite and not'
      ' negative'
    )
  if not 0 <= final_ratio <= 1:
    raise BadInputError(
      f'optim.final_ratio is {final_ratio}; it must lie in [0, 1]'
    )
  warmup = _warmup_steps(num_steps, warmup_steps, warmup_ratio)
  peak = learning_rate * batch_size / (reference_batch_size or batch_size)
  if drops:
    at = [round(share * num_steps) for share in drops]
    return _stairs(peak, at, drop_factor, warmup_steps=warmup)
  return warmup_cosine(
    peak, num_steps=num_steps, warmup_steps=warmup, final=peak * final_ratio
  )


def _stairs(base, drops_at, factor, *, warmup_steps) -> Schedule:
  """A line from 0 over the warm-up, then `base`, times factor at each drop."""
  rise = linear(0.0, base, num_steps=warmup_steps)

  def schedule(step):
    step = jnp.asarray(step)
    num_drops = sum((step >= at).astype(jnp.int32) for at in drops_at)
    rate = base * jnp.power(factor, num_drops.astype(jnp.result_type(float)))
    return jnp.where(step < warmup_steps, rise(step), rate)

  return schedule


def _warmup_steps(num_steps, steps, ratio):
  if steps is not None and ratio is not None:
    raise BadInputError(
      f'optim.warmup_steps is {steps} and optim.warmup_ratio is {ratio};'
      ' give one of the two'
    )
  if ratio is not None and not 0 <= ratio <= 1:
    raise BadInputError(f'optim.warmup_ratio is {ratio}; it must be in [0, 1]')
  steps = round(num_steps * ratio) if ratio is not None else steps or 0
  if not 0 <= steps <= num_steps:
    raise BadInputError(
      f'optim.warmup_steps is {steps}; it must lie in [0, {num_steps}], the'
      ' number of steps'
    )
  return steps
