"""From a config to the parts of a run: one place for every command."""

import inspect
from typing import Any, NamedTuple

import jax

from sslax import lookup, methods, nets, optim, sharding
from sslax.data import source as sources
from sslax.data import view_recipes
from sslax.evals.features import Extractor
from sslax.method import Method
from sslax.nets.net import Net
from sslax.nets.pieces import in_pieces


class Parts(NamedTuple):
  """What a config describes, built."""

  config: Any  # complete ConfigDict
  mesh: jax.sharding.Mesh
  encoder: Net
  method: Method
  views: Any  # sslax.data.views.Views
  tx: Any  # optax optimizer
  extractor: Extractor


def build(config) -> Parts:
  """Builds everything but the data.

  Args:
    config: complete ConfigDict, from config.override.

  Raises:
    BadInputError: a value that cannot work.
  """
  if config.dtype == 'float64':
    jax.config.update('jax_enable_x64', True)
  mesh = sharding.make_mesh(config.mesh.fsdp)
  known = {
    'num_steps': config.num_steps,
    'num_examples': config.data.num_examples,
    'vocab_size': config.data.vocabulary,
    'max_length': config.data.text_length,
    'dtype': config.dtype,
    'batch_pieces': config.batch_pieces,
  }
  encoder = _make('net', nets.factory, config, **known)
  encoder = in_pieces(encoder, config.batch_pieces)
  method = _make('method', methods.factory, config, encoder, **known)
  views = _make('views', view_recipes.factory, config, dtype=config.dtype)
  tx = _make(
    'optim',
    optim.factory,
    config,
    num_steps=config.num_steps,
    batch_size=config.batch_size,
    held=method.held,
  )
  extractor = Extractor(views.evaluate, views.size, mesh, reads=views.reads)
  return Parts(config, mesh, encoder, method, views, tx, extractor)


def _make(group, factory, config, *args, **given):
  """Calls the factory of a group with what the config chose.

  Of what is given by the run itself, a factory takes what it has an argument
  for.
  """
  chosen = {k: v for k, v in config[group].items() if k != 'name'}
  make = factory(config[group].name)
  taken = inspect.signature(make).parameters
  given = {k: v for k, v in given.items() if k in taken}
  return lookup.call(group, make, *args, **given, **chosen)


def load_source(config, split: str) -> sources.Source:
  """Opens the source of a config.

  Args:
    config: complete ConfigDict.
    split: 'train' or 'test'.

  Raises:
    BadInputError: it does not exist or cannot be read.
  """
  data, size = config.data, config.views.get('size')  # sounds have no side
  source = sources.load(
    data.name,
    split=split,
    image_size=size[0] if isinstance(size, tuple | list) else size,
    dir=data.dir or None,
    path=data.path or None,
    labels=data.labels or None,
    text=data.text or None,
    vocabulary=data.vocabulary,
    text_length=data.text_length,
    clip_frames=data.clip_frames,
    seed=config.seed,
  )
  reads = view_recipes.factory(config.views.name).reads
  sources.check_holds(source, reads, f'views.name={config.views.name}')
  return source
