"""Views of several sizes through one network."""

import itertools

import jax
import jax.numpy as jnp


def by_size(apply):
  """Applies a network once for each size of view.

  Consecutive views of one shape enter together, so that they share batch
  statistics, as in the official code of SwAV and DINO. Row b of each view is
  kept beside row b of the others: on several devices nothing moves.

  Args:
    apply: as in Net.

  Returns:
    (params, stats, views, *, train, rng, **how) -> (tuple of outputs, one for
    each view, stats); `how` is passed on, such as taps.
  """

  def applied(params, stats, views, *, train, rng=None, **how):
    outputs = []
    groups = itertools.groupby(views, key=lambda view: view.shape)
    for i, (_, group) in enumerate(groups):
      together, num = interleave(tuple(group))
      key = None if rng is None else jax.random.fold_in(rng, i)
      made, stats = apply(params, stats, together, train=train, rng=key, **how)
      outputs += separate(made, num)
    return tuple(outputs), stats

  return applied


def interleave(arrays):
  """Joins arrays of one shape, row b of each beside row b of the others.

  Args:
    arrays: V arrays [B, ...].

  Returns:
    [B·V, ...] and V.
  """
  stacked = jnp.stack(arrays, axis=1)
  return stacked.reshape(-1, *stacked.shape[2:]), len(arrays)


def separate(outputs, num):
  """Undoes `interleave` for what was made of it.

  Args:
    outputs: tree of arrays [B·V, ...].
    num: V.

  Returns:
    List of V trees of arrays [B, ...].
  """
  split = jax.tree.map(lambda x: x.reshape(-1, num, *x.shape[1:]), outputs)
  return [jax.tree.map(lambda x, v=v: x[:, v], split) for v in range(num)]
