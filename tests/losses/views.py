"""Losses that take several views, as functions of one array a view."""

import functools


def over_views(loss, **counts):
  """Takes `name`, `name_1`, `name_2`, ... in place of a tuple of views.

  The contract tests give and differentiate single arrays whose first axis is
  the batch; `over_views(dino, student=3, teacher=2)` makes that of a loss of
  tuples.
  """

  @functools.wraps(loss)
  def run(**kwargs):
    views = {
      name: tuple(kwargs.pop(key) for key in names(name, count))
      for name, count in counts.items()
    }
    return loss(**views, **kwargs)

  return run


def names(name, count):
  """The names of the arrays of `over_views`."""
  return (name, *(f'{name}_{i}' for i in range(1, count)))
