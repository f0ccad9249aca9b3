"""What an optimizer does to some parameters only, found by their path."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sslax.errors import BadInputError


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


class WaitingState(NamedTuple):
  """State of an optimizer that does not step at every step.

  Attributes:
    count: [], int32, number of steps made.
    inner: the optimizer's own state, untouched while it waits.
  """

  count: jax.Array
  inner: Any


def when(
  tx: optax.GradientTransformation,
  times: Mapping[str, Callable[[jax.Array], jax.Array] | None],
) -> optax.GradientTransformation:
  """Lets some parameters move at some steps only.

  At other steps they have no update, and their moments and the count behind
  the bias correction stay as they are.

  Args:
    tx: optimizer, or a part of one.
    times: regular expression, searched in the path `a/b/kernel` -> (step ->
      whether they move); None is never. The first that is found counts; other
      parameters move at every step.

  Returns:
    optax.GradientTransformation.

  Raises:
    BadInputError: at init, when a pattern takes no parameter.
  """
  if not times:
    return tx
  return per_part({p: _waiting(tx, moves) for p, moves in times.items()}, tx)


def _waiting(tx, moves):
  if moves is None:
    return optax.set_to_zero()

  def init(params):
    return WaitingState(jnp.zeros([], jnp.int32), tx.init(params))

  def update(updates, state, params=None):
    moved, inner = tx.update(updates, state.inner, params)
    still = jax.tree.map(jnp.zeros_like, moved)
    now = moves(state.count)
    updates, inner = jax.tree.map(
      lambda new, old: jnp.where(now, new, old),
      (moved, inner),
      (still, state.inner),
    )
    return updates, WaitingState(optax.safe_increment(state.count), inner)

  return optax.GradientTransformation(init, update)


def from_step(num_steps: int | None):
  """Returns what `when` takes for parameters that are held at first.

  Args:
    num_steps: for so many steps; None is for ever.
  """
  return None if num_steps is None else lambda step: step >= num_steps


def in_turn(patterns: Sequence[str]):
  """Returns what `when` takes for parameters that move by turns.

  Args:
    patterns: those of the k-th of K move at steps k, k + K, k + 2K, ...
  """
  num = len(patterns)
  return {
    pattern: lambda step, k=k: step % num == k
    for k, pattern in enumerate(patterns)
  }


def reset(
  tx: optax.GradientTransformation, opt_state, params, patterns: tuple[str, ...]
):
  """Starts the moments of some parameters anew.

  Args:
    tx: the optimizer.
    opt_state: its state.
    params: tree of arrays.
    patterns: regular expressions, searched in the path `a/b/kernel`.

  Returns:
    The optimizer's state; counts and the moments of other parameters stay.
  """

  def choose(keys, new, old):
    path = path_of(keys)
    return new if any(re.search(p, path) for p in patterns) else old

  return jax.tree_util.tree_map_with_path(choose, tx.init(params), opt_state)
