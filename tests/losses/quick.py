"""The losses as tests call them: a call is one compiled program.

Called as they are, every operation is compiled by itself, at 25 milliseconds
each, which would be half of the time of all tests.
"""

import functools
import inspect
import types

import jax
import numpy as np

from sslax import losses as _losses


def compiled(function):
  """Returns the function, jitted over the arrays that a call is given.

  What is no array is fixed, as is all of a call that needs numbers on the host.
  """

  @functools.cache
  def program(structure, fixed):
    def run(arrays):
      leaves = list(fixed)
      for at, array in arrays.items():
        leaves[at] = array
      args, kwargs = jax.tree.unflatten(structure, leaves)
      return function(*args, **kwargs)

    return jax.jit(run)

  @functools.wraps(function)
  def call(*args, **kwargs):
    leaves, structure = jax.tree.flatten((args, kwargs))
    arrays = {
      i: leaf
      for i, leaf in enumerate(leaves)
      if isinstance(leaf, jax.Array | np.ndarray | np.generic)
    }
    fixed = tuple(None if i in arrays else x for i, x in enumerate(leaves))
    try:
      return program(structure, fixed)(arrays)
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError):
      return function(*args, **kwargs)

  return call


def quick(module):
  """Returns what a module has by name, its functions compiled."""
  return {
    name: compiled(value) if inspect.isfunction(value) else value
    for name, value in vars(module).items()
    if not name.startswith('_')
  }


losses = types.SimpleNamespace(**quick(_losses))
