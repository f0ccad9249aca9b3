"""The examples in the docstrings of all losses."""

import doctest
import importlib
import pkgutil

import pytest

from sslax import losses
from tests.losses.quick import quick

_MODULES = [m.name for m in pkgutil.iter_modules(losses.__path__)]


@pytest.mark.parametrize('name', _MODULES)
def test_the_examples_are_true(name):
  module = importlib.import_module(f'sslax.losses.{name}')
  result = doctest.testmod(module, extraglobs=quick(module))
  assert result.attempted > 0
  assert result.failed == 0
