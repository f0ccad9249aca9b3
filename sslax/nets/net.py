"""The seam between sslax and module systems: a pair of pure functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Params = Any
Stats = Any  # batch statistics, or {} where there are none


class Net(NamedTuple):
  """A network as two pure functions, whatever module system wrote it.

  Attributes:
    init: (rng, *inputs) -> (params, stats).
    apply: (params, stats, *inputs, train, rng, taps) -> (outputs, stats).
      With train=False the statistics are used and returned unchanged; rng may
      be None where nothing is random. With taps, names of inner outputs, where
      the network has them, the outputs are a dict of those.
  """

  init: Callable[..., tuple[Params, Stats]]
  apply: Callable[..., tuple[Any, Stats]]


def from_linen(module) -> Net:
  """Wraps a flax.linen module whose `__call__` takes (*inputs, train).

  Args:
    module: any linen module; its `batch_stats` collection becomes the stats.
      Randomness in `apply` comes from the `dropout` stream. Inputs are arrays.
      Taps need an attribute `taps` of the module.
  """

  @jax.jit  # what only the outputs need is never compiled
  def init(rng, *inputs):
    variables = module.init({'params': rng}, *inputs, train=False)
    return variables['params'], variables.get('batch_stats', {})

  def apply(params, stats, *inputs, train, rng=None, taps=()):
    called = module.clone(taps=tuple(taps)) if taps else module
    variables = {'params': params}
    if stats:
      variables['batch_stats'] = stats
    rngs = None if rng is None else {'dropout': rng}
    if not (train and stats):
      return called.apply(variables, *inputs, train=train, rngs=rngs), stats
    outputs, new = called.apply(
      variables, *inputs, train=True, rngs=rngs, mutable=['batch_stats']
    )
    return outputs, new['batch_stats']

  return Net(init, apply)


def from_nnx(build: Callable[..., Any]) -> Net:
  """Wraps a flax.nnx module, built by `build(rngs)` and called as (*inputs).

  `module.train()` and `module.eval()` choose the mode. Every variable that is
  not an nnx.Param and not part of a random stream is kept as stats.

  Args:
    build: nnx.Rngs -> nnx.Module.

  Raises:
    ValueError: from apply in train mode, where the module draws random numbers
      and rng is None.
  """
  from flax import nnx

  def split(module):
    _, params, streams, stats = nnx.split(module, nnx.Param, nnx.RngState, ...)
    return nnx.to_pure_dict(params), streams, nnx.to_pure_dict(stats)

  def init(rng, *inputs):
    del inputs  # an nnx module knows its input sizes when it is built
    params, _, stats = split(build(nnx.Rngs(rng)))
    return params, stats

  def apply(params, stats, *inputs, train, rng=None, taps=()):
    if taps:
      raise ValueError(f'an nnx module has no taps, and {taps} were asked for')
    module = build(nnx.Rngs(jax.random.key(0) if rng is None else rng))
    if train and rng is None and jax.tree.leaves(split(module)[1]):
      raise ValueError('rng is None, but the module draws random numbers')
    nnx.update(module, params)
    nnx.update(module, stats)
    module.train() if train else module.eval()
    outputs = module(*inputs)
    return outputs, split(module)[2] if train else stats

  return Net(init, apply)
