"""The page of methods names functions that exist, and leaves no loss out."""

import importlib
import inspect
import pathlib
import re

from sslax import losses

_PAGE = pathlib.Path(__file__).parents[2] / 'docs' / 'losses_of_methods.md'
# Parts of losses that are named there already.
_PARTS = {'densecl_dense', 'frequency_grid', 'nearest_matches', 'vicregl_local'}


def _named():
  return set(re.findall(r'`((?:losses|ops|evals)\.[\w.]+)`', _PAGE.read_text()))


def test_every_name_is_a_function():
  for name in _named():
    module, function = f'sslax.{name}'.rsplit('.', 1)
    found = getattr(importlib.import_module(module), function, None)
    assert inspect.isfunction(found), name


def test_every_public_loss_is_named():
  public = {
    name
    for name, value in vars(losses).items()
    if inspect.isfunction(value) and value.__module__.startswith('sslax.losses')
  }
  named = {name.split('.')[1] for name in _named() if name[0] == 'l'}
  assert public - named - _PARTS == set()
