"""Runs protocols on an encoder and on the two baselines beside it."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from sslax.data import pipeline
from sslax.data.source import Source
from sslax.evals import features as feats
from sslax.evals import protocols

_NUM_COMPONENTS = 256  # of raw pixels that the linear probe sees
_NUM_PCA_ROWS = 10_000  # training images that define them
_NUM_VIEW_IMAGES = 512  # test images whose two views are compared


class Runner(NamedTuple):
  """Protocols on one pair of sources.

  Attributes:
    names: of the protocols that the sources allow, for given names.
    encoder: (names, params, state) -> {protocol: value}.
    raw_pixels: names -> {protocol: value} of raw pixels, the training mean
      subtracted; the linear probe sees their 256 leading components.
  """

  names: Callable[[Iterable[str]], tuple[str, ...]]
  encoder: Callable[[Iterable[str], Any, Any], dict[str, float]]
  raw_pixels: Callable[[Iterable[str]], dict[str, float]]


def make(parts, train: Source, test: Source) -> Runner:
  """Makes a Runner; what it compiles is compiled once.

  Args:
    parts: from sslax.build.
    train: source of the bank and of the probe's training.
    test: source of what is scored.
  """
  config, extractor = parts.config, parts.extractor
  options = protocols.Options(
    config.eval.num_neighbors, config.eval.temperature, config.seed
  )
  has_labels = train.class_names is not None
  views = functools.cache(lambda: _two_views(parts, test))
  embed = extractor.jitted(parts.method.features)
  pixels = jax.jit(feats.raw_pixels)

  def select(names):
    return protocols.select(names, has_labels=has_labels)

  def measure(names, function, raw):
    chosen = select(names)
    reads = {field for protocol in chosen.values() for field in protocol.reads}
    data = _collect(extractor, function, train, test, views, reads)
    data = _centered(data, train, extractor, function) if raw else data
    return {
      name: protocol.run(
        _leading(data) if raw and name == 'linear' else data, options
      )
      for name, protocol in chosen.items()
    }

  def encoder(names, params, state):
    bound = functools.partial(embed, params, state)
    return measure(names, bound, raw=False)

  def raw_pixels(names):
    return measure(names, pixels, raw=True)

  return Runner(lambda names: tuple(select(names)), encoder, raw_pixels)


def _collect(extractor, embed, train, test, views, reads):
  """Embeds the parts that are read, and no others."""

  def of(part, source):
    if part not in reads:
      return None, None
    return feats.of_source(extractor, embed, source)

  train_features, train_labels = of('train', train)
  test_features, test_labels = of('test', test)
  pairs = None
  if 'views' in reads:
    mesh = extractor.mesh
    pairs = tuple(feats.of_array(mesh, embed, view) for view in views())
  return protocols.Features(
    train_features,
    train_labels,
    test_features,
    test_labels,
    pairs,
    num_classes=len(train.class_names or ()),
  )


def _centered(data: protocols.Features, train, extractor, embed):
  """Subtracts the training mean."""
  rows = data.train
  if rows is None:
    rows, _ = feats.of_source(extractor, embed, train)
  mean = rows.mean(0, keepdims=True)
  changed = {
    field: array - mean
    for field in ('train', 'test')
    if (array := getattr(data, field)) is not None
  }
  views = data.views and tuple(view - mean for view in data.views)
  return data._replace(views=views, **changed)


def _leading(data: protocols.Features) -> protocols.Features:
  """Keeps the leading principal components: a probe of 3,072 pixels is slow."""
  rows = data.train[:: max(1, len(data.train) // _NUM_PCA_ROWS)]
  if rows.shape[1] <= _NUM_COMPONENTS:
    return data
  _, vectors = np.linalg.eigh(rows.T @ rows)
  basis = vectors[:, -_NUM_COMPONENTS:]
  return data._replace(train=data.train @ basis, test=data.test @ basis)


def _two_views(parts, test: Source) -> tuple[np.ndarray, ...]:
  """Augments the first test images twice, as uint8 [M, S, S, 3] each."""
  reads = parts.extractor.reads
  images = first_examples(parts, test, _NUM_VIEW_IMAGES)[reads]
  views = jax.jit(parts.views.apply)(jax.random.key(parts.config.seed), images)
  return tuple(np.asarray(parts.views.unnormalize(v)) for v in views[:2])


def first_examples(parts, source: Source, count: int) -> dict[str, np.ndarray]:
  """Reads the first examples of a source: image [n, ...], label, ..."""
  count = min(count, source.num_examples)
  batches = pipeline.epoch(
    source, batch_size=count, image_size=parts.extractor.size
  )
  return next(iter(batches))
