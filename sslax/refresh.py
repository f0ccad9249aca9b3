"""A method's pass over the data set between steps, as the loop runs it."""

import functools
from collections.abc import Callable

import jax

from sslax import optim, train
from sslax.data.source import Source
from sslax.evals import features
from sslax.method import Dataset


def dataset(parts, source: Source) -> Dataset:
  """Returns the training examples as a refresh passes over them.

  Args:
    parts: from sslax.build.
    source: of the training examples.
  """
  jitted = functools.cache(parts.extractor.jitted)

  def map_(function, params, state):
    embed = functools.partial(jitted(function), params, state)
    return features.of_source(parts.extractor, embed, source)[0]

  return Dataset(source.num_examples, map_)


def runner(
  parts, source: Source
) -> Callable[[int, train.TrainState], train.TrainState]:
  """Returns refreshed(step, train_state), to be called before each step.

  Args:
    parts: from sslax.build.
    source: of the training examples.
  """
  refresh = parts.method.refresh
  if refresh is None:
    return lambda step, train_state: train_state
  examples = dataset(parts, source)

  def refreshed(step, old):
    if step % refresh.every_steps:
      return old
    rng = jax.random.fold_in(jax.random.key(parts.config.seed), step)
    rng = jax.random.fold_in(rng, 2)  # 0 and 1 are the step's own
    params, state = refresh.run(
      old.params, old.state, examples, rng=rng, step=step
    )
    opt_state = optim.reset(parts.tx, old.opt_state, params, refresh.reset)
    new = old._replace(params=params, state=state, opt_state=opt_state)
    return jax.tree.map(_in_place_of, new, old)

  return refreshed


def _in_place_of(new, old):
  """Puts an array where the one it replaces was."""
  if (new.shape, new.dtype) != (old.shape, old.dtype):
    raise ValueError(
      f'a refresh returned {new.dtype}{list(new.shape)} in the place of'
      f' {old.dtype}{list(old.shape)}'
    )
  return jax.device_put(new, old.sharding)
