"""Factories found by name, and called with arguments checked by name."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any

from sslax.errors import BadInputError, nearest


def by_module(group: str, name: str, package) -> Callable[..., Any]:
  """Returns the function `name` of the module `name` of a package.

  Args:
    group: what the config calls it (`method`, `net`), for the message.
    name: of the module and its function.
    package: the package that is searched.

  Raises:
    BadInputError: there is no such module.
  """
  names = {m.name for m in pkgutil.iter_modules(package.__path__)}
  choose(group, name, names)
  return getattr(importlib.import_module(f'{package.__name__}.{name}'), name)


def choose(group: str, name: str, valid: Iterable[str]) -> None:
  """Refuses a name that is not among the valid ones.

  Raises:
    BadInputError: naming the key `group`.name and the nearest valid name.
  """
  if name not in valid:
    raise BadInputError(
      f'{group}.name is {name!r}, which sslax does not have'
      + nearest(name, valid)
    )


def call(group: str, make: Callable[..., Any], *args, **kwargs) -> Any:
  """Calls a factory; an argument that it does not take is bad input.

  Args:
    group: what the config calls it.
    make: the factory.
    *args: passed on.
    **kwargs: passed on, after their names were checked.

  Raises:
    BadInputError: naming the key `group`.argument and the nearest valid one.
  """
  check_arguments(group, make, kwargs)
  return make(*args, **kwargs)


def check_arguments(
  group: str, make: Callable[..., Any], given: Iterable[str]
) -> None:
  """Refuses argument names that a factory does not take.

  Raises:
    BadInputError: naming the key `group`.argument and the nearest valid one.
  """
  valid = inspect.signature(make).parameters
  for key in given:
    if key not in valid:
      raise BadInputError(
        f'{group}.{key} is not an argument of {make.__name__}'
        + nearest(key, valid)
      )
