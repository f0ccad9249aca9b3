"""Optimizers as optax chains: LARS, masks and rates by parameter path."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sslax import lookup
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
  'cosine',
  'ema',
  'exclude_bias_and_norm',
  'factory',
  'lars',
  'learning_rate_schedule',
  'linear',
  'path_of',
  'per_part',
  'scale_by_path',
  'sgd',
  'teacher_momentum',
  'warmup_cosine',
]


def path_of(keys) -> str:
  """The path of a leaf as `encoder/block/kernel`.

  Args:
    keys: key path of jax.tree_util.tree_map_with_path.
  """
  return jax.tree_util.keystr(keys, simple=True, separator='/')


def exclude_bias_and_norm(params):
  """True for weights; False for biases and normalization parameters.

  Those are the leaves of fewer than two axes, and the leaves called `bias` or
  `scale`, which stay excluded when layers are stacked along a leading axis.

  Args:
    params: tree of arrays.

  Returns:
    Tree of bools, a mask for weight decay and adaptation.

  >>> exclude_bias_and_norm({'kernel': jnp.ones((2, 2)), 'bias': jnp.ones(2)})
  {'bias': False, 'kernel': True}
  """

  def is_weight(keys, leaf):
    name = path_of(keys).rsplit('/', 1)[-1]
    return jnp.ndim(leaf) > 1 and name not in ('bias', 'scale')

  return jax.tree_util.tree_map_with_path(is_weight, params)


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
  mask: Any = exclude_bias_and_norm,
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
    mask: tree of bools, or params -> such a tree; False leaves are left to
      plain momentum.

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
    optax.masked(adapt, mask),
    optax.trace(momentum, nesterov=nesterov),
    optax.scale_by_learning_rate(learning_rate),
  )


def sgd(
  learning_rate: float | Schedule,
  *,
  weight_decay: float = 0.0,
  momentum: float = 0.9,
  nesterov: bool = False,
  mask: Any = None,
) -> optax.GradientTransformation:
  """Stochastic gradient descent with momentum and L2 decay in the gradient.

  Args:
    learning_rate: number or schedule; multiplies after the momentum.
    weight_decay: factor of the parameters that is added to the gradient.
    momentum: share of the velocity kept.
    nesterov: look one step ahead.
    mask: which parameters decay (tree of bools, or params -> such a tree);
      None is all, as in MoCo and SimSiam.

  Returns:
    optax.GradientTransformation; its update needs params.
  """
  return optax.chain(
    optax.add_decayed_weights(weight_decay, mask),
    optax.trace(momentum, nesterov=nesterov),
    optax.scale_by_learning_rate(learning_rate),
  )


def adamw(
  learning_rate: float | Schedule,
  *,
  weight_decay: float = 0.0,
  beta1: float = 0.9,
  beta2: float = 0.999,
  eps: float = 1e-8,
  mask: Any = exclude_bias_and_norm,
) -> optax.GradientTransformation:
  """Adam with decoupled weight decay on the weights that `mask` marks.

  Args:
    learning_rate: number or schedule.
    weight_decay: decay per unit of learning rate.
    beta1: share of the first moment kept.
    beta2: share of the second moment kept.
    eps: added to the root of the second moment.
    mask: which parameters decay: tree of bools, or params -> such a tree.

  Returns:
    optax.GradientTransformation; its update needs params.

  References:
    Loshchilov & Hutter, Decoupled weight decay regularization,
    https://arxiv.org/abs/1711.05101, 2019.
  """
  return optax.adamw(
    learning_rate, beta1, beta2, eps, weight_decay=weight_decay, mask=mask
  )


def _patterns_of(params, patterns):
  """Tree of the first pattern found in each leaf's path, or ''."""
  used = set()

  def match(keys, leaf):
    del leaf
    found = (p for p in patterns if re.search(p, path_of(keys)))
    pattern = next(found, '')
    used.add(pattern)
    return pattern

  tree = jax.tree_util.tree_map_with_path(match, params)
  for pattern in patterns:
    if pattern not in used:
      leaves = jax.tree_util.tree_flatten_with_path(params)[0]
      paths = ', '.join(path_of(keys) for keys, _ in leaves)
      raise BadInputError(
        f"optim: pattern '{pattern}' takes no parameter; paths: {paths}"
      )
  return tree


def scale_by_path(
  multipliers: Mapping[str, float],
) -> optax.GradientTransformation:
  """Multiplies the updates (so the learning rate) of some parameters.

  Args:
    multipliers: regular expression, searched in the path `a/b/kernel` ->
      factor. The first that is found counts; other parameters keep theirs.

  Returns:
    optax.GradientTransformation.

  Raises:
    BadInputError: at init, when a pattern takes no parameter.
  """

  def init(params):
    _patterns_of(params, multipliers)
    return optax.EmptyState()

  def scale(keys, update):
    for pattern, factor in multipliers.items():
      if re.search(pattern, path_of(keys)):
        return factor * update
    return update

  def update(updates, state, params=None):
    del params
    return jax.tree_util.tree_map_with_path(scale, updates), state

  return optax.GradientTransformation(init, update)


def per_part(
  parts: Mapping[str, optax.GradientTransformation],
  default: optax.GradientTransformation,
) -> optax.GradientTransformation:
  """Different optimizers by parameter path.

  Args:
    parts: regular expression, searched in the path `a/b/kernel` -> optimizer.
      The first that is found counts.
    default: optimizer of all other parameters.

  Returns:
    optax.GradientTransformation.

  Raises:
    BadInputError: at init, when a pattern takes no parameter.
  """
  return optax.multi_transform(
    {**parts, '': default}, lambda params: _patterns_of(params, tuple(parts))
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
  factory = OPTIMIZERS[name]
  for_schedule, for_factory = _keywords(learning_rate_schedule, factory)
  for key in kwargs:
    if key not in for_schedule | for_factory:
      valid = for_schedule | for_factory | {'multipliers', 'clip_norm'}
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
  before = _clip(clip_norm)
  after = [scale_by_path(multipliers)] if multipliers else []
  return optax.chain(*before, factory(rate, **own), *after)


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


def _clip(norm):
  if norm is None:
    return []
  if not norm > 0:
    raise BadInputError(f'optim.clip_norm is {norm}; it must be positive')
  return [optax.clip_by_global_norm(norm)]


def _keywords(*functions):
  """The names of each function's arguments, the first excepted."""
  return [set(list(inspect.signature(f).parameters)[1:]) for f in functions]
