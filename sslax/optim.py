"""Optimizers as optax chains: LARS, masks and rates by parameter path."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sslax import lookup
from sslax.by_path import (
  exclude_bias_and_norm,
  from_step,
  in_turn,
  path_of,
  per_part,
  reset,
  scale_by_path,
  when,
)
from sslax.errors import BadInputError, nearest
from sslax.ops.precision import at_least_float32
from sslax.ops.schedules import (
  Schedule,
  cosine,
  ema,
  learning_rate_schedule,
  linear,
  teacher_momentum,
  warmup_cosine,
)

__all__ = [
  'OPTIMIZERS',
  'Schedule',
  'TrustState',
  'adamw',
  'build',
  'clip_each',
  'cosine',
  'ema',
  'exclude_bias_and_norm',
  'factory',
  'from_step',
  'in_turn',
  'lars',
  'learning_rate_schedule',
  'linear',
  'path_of',
  'per_part',
  'reset',
  'scale_by_path',
  'sgd',
  'teacher_momentum',
  'warmup_cosine',
  'when',
]


class TrustState(NamedTuple):
  """State of the layer-wise adaptation.

  Attributes:
    count: [], int32, number of steps made.
  """

  count: jax.Array


def _norm(x):
  return jnp.sqrt(jnp.sum(jnp.square(x)))


def _adapted(gradient, param, rate, *, decay, trust, eps, separate, clip):
  """The decayed gradient times the trust ratio of one leaf."""
  gradient, param = at_least_float32(gradient, param)
  decayed = gradient + decay * param
  norm = _norm(gradient if separate else decayed)
  denominator = norm + eps + (decay * _norm(param) if separate else 0)
  is_zero = (norm == 0) | (_norm(param) == 0)
  ratio = trust * _norm(param) / jnp.where(is_zero, 1, denominator)
  ratio = jnp.where(is_zero, 1, ratio)
  if clip:
    rate = jnp.asarray(rate).astype(ratio.dtype)
    ratio = jnp.minimum(ratio / jnp.maximum(rate, jnp.finfo(rate).tiny), 1)
  return ratio * decayed


def _adapt(learning_rate, **kwargs):
  """The decay and the trust ratio, leaf by leaf, as a transformation."""

  def init(params):
    del params
    return TrustState(jnp.zeros([], jnp.int32))

  def update(updates, state, params=None):
    if params is None:
      raise ValueError('lars needs params: optimizer.update(g, state, params)')
    rate = learning_rate
    if callable(learning_rate):
      rate = learning_rate(state.count)
    updates = jax.tree.map(
      lambda g, w: _adapted(g, w, rate, **kwargs).astype(g.dtype),
      updates,
      params,
    )
    return updates, TrustState(optax.safe_increment(state.count))

  return optax.GradientTransformation(init, update)


def lars(
  learning_rate: float | Schedule,
  *,
  weight_decay: float = 0.0,
  momentum: float = 0.9,
  trust_coefficient: float = 0.001,
  eps: float = 0.0,
  nesterov: bool = False,
  separate_norms: bool = False,
  clip: bool = False,
  mask: Any = 'weights',
  times: Mapping[str, Any] | None = None,
) -> optax.GradientTransformation:
  """Layer-wise adaptive rate scaling, as BYOL's authors run it.

  g ← (g + λw)·c·‖w‖/(‖g + λw‖ + eps); v ← momentum·v + g; w ← w − rate·v.
  Biases and normalization parameters receive neither decay nor adaptation.
  The ratio is 1 where a norm is zero.

  Args:
    learning_rate: number or schedule; multiplies after the momentum.
    weight_decay: λ.
    momentum: share of the velocity kept.
    trust_coefficient: c.
    eps: added to the denominator.
    nesterov: look one step ahead.
    separate_norms: denominator ‖g‖ + λ‖w‖ + eps, as lightly, solo-learn and
      timm (with eps 1e-8).
    clip: ratio ← min(ratio / rate, 1), so that no layer moves faster than the
      learning rate (LARC).
    mask: which parameters are decayed and adapted: 'weights' (biases and
      normalization parameters are left to plain momentum), 'all', a tree of
      bools, or params -> such a tree.
    times: which parameters have moments at which steps only (by_path.when).

  Returns:
    optax.GradientTransformation; its update needs params.

  References:
    You et al., Large batch training of convolutional networks,
    https://arxiv.org/abs/1708.03888, 2017.
    Grill et al., Bootstrap your own latent, https://arxiv.org/abs/2006.07733,
    2020: lars of byol/utils/optimizers.py in
    https://github.com/google-deepmind/deepmind-research is the default here.

  Deviations:
    The default follows BYOL's code (and Barlow Twins', DINO's, MoCo v3's):
    decay enters before the norm, and the learning rate stays out of the
    velocity. The 2017 paper takes the norms apart (`separate_norms`).
  """
  adapt = _adapt(
    learning_rate,
    decay=weight_decay,
    trust=trust_coefficient,
    eps=eps,
    separate=separate_norms,
    clip=clip,
  )
  return optax.chain(
    optax.masked(adapt, _mask(mask)),
    when(optax.trace(momentum, nesterov=nesterov), times or {}),
    optax.scale_by_learning_rate(learning_rate),
  )


def sgd(
  learning_rate: float | Schedule,
  *,
  weight_decay: float | Schedule = 0.0,
  momentum: float = 0.9,
  nesterov: bool = False,
  mask: Any = 'all',
  times: Mapping[str, Any] | None = None,
) -> optax.GradientTransformation:
  """Stochastic gradient descent with momentum and L2 decay in the gradient.

  Args:
    learning_rate: number or schedule; multiplies after the momentum.
    weight_decay: factor of the parameters that is added to the gradient.
    momentum: share of the velocity kept.
    nesterov: look one step ahead.
    mask: which parameters decay: 'all', as in MoCo and SimSiam, 'weights', a
      tree of bools, or params -> such a tree.
    times: which parameters have moments at which steps only (by_path.when).

  Returns:
    optax.GradientTransformation; its update needs params.
  """
  return optax.chain(
    optax.add_decayed_weights(weight_decay, _mask(mask)),
    when(optax.trace(momentum, nesterov=nesterov), times or {}),
    optax.scale_by_learning_rate(learning_rate),
  )


def adamw(
  learning_rate: float | Schedule,
  *,
  weight_decay: float | Schedule = 0.0,
  beta1: float = 0.9,
  beta2: float = 0.999,
  eps: float = 1e-8,
  mask: Any = 'weights',
  times: Mapping[str, Any] | None = None,
) -> optax.GradientTransformation:
  """Adam with decoupled weight decay on the weights that `mask` marks.

  Args:
    learning_rate: number or schedule.
    weight_decay: decay per unit of learning rate, or a schedule of it.
    beta1: share of the first moment kept.
    beta2: share of the second moment kept.
    eps: added to the root of the second moment.
    mask: which parameters decay: 'weights', 'all', a tree of bools, or params
      -> such a tree.
    times: which parameters have moments at which steps only (by_path.when).

  Returns:
    optax.GradientTransformation; its update needs params.

  References:
    Loshchilov & Hutter, Decoupled weight decay regularization,
    https://arxiv.org/abs/1711.05101, 2019.
  """
  return optax.chain(
    when(optax.scale_by_adam(beta1, beta2, eps), times or {}),
    optax.add_decayed_weights(weight_decay, _mask(mask)),
    optax.scale_by_learning_rate(learning_rate),
  )


OPTIMIZERS = {'lars': lars, 'sgd': sgd, 'adamw': adamw}


def build(
  name: str,
  *,
  learning_rate: float,
  batch_size: int,
  num_steps: int,
  multipliers: Mapping[str, float] | None = None,
  clip_norm: float | None = None,
  clip_each_norm: float | None = None,
  final_weight_decay: float | None = None,
  in_turns: Sequence[str] = (),
  held: Mapping[str, int | None] | None = None,
  **kwargs: Any,
) -> optax.GradientTransformation:
  """The optimizer that a config's `optim` names, with its schedule.

  Args:
    name: 'lars', 'sgd' or 'adamw'.
    learning_rate: at a batch of 256; scaled by batch_size / 256.
    batch_size: global batch.
    num_steps: the whole duration in steps.
    multipliers: path pattern -> factor of the learning rate (scale_by_path).
    clip_norm: largest global norm of the gradient.
    clip_each_norm: largest norm of each parameter's gradient, as in DINO.
    final_weight_decay: weight decay at the end of a cosine that starts at
      weight_decay; None keeps it constant.
    in_turns: path patterns of parameters that move by turns, one pattern a
      step, as the two players of a GAN; () moves all at every step.
    held: path pattern -> number of steps at the start in which these
      parameters stay as they are, without moments; None is for ever.
    **kwargs: further arguments of learning_rate_schedule (warmup_steps or
      warmup_ratio, ...) and of the optimizer (weight_decay, momentum, ...).

  Returns:
    optax.GradientTransformation; its update needs params.

  Raises:
    BadInputError: an unknown name or argument (the nearest is given), or a
      value out of range.
  """
  if name not in OPTIMIZERS:
    raise BadInputError(
      f"optim.name is '{name}'{nearest(str(name), OPTIMIZERS)}"
    )
  for_schedule, for_factory = _keywords(
    learning_rate_schedule, OPTIMIZERS[name]
  )
  for key in kwargs:
    if key not in for_schedule | for_factory:
      valid = (
        for_schedule | for_factory | set(inspect.signature(build).parameters)
      )
      raise BadInputError(
        f'optim.{key} is not an argument of {name}{nearest(key, valid)}'
      )
  rate = learning_rate_schedule(
    learning_rate,
    batch_size=batch_size,
    num_steps=num_steps,
    **{k: v for k, v in kwargs.items() if k in for_schedule},
  )
  own = {k: v for k, v in kwargs.items() if k in for_factory}
  if final_weight_decay is not None:
    first = own.get('weight_decay', 0.0)
    own['weight_decay'] = cosine(first, final_weight_decay, num_steps=num_steps)
  times = {p: from_step(n) for p, n in (held or {}).items()} | in_turn(in_turns)
  return optax.chain(
    *_clip('clip_norm', clip_norm, optax.clip_by_global_norm),
    *_clip('clip_each_norm', clip_each_norm, clip_each),
    OPTIMIZERS[name](rate, times=times, **own),
    scale_by_path(multipliers or {}),
    when(optax.identity(), times),
  )


def _mask(mask):
  """What optax takes as a mask."""
  named = {
    'weights': exclude_bias_and_norm,
    'all': lambda params: jax.tree.map(lambda _: True, params),
  }
  if not isinstance(mask, str):
    return mask
  if mask not in named:
    raise BadInputError(f"optim.mask is '{mask}'{nearest(mask, named)}")
  return named[mask]


def clip_each(max_norm: float) -> optax.GradientTransformation:
  """Clips the norm of each parameter's gradient by itself.

  g ← g·min(1, max_norm / (‖g‖ + 1e-6)).

  Args:
    max_norm: largest norm.

  Returns:
    optax.GradientTransformation.

  References:
    Caron et al., Emerging properties in self-supervised vision transformers,
    https://arxiv.org/abs/2104.14294, 2021, and clip_gradients of utils.py in
    https://github.com/facebookresearch/dino.
  """

  def clip(g):
    share = max_norm / (_norm(at_least_float32(g)) + 1e-6)
    return (g * jnp.minimum(share, 1)).astype(g.dtype)

  return optax.stateless(lambda updates, _: jax.tree.map(clip, updates))


def factory(name: str) -> Callable[..., optax.GradientTransformation]:
  """Returns `build` of one name, whose signature shows all its arguments.

  Args:
    name: 'lars', 'sgd' or 'adamw'.

  Raises:
    BadInputError: no such optimizer, with the nearest valid name.
  """
  lookup.choose('optim', name, OPTIMIZERS)
  parts = (learning_rate_schedule, OPTIMIZERS[name])
  own = list(inspect.signature(build).parameters.values())[1:-1]
  further = [
    p.replace(kind=p.KEYWORD_ONLY)
    for f in parts
    for p in list(inspect.signature(f).parameters.values())[1:]
    if p.name not in inspect.signature(build).parameters
  ]

  def make(**kwargs):
    return build(name, **kwargs)

  make.__name__ = name
  make.__doc__ = '\n\n'.join(inspect.getdoc(f) for f in (build, *parts))
  make.__signature__ = inspect.Signature([*own, *further])
  return make


def _clip(key, norm, make):
  if norm is None:
    return []
  if not norm > 0:
    raise BadInputError(f'optim.{key} is {norm}; it must be positive')
  return [make(norm)]


def _keywords(*functions):
  """The names of each function's arguments, the first excepted."""
  return [set(list(inspect.signature(f).parameters)[1:]) for f in functions]
