"""Encoders and heads, each a factory that returns a Net."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable

from sslax import lookup
from sslax.nets.audio_convnet import audio_convnet
from sslax.nets.decoder import decoder
from sslax.nets.mlp import mlp
from sslax.nets.net import Net, from_linen, from_nnx
from sslax.nets.resnet import resnet
from sslax.nets.resnet3d import resnet3d
from sslax.nets.text_transformer import text_transformer
from sslax.nets.vit import vit


def build(name: str, **kwargs) -> Net:
  """Builds the network `sslax.nets.<name>.<name>`.

  Args:
    name: file name == function name, such as 'resnet'.
    **kwargs: the function's arguments.

  Raises:
    BadInputError: for an unknown network or argument, with the nearest name.
  """
  return lookup.call('net', factory(name), **kwargs)


def factory(name: str) -> Callable[..., Net]:
  """Returns the function that builds the network of that name.

  Args:
    name: file name == function name, such as 'resnet'.

  Raises:
    BadInputError: for an unknown network, with the nearest name.
  """
  modules = [module.name for module in pkgutil.iter_modules(__path__)]
  factories = {module: _factory(module) for module in modules}
  lookup.choose('net', name, [m for m, make in factories.items() if make])
  return factories[name]


def _factory(module):
  """The function `module.module`, if keywords alone make it a Net, or None."""
  imported = importlib.import_module(f'{__name__}.{module}')
  make = getattr(imported, module, None)
  if not inspect.isfunction(make):
    return None
  signature = inspect.signature(make)
  keywords = all(
    p.kind == p.KEYWORD_ONLY for p in signature.parameters.values()
  )
  return make if keywords and signature.return_annotation is Net else None
