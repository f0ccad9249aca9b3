"""Methods: one file each, found by name."""

import sys
from collections.abc import Callable

from sslax import lookup
from sslax.method import Method


def factory(name: str) -> Callable[..., Method]:
  """Returns the factory of a method: the function of the module of its name.

  Raises:
    BadInputError: there is no such method.
  """
  return lookup.by_module('method', name, sys.modules[__name__])
