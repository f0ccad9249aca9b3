"""The contract of a method: five pure functions made by a factory."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Params = Any  # exactly what receives gradients
State = Any  # everything else that changes: teacher, queue, statistics
Batch = dict[str, Any]
Metrics = dict[str, jax.Array]


class Refresh(NamedTuple):
  """A pass over the data set between steps (DeepCluster, PCL, SeLa).

  Attributes:
    every_steps: runs before step s when s % every_steps == 0.
    run: (params, state, dataset, *, rng, step) -> (params, state), on the host.
    reset: parameter paths whose optimizer moments start anew.
  """

  every_steps: int
  run: Callable[..., tuple[Params, State]]
  reset: tuple[str, ...] = ()


class Method(NamedTuple):
  """A self-supervised method. Arrays are global; no function sees devices.

  Attributes:
    init: (rng, batch) -> (params, state).
    loss: (params, state, batch, *, rng, step) -> (loss, (state, metrics)).
      The state returned has the tree, shapes and dtypes of the one given;
      metrics is a flat dict of scalars. Where a method has an embedding, the
      scalar `embedding_std` (evals.diagnostics) feeds the collapse monitor.
    update: (params, state, *, step) -> (params, state), after the optimizer's
      step number `step`.
    features: (params, state, inputs) -> [B, D], what evaluation sees.
    refresh: a pass over the data set between steps, or None.
    safeguard: what keeps the method from collapsing, in words; the collapse
      monitor says it.
  """

  init: Callable[..., tuple[Params, State]]
  loss: Callable[..., tuple[jax.Array, tuple[State, Metrics]]]
  update: Callable[..., tuple[Params, State]]
  features: Callable[[Params, State, Any], jax.Array]
  refresh: Refresh | None = None
  safeguard: str = ''
