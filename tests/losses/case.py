"""One row of the table that tests/losses/contract_test.py runs."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
  """A loss, inputs to run it on, and an independent reference.

  Attributes:
    loss: the public function of sslax.losses.
    inputs: numpy Generator -> dict of keyword arrays (float32, int or bool).
      The first axis of every array that is not in `replicated` is the batch,
      a multiple of 8, and is split over devices.
    reference: the equation as slow numpy loops in float64, same arguments.
      None only where another case of the same loss carries it.
    kwargs: static keyword arguments (temperatures, ...).
    wrt: names of the inputs that receive gradients.
    frozen: names of inputs whose gradient must be exactly zero.
    replicated: inputs without a batch axis (queue, centers, prototypes).
    semi_gradient: the paper stops a gradient inside, so that finite
      differences disagree and check_grads is skipped; say where in a comment.
    hard: name -> inputs that must give finite values and gradients, beside
      the ones that the contract makes by itself from unconstrained inputs
      (all zeros, all ones, scaled by 1e4). Set `constrained` to leave those
      out where inputs are probabilities or unit vectors, and give your own.
    constrained: see `hard`.
    name: shown by pytest; default the function's name.
  """

  loss: Callable[..., Any]
  inputs: Callable[[np.random.Generator], dict[str, np.ndarray]]
  reference: Callable[..., float] | None
  wrt: tuple[str, ...]
  kwargs: Mapping[str, Any] = {}
  frozen: tuple[str, ...] = ()
  replicated: tuple[str, ...] = ()
  semi_gradient: bool = False
  hard: Mapping[str, Callable[[], dict[str, np.ndarray]]] = {}
  constrained: bool = False
  name: str = ''

  def __str__(self):
    return self.name or self.loss.__name__


def value(output):
  """The scalar of a loss that may return (loss, auxiliary or new state)."""
  return output[0] if isinstance(output, tuple) else output
