"""Pictures for the report: views, neighbors before and after, spectra."""

import functools
from typing import NamedTuple

import jax
import numpy as np

from sslax import report
from sslax import train as train_lib
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
  reads, mesh = parts.views.reads, parts.extractor.mesh

  def embedded(state) -> _Embedded:
    bound = functools.partial(embed, state.params, state.state)
    return _Embedded(
      *(features.of_array(mesh, bound, x[reads]) for x in (bank, queries))
    )

  before, after = embedded(fresh), embedded(train_state)
  spectra = {
    'spectrum_before': _spectrum(before), 'spectrum_after': _spectrum(after)
  }  # fmt: skip
  if parts.views.unnormalize is None:  # nothing to be seen, as in text
    return report.Pictures(**spectra)
  shown = {k: _spread(rows, _NUM_VIEWS) for k, rows in bank.items()}
  key = jax.random.key(parts.config.seed)
  batch = jax.jit(functools.partial(train_lib.with_views, parts.views))(
    key, shown
  )
  return report.Pictures(
    sources=_seen(parts, shown[reads]),
    views=[np.asarray(parts.views.unnormalize(v)) for v in batch['views']],
    neighbors=_neighbors(parts, bank, queries, before, after, test),
    extra=_own(parts, train_state, batch, key),
    **spectra,
  )


def _seen(parts, inputs) -> np.ndarray:
  """Returns inputs as uint8 pictures [n, H, W, 3]."""
  if parts.views.reads == 'image':
    return inputs
  return np.asarray(parts.views.unnormalize(parts.views.evaluate(inputs)))


def _own(parts, train_state, batch, rng) -> list[report.Extra]:
  """Returns what the method shows of itself."""
  if parts.method.pictures is None:
    return []
  params, state = train_state.params, train_state.state
  made = parts.method.pictures(params, state, batch, rng=rng)
  return [_sheet(parts, picture) for picture in made]


def _sheet(parts, picture) -> report.Extra:
  """Lays the columns of a picture side by side, one example a row."""
  columns = [_uint8(parts, x, picture.is_view) for x in picture.columns]
  height, width = (max(c.shape[i] for c in columns) for i in (1, 2))
  columns = [_enlarged(c, (height, width)) for c in columns]
  rows = np.concatenate(columns, axis=2)
  caption = picture.caption
  if picture.names:
    caption += f' From left to right: {", ".join(picture.names)}.'
  image = rows.reshape(-1, *rows.shape[2:])
  return report.Extra(picture.title, caption, image)


def _uint8(parts, array, is_view) -> np.ndarray:
  if is_view:
    return np.asarray(parts.views.unnormalize(array))
  gray = np.asarray(array, np.float32)
  color = np.broadcast_to(gray, (*gray.shape[:-1], 3))
  return np.round(np.clip(color, 0, 1) * 255).astype(np.uint8)


def _enlarged(images, size) -> np.ndarray:
  """Repeats pixels until the images have the size."""
  if images.shape[1:3] == size:
    return images
  rows, columns = (
    np.arange(new) * old // new
    for new, old in zip(size, images.shape[1:3], strict=True)
  )
  return images[:, rows][:, :, columns]


def _neighbors(parts, bank, queries, before, after, test):
  """Returns the nearest training examples of some test examples."""
  chosen = _spread(np.arange(len(queries['index'])), _NUM_QUERIES)

  def nearest(state: _Embedded):
    similarity = np.asarray(cosine(state.queries[chosen], state.bank))
    return np.argsort(-similarity, axis=1)[:, :_NUM_NEIGHBORS]

  found = {'before': nearest(before), 'after': nearest(after)}
  reads = parts.views.reads

  def pictures_of(rows):
    flat = _seen(parts, bank[reads][rows.ravel()])
    return flat.reshape(*rows.shape, *flat.shape[1:])

  pictures = {k: pictures_of(rows) for k, rows in found.items()}
  asked = _seen(parts, queries[reads][chosen])
  if test.class_names is None:
    return report.Neighbors(asked, **pictures)
  labels = queries['label'][chosen]
  return report.Neighbors(
    asked,
    **pictures,
    names=tuple(test.class_names[label] for label in labels),
    same_before=bank['label'][found['before']] == labels[:, None],
    same_after=bank['label'][found['after']] == labels[:, None],
  )


def _spectrum(state: _Embedded):
  return np.asarray(diagnostics.singular_values(state.queries))


def _spread(array, count: int):
  """Returns `count` rows, evenly spaced."""
  rows = np.linspace(0, len(array) - 1, min(count, len(array))).astype(int)
  return array[rows]
