"""The bytes that each device holds, by kind."""

import math
from typing import NamedTuple

import jax

from sslax import by_path

_AHEAD = 2  # batches on their way to the devices, sharding.feed


class Split(NamedTuple):
  """An array that is not held whole by each device.

  Attributes:
    kind: params, opt_state or state.
    path: of the array.
    shape: of all of it.
    held: what a device holds.
    bytes: that a device holds.
  """

  kind: str
  path: str
  shape: tuple[int, ...]
  held: tuple[int, ...]
  bytes: int


def _held(leaf) -> tuple[int, ...]:
  return leaf.sharding.shard_shape(leaf.shape)


def device_bytes(tree) -> int:
  """Returns the bytes that a device holds of a tree of shapes with shardings.

  Args:
    tree: from train.init_shapes.
  """
  return sum(
    math.prod(_held(leaf)) * _width(leaf) for leaf in jax.tree.leaves(tree)
  )


def _width(leaf) -> int:
  if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
    return 8
  return leaf.dtype.itemsize


def by_kind(train_state, batch) -> dict[str, int]:
  """Returns name -> bytes a device holds between steps.

  Args:
    train_state: from train.init_shapes.
    batch: shapes of a global batch.
  """
  state = train_state.state
  fields = getattr(state, '_fields', ())
  kinds = {
    'parameters': device_bytes(train_state.params),
    'optimizer': device_bytes(train_state.opt_state),
  }
  for field in fields:
    kinds[f'state: {field}'] = device_bytes(getattr(state, field))
  if not fields:
    kinds['state'] = device_bytes(state)
  kinds['batch'] = device_bytes(batch)
  kinds[f'{_AHEAD} batches ahead'] = _AHEAD * kinds['batch']
  return {name: size for name, size in kinds.items() if size}


def whole(kinds: dict[str, int], memory: dict[str, int]) -> dict[str, int]:
  """Adds what only the compiler knows.

  Args:
    kinds: from `by_kind`.
    memory: of the compiled program, by jax's names without `_in_bytes`.
  """
  ahead = sum(n for name, n in kinds.items() if name.endswith('ahead'))
  known = sum(kinds.values()) - ahead
  rest = {
    'padding': memory['argument_size'] - known,
    'results': memory['output_size'] - memory['alias_size'],
    'temporaries': memory['temp_size'],
    'program': memory['generated_code_size'],
  }
  return {**kinds, **{k: n for k, n in rest.items() if n > 0}}


def splits(train_state) -> list[Split]:
  """Returns the arrays that are split over devices.

  Args:
    train_state: from train.init_shapes.
  """
  found = []
  for kind in ('params', 'opt_state', 'state'):
    tree = getattr(train_state, kind)
    for keys, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
      held = _held(leaf)
      if held != tuple(leaf.shape):
        size = math.prod(held) * _width(leaf)
        path = by_path.path_of(keys)
        found.append(Split(kind, path, tuple(leaf.shape), held, size))
  return found
