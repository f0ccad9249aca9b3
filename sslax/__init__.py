"""sslax: self-supervised learning in JAX and Flax."""

import importlib

__version__ = '0.1.0'

_LAZY = ('data', 'evals', 'losses', 'methods', 'nets', 'ops')


def __getattr__(name: str):
  """Imports a subpackage on first use, so that `import sslax` stays light."""
  if name == 'load':
    return importlib.import_module('sslax.encoder').load
  if name in _LAZY:
    return importlib.import_module(f'sslax.{name}')
  raise AttributeError(f'module sslax has no attribute {name!r}')


def __dir__():
  return sorted([*globals(), *_LAZY, 'load'])
