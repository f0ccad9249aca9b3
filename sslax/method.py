"""The contract of a method: five pure functions made by a factory."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from sslax import optim
from sslax.nets.net import Net

Params = Any  # exactly what receives gradients
State = Any  # everything else that changes: teacher, queue, statistics
Batch = dict[str, Any]
Metrics = dict[str, jax.Array]


class Refresh(NamedTuple):
  """A pass over the data set between steps (DeepCluster, PCL, SeLa).

  Attributes:
    every_steps: runs before step s when s % every_steps == 0.
    run: (params, state, dataset, *, rng, step) -> (params, state), on the host.
      `dataset` is a Dataset. What it returns has the tree, shapes and dtypes
      of what it was given.
    reset: patterns of the paths of parameters whose optimizer moments start
      anew (optim.reset).
  """

  every_steps: int
  run: Callable[..., tuple[Params, State]]
  reset: tuple[str, ...] = ()


class Dataset(NamedTuple):
  """The training examples, as a refresh passes over them.

  Attributes:
    num_examples: N.
    map: (function of (params, state, inputs [B, ...]) -> [B, D], params, state)
      -> numpy [N, D], over all examples in order of their index, as evaluation
      sees them. The function is compiled once.
  """

  num_examples: int
  map: Callable[..., Any]


class Picture(NamedTuple):
  """What a method shows of itself in the report: rows of pictures.

  Attributes:
    title: of the section.
    caption: a sentence or two on what is to be seen.
    columns: arrays [n, H, W, 3] (or [n, H, W, 1]), shown side by side; row i
      is example i.
    names: of the columns.
    is_view: whether they are normalized as views are, or in [0, 1].
  """

  title: str
  caption: str
  columns: tuple[Any, ...]
  names: tuple[str, ...] = ()
  is_view: bool = False


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
    held: pattern of parameter paths -> number of steps at the start in which
      the optimizer leaves them alone (no decay, no moments); None is for ever.
    towers: key of the batch -> (params, state, inputs) -> [B, D] in one space
      shared by all keys, where the method has several encoders; zero-shot
      evaluation and retrieval compare them.
    pictures: (params, state, batch, *, rng) -> tuple of Picture of a batch that
      has its views, for the report; or None.
  """

  init: Callable[..., tuple[Params, State]]
  loss: Callable[..., tuple[jax.Array, tuple[State, Metrics]]]
  update: Callable[..., tuple[Params, State]]
  features: Callable[[Params, State, Any], jax.Array]
  refresh: Refresh | None = None
  safeguard: str = ''
  held: Mapping[str, int | None] = {}
  towers: Mapping[str, Callable[[Params, State, Any], jax.Array]] = {}
  pictures: Callable[..., tuple[Picture, ...]] | None = None


def unchanged(params, state, *, step):
  """The `update` of a method that changes nothing after the optimizer."""
  del step
  return params, state


def following_teacher(momentum_at: Callable[[jax.Array], Any]):
  """Returns the `update` of a method whose teacher averages its student.

  Args:
    momentum_at: step -> the share of the teacher that is kept. The teacher is
      a dict of some parts of params.
  """

  def update(params, state, *, step):
    student = {part: params[part] for part in state.teacher}
    teacher = optim.ema(state.teacher, student, momentum_at(step))
    return params, state._replace(teacher=teacher)

  return update


def encoder_features(encoder: Net):
  """Returns `features` of a method whose features are its encoder's output.

  Args:
    encoder: the network of the parts `encoder` of params and state.stats.
  """

  def features(params, state, inputs):
    stats = state.stats['encoder']
    return encoder.apply(params['encoder'], stats, inputs, train=False)[0]

  return features
