"""Arguments of network factories, checked by name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sslax.errors import BadInputError, nearest


def one_of(key: str, value: Any, valid: Iterable[str]) -> None:
  """Refuses a value that is not among the valid ones.

  Raises:
    BadInputError: naming the key `net.key` and the nearest valid value.
  """
  valid = tuple(valid)
  if value not in valid:
    raise BadInputError(
      f'net.{key}={value!r} is no {key}{nearest(str(value), valid)}'
    )


def whole(least: int = 1, **numbers: Any) -> None:
  """Refuses what is not a whole number, or is too small.

  Args:
    least: the smallest number allowed.
    **numbers: argument name = value.

  Raises:
    BadInputError: naming the key and the value.
  """
  for key, value in numbers.items():
    if not isinstance(value, int) or value < least:
      raise BadInputError(
        f'net.{key}={value!r} is not a whole number >= {least}'
      )


def width(width: int, num_heads: int) -> None:
  """Refuses a width that heads or sine-cosine positions cannot share.

  Raises:
    BadInputError: naming both keys and their values.
  """
  whole(width=width, num_heads=num_heads)
  if width % num_heads or width % 4:
    raise BadInputError(
      f'net.width={width} must be a multiple of 4 and of'
      f' net.num_heads={num_heads}'
    )


def rate(**numbers: Any) -> None:
  """Refuses what is not a probability below one.

  Raises:
    BadInputError: naming the key and the value.
  """
  for key, value in numbers.items():
    if not 0 <= value < 1:
      raise BadInputError(f'net.{key}={value!r} is not in [0, 1)')


def taps(taps: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
  """Returns the taps as a tuple, all of them among the names.

  Raises:
    BadInputError: naming the tap and the nearest name.
  """
  taps, names = tuple(taps), tuple(names)
  for tap in taps:
    if tap not in names:
      raise BadInputError(
        f'net.taps holds {tap!r}, which is no tap{nearest(str(tap), names)}'
      )
  return taps


def stage_sizes(
  depth: int,
  sizes: Sequence[int] | None,
  by_depth: Mapping[int, Sequence[int]],
) -> tuple[int, ...]:
  """Returns the blocks of each stage: those given, or what depth says.

  Raises:
    BadInputError: naming the key and the value.
  """
  if sizes is None:
    if depth not in by_depth:
      valid = ', '.join(map(str, by_depth))
      raise BadInputError(f'net.depth={depth!r} is no depth; valid: {valid}')
    return tuple(by_depth[depth])
  sizes = tuple(sizes)
  if not sizes:
    raise BadInputError(
      'net.stage_sizes=() must be whole numbers >= 1, one a stage, such as'
      ' (1, 1, 1)'
    )
  for size in sizes:
    whole(stage_sizes=size)
  return sizes
