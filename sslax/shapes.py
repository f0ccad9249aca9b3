"""Shapes are checked once, where they enter."""

from typing import Any

import numpy as np


def check(**arrays_and_specs: tuple[Any, str]) -> dict[str, int]:
  """Checks shapes against letter specs and returns what each letter stands for.

  `check(z1=(z1, 'B D'), z2=(z2, 'B D'), labels=(labels, 'B'))` raises unless
  z1 and z2 are [B, D] with one B and one D. A number in a spec must be met
  exactly, `_` takes any size, and a leading `...` takes any axes.

  Args:
    **arrays_and_specs: argument name = (array, spec).

  Returns:
    A dict from each letter to its size.

  Raises:
    ValueError: naming the argument, the shape that came and what was expected.
  """
  sizes: dict[str, int] = {}
  for name, (array, spec) in arrays_and_specs.items():
    shape, letters = np.shape(array), spec.split()
    if letters and letters[0] == '...':
      letters = letters[1:]
      shape = shape[len(shape) - len(letters) :]
    fits = len(shape) == len(letters) and all(
      letter == '_' or sizes.setdefault(letter, size) == size
      if not letter.isdigit()
      else int(letter) == size
      for letter, size in zip(letters, shape, strict=False)
    )
    if not fits:
      known = ', '.join(f'{k}={v}' for k, v in sizes.items())
      raise ValueError(
        f'{name} has shape {list(np.shape(array))}; expected'
        f' [{", ".join(spec.split())}]' + (f' with {known}' if known else '')
      )
  return sizes
