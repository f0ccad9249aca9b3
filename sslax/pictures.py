"""Pictures for the report: views, neighbors before and after, spectra."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from sslax import report
from sslax.evals import diagnostics, features, runner
from sslax.ops.distance import cosine

_NUM_VIEWS = 8  # images on the contact sheet
_NUM_QUERIES = 6
_NUM_NEIGHBORS = 6
_NUM_SEARCHED = 2048  # training images searched for neighbors, at most


class _Embedded(NamedTuple):
  """Features of some training and test images, from one state."""

  bank: np.ndarray  # [N, D]
  queries: np.ndarray  # [M, D]


def make(parts, train, test, fresh, train_state) -> report.Pictures:
  """Collects what the report shows.

  Args:
    parts: from sslax.build.
    train: source of the images that are searched.
    test: source of the queries.
    fresh: TrainState at random initialization.
    train_state: TrainState after training.
  """
  bank = runner.first_examples(parts, train, _NUM_SEARCHED)
  queries = runner.first_examples(parts, test, _NUM_SEARCHED)
  embed = parts.extractor.jitted(parts.method.features)

  def embedded(state) -> _Embedded:
    bound = functools.partial(embed, state.params, state.state)
    mesh = parts.extractor.mesh
    return _Embedded(
      *(features.of_array(mesh, bound, x['image']) for x in (bank, queries))
    )

  before, after = embedded(fresh), embedded(train_state)
  sources, views = _views(parts, bank['image'])
  return report.Pictures(
    sources=sources,
    views=views,
    neighbors=_neighbors(bank, queries, before, after, test.class_names),
    spectrum_before=_spectrum(before),
    spectrum_after=_spectrum(after),
  )


def _views(parts, images):
  """Returns source images and their views, exactly as trained on."""
  chosen = _spread(images, _NUM_VIEWS)
  views = jax.jit(parts.views.apply)(jax.random.key(parts.config.seed), chosen)
  return chosen, [np.asarray(parts.views.unnormalize(view)) for view in views]


def _neighbors(bank, queries, before, after, class_names):
  """Returns the nearest training images of some test images."""
  chosen = _spread(np.arange(len(queries['image'])), _NUM_QUERIES)

  def nearest(state: _Embedded):
    similarity = np.asarray(cosine(state.queries[chosen], state.bank))
    return np.argsort(-similarity, axis=1)[:, :_NUM_NEIGHBORS]

  found = {'before': nearest(before), 'after': nearest(after)}
  pictures = {k: bank['image'][v] for k, v in found.items()}
  if class_names is None:
    return report.Neighbors(queries['image'][chosen], **pictures)
  labels = queries['label'][chosen]
  return report.Neighbors(
    queries['image'][chosen],
    **pictures,
    names=tuple(class_names[label] for label in labels),
    same_before=bank['label'][found['before']] == labels[:, None],
    same_after=bank['label'][found['after']] == labels[:, None],
  )


def _spectrum(state: _Embedded):
  return np.asarray(diagnostics.singular_values(state.queries))


def _spread(array, count: int):
  """Returns `count` rows, evenly spaced."""
  rows = np.linspace(0, len(array) - 1, min(count, len(array))).astype(int)
  return array[rows]
