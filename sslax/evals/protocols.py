"""Protocols by name: features of train and test in, one number out."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from sslax.errors import BadInputError, nearest
from sslax.evals import diagnostics, knn, linear
from sslax.ops.distance import normalize

_REGULARIZATIONS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_PROBE_STEPS = 100


class Features(NamedTuple):
  """What protocols read; a part that none of them reads is None.

  Labels are None where the source has none.
  """

  train: np.ndarray | None  # [N, D]
  train_labels: np.ndarray | None  # [N]
  test: np.ndarray | None  # [M, D]
  test_labels: np.ndarray | None  # [M]
  views: tuple[np.ndarray, ...] | None  # two augmented views of test, [M, D]
  num_classes: int


class Options(NamedTuple):
  """Settings of the protocols, from the config's `eval` group."""

  num_neighbors: int = 20
  temperature: float = 0.07
  seed: int = 0


def _knn(features: Features, options: Options) -> float:
  neighbors = min(options.num_neighbors, len(features.train))
  accuracy = knn.knn_accuracy(
    features.train,
    features.train_labels,
    features.test,
    features.test_labels,
    num_classes=features.num_classes,
    k=neighbors,
    temperature=options.temperature,
  )
  return float(accuracy['top1'])


def _linear(features: Features, options: Options) -> float:
  result = linear.linear_probe(
    features.train,
    features.train_labels,
    features.test,
    features.test_labels,
    num_classes=features.num_classes,
    seed=options.seed,
    regularizations=_REGULARIZATIONS,
    max_steps=_PROBE_STEPS,
  )
  return float(result.accuracy)


def _retrieval(features: Features, options: Options) -> float:
  """Share of images whose nearest second view is their own."""
  del options
  first, second = (np.asarray(normalize(v)) for v in features.views)
  return float(np.mean((first @ second.T).argmax(1) == np.arange(len(first))))


def _rankme(features: Features, options: Options) -> float:
  del options
  return float(diagnostics.rankme(jnp.asarray(features.test)))


class Protocol(NamedTuple):
  """A protocol: what it computes, what it needs, how to say it."""

  run: Callable[[Features, Options], float]
  needs_labels: bool
  reads: tuple[str, ...]  # fields of Features
  title: str


PROTOCOLS = {
  'knn': Protocol(_knn, True, ('train', 'test'), 'weighted kNN, top-1'),
  'linear': Protocol(_linear, True, ('train', 'test'), 'linear probe, top-1'),
  'retrieval': Protocol(_retrieval, False, ('views',), 'view retrieval, top-1'),
  'rankme': Protocol(_rankme, False, ('test',), 'RankMe, effective dimensions'),
}
LABEL_FREE = ('retrieval', 'rankme')


def select(names: Iterable[str], *, has_labels: bool, explicit=False):
  """Returns the protocols that the data allow, by name.

  Args:
    names: what was asked for.
    has_labels: without labels, the label-free protocols take the place of
      those that need them.
    explicit: the user named them: a missing label is bad input.

  Raises:
    BadInputError: an unknown protocol, or labels missing where one needs them.
  """
  names = tuple(names)
  for name in names:
    if name not in PROTOCOLS:
      raise BadInputError(
        f'protocol {name!r} does not exist' + nearest(name, PROTOCOLS)
      )
    if explicit and PROTOCOLS[name].needs_labels and not has_labels:
      raise BadInputError(
        f'protocol {name!r} needs labels, and this source has none; use'
        f' {" or ".join(LABEL_FREE)}, or data.labels=folders'
      )
  if has_labels:
    return {n: PROTOCOLS[n] for n in names}
  kept = [n for n in names if not PROTOCOLS[n].needs_labels]
  return {n: PROTOCOLS[n] for n in dict.fromkeys([*kept, *LABEL_FREE])}
