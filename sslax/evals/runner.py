"""Runs protocols on an encoder and on what its scores stand beside."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from sslax.data import pipeline
from sslax.data.source import Source
from sslax.evals import baselines, protocols
from sslax.evals import features as feats
from sslax.ops.distance import normalize

_NUM_COMPONENTS = 256  # of a baseline that the linear probe sees
_NUM_PCA_ROWS = 10_000  # training examples that define them
_NUM_VIEWED = 512  # test examples whose two views are compared

Values = dict[str, float]  # protocol -> value


class Runner(NamedTuple):
  """Protocols on one pair of sources.

  Attributes:
    names: of the protocols that the sources and the method allow, for given
      names; with explicit=True missing labels are refused too.
    encoder: (names, params, state) -> {protocol: value}.
    beside: names -> {protocol: {baseline: value}}, of the input without any
      learning, or of a blind guess; the linear probe sees the 256 leading
      components of wide ones.
  """

  names: Callable[..., tuple[str, ...]]
  encoder: Callable[[Iterable[str], Any, Any], Values]
  beside: Callable[[Iterable[str]], dict[str, Values]]


class _Embedders(NamedTuple):
  """Functions of one encoding of the inputs, compiled.

  Attributes:
    examples: of what a source gives under the key that views read.
    views: of a view.
    towers: key of a batch -> function of what a source gives under it.
  """

  examples: Callable
  views: Callable
  towers: dict[str, Callable]


def make(parts, train: Source, test: Source) -> Runner:
  """Makes a Runner; what it compiles is compiled once.

  Args:
    parts: from sslax.build.
    train: source of the bank and of the probe's training.
    test: source of what is scored.

  Raises:
    BadInputError: a protocol of the config needs what is not there.
  """
  settings = parts.config.eval
  options = protocols.Options(
    settings.num_neighbors, settings.temperature, parts.config.seed
  )
  has = available(parts, train, test)
  for names in (settings.protocols, settings.final):
    protocols.select(names, has=has)
  read, method = _reader(parts, train, test), _of_method(parts)
  blind = functools.cache(lambda: _blind(parts, train))

  def select(names, explicit=False):
    return tuple(protocols.select(names, has=has, explicit=explicit))

  def encoder(names, params, state):
    names = select(names)
    data = read(_fields(names), method(params, state))
    return {n: protocols.PROTOCOLS[n].run(data, options) for n in names}

  def beside(names):
    found = {name: {} for name in select(names)}
    guessed = {n: a for n in found if (a := protocols.PROTOCOLS[n].answers)}
    for name, field in guessed.items():
      answers = getattr(read((field,), None), field)
      found[name]['chance'] = protocols.chance(answers)
    measured = [name for name in found if name not in guessed]
    if not measured:
      return found
    for key, (baseline, embedders) in blind().items():
      data = read({*_fields(measured), 'train'}, embedders)  # for its mean
      data = _fitted(data, baseline)
      for name in measured:
        seen = _leading(data) if name == 'linear' else data
        found[name][key] = protocols.PROTOCOLS[name].run(seen, options)
    return found

  return Runner(select, encoder, beside)


def available(parts, train: Source, test: Source) -> frozenset[str]:
  """Returns the keys of protocols.NEEDS that sources and method fulfill."""
  text = parts.extractor.reads == 'text'
  has = {
    'labels': None not in (train.class_names, test.class_names),
    'two views': not text and _num_views(parts, test) > 1,
    'scores': text and 'score' in test.holds,
    'prompts': bool(test.prompts),
    'captions': {'image', 'text'} <= {*test.holds},
    'towers': {'image', 'text'} <= {*parts.method.towers},
  }
  return frozenset(key for key, value in has.items() if value)


def _num_views(parts, source: Source) -> int:
  batch = first_examples(parts, source, 1)[parts.extractor.reads]
  views = jax.eval_shape(parts.views.apply, jax.random.key(0), batch)
  return len(views)


def _fields(names) -> set[str]:
  return {field for n in names for field in protocols.PROTOCOLS[n].reads}


def _of_method(parts) -> Callable[[Any, Any], _Embedders]:
  """Returns (params, state) -> what a method makes of the inputs."""
  prepared = parts.extractor
  as_given = prepared._replace(prepare=lambda inputs: inputs)
  examples = prepared.jitted(parts.method.features)
  views = as_given.jitted(parts.method.features)
  towers = {
    key: (prepared if key == prepared.reads else as_given).jitted(tower)
    for key, tower in parts.method.towers.items()
  }

  def bound(params, state):
    bind = lambda f: functools.partial(f, params, state)  # noqa: E731
    return _Embedders(
      bind(examples), bind(views), {key: bind(f) for key, f in towers.items()}
    )

  return bound


def _blind(parts, train: Source) -> dict[str, tuple[Any, _Embedders]]:
  """Returns each baseline and what it makes of the inputs."""

  def embedders(baseline):
    function = baseline.make(train)
    of_view = lambda view: function(parts.views.restore(view))  # noqa: E731
    return _Embedders(function, of_view, {})

  table = baselines.BASELINES[parts.extractor.reads]
  return {key: (made, embedders(made)) for key, made in table.items()}


def _reader(parts, train: Source, test: Source) -> Callable:
  """Returns (fields, embedders) -> Features; what is not asked is not read."""
  extractor = parts.extractor
  views = functools.cache(lambda: _two_views(parts, test))
  texts = functools.cache(lambda: _different_texts(test))
  prompts = functools.cache(lambda: _prompts(test))

  def labeled(fields, source, embed, reads=None):
    both = feats.of_source(extractor, embed, source, reads)
    return zip(fields, both, strict=True)

  def of(embed, rows):
    return feats.of_array(extractor.mesh, embed, rows)

  def pair(embed):
    return tuple(
      feats.of_source(extractor, embed, test, key)[0]
      for key in ('text', 'text2')
    )

  make = {
    'train': lambda e: labeled(('train', 'train_labels'), train, e.examples),
    'test': lambda e: labeled(('test', 'test_labels'), test, e.examples),
    'views': lambda e: {'views': tuple(of(e.views, v) for v in views())},
    'pairs': lambda e: {'pairs': pair(e.examples)},
    'scores': lambda e: {'scores': feats.column(test, 'score')},
    'images': lambda e: labeled(
      ('images', 'test_labels'), test, e.towers['image'], 'image'
    ),
    'test_labels': lambda e: {'test_labels': feats.column(test, 'label')},
    'texts': lambda e: {'texts': of(e.towers['text'], texts()[0])},
    'text_of_image': lambda e: {'text_of_image': texts()[1]},
    'prompts': lambda e: {
      'prompts': _class_means(e.towers['text'], of, prompts())
    },
  }

  def read(fields, embedders):
    found = {'num_classes': len(train.class_names or ())}
    for field in fields:
      found |= make[field](embedders)
    return protocols.Features(**found)

  return read


def _different_texts(source: Source) -> tuple[np.ndarray, np.ndarray]:
  """Returns the different texts [U, L] and which of them each example has."""
  tokens = feats.column(source, 'text')
  texts, rows = np.unique(tokens, axis=0, return_inverse=True)
  return texts, rows.reshape(-1)


def _prompts(source: Source) -> list[np.ndarray]:
  """Returns the tokens [P, L] of the prompts of each class."""
  return [source.tokenizer.encode(prompts) for prompts in source.prompts]


def _class_means(embed, of, prompts) -> np.ndarray:
  """Returns [K, D], the mean of the unit embeddings of each class's prompts."""
  rows = np.asarray(normalize(of(embed, np.concatenate(prompts))))
  ends = np.cumsum([len(p) for p in prompts])[:-1]
  return np.stack([part.mean(0) for part in np.split(rows, ends)])


def _fitted(data: protocols.Features, baseline) -> protocols.Features:
  """Centers and scales what a baseline made of the inputs."""
  fit = baseline.fitted(data.train)
  changed = {
    field: fit(rows)
    for field in ('train', 'test')
    if (rows := getattr(data, field)) is not None
  }
  for field in ('views', 'pairs'):
    several = getattr(data, field)
    changed[field] = several and tuple(map(fit, several))
  return data._replace(**changed)


def _leading(data: protocols.Features) -> protocols.Features:
  """Keeps the leading principal components: a probe of 3,072 pixels is slow."""
  rows = data.train[:: max(1, len(data.train) // _NUM_PCA_ROWS)]
  if rows.shape[1] <= _NUM_COMPONENTS:
    return data
  _, vectors = np.linalg.eigh(rows.T @ rows)
  basis = vectors[:, -_NUM_COMPONENTS:]
  return data._replace(train=data.train @ basis, test=data.test @ basis)


def _two_views(parts, test: Source) -> tuple[jax.Array, ...]:
  """Makes the views of the first test examples, and returns the first two."""
  rows = first_examples(parts, test, _NUM_VIEWED)[parts.extractor.reads]
  views = jax.jit(parts.views.apply)(jax.random.key(parts.config.seed), rows)
  return tuple(np.asarray(view) for view in views[:2])


def first_examples(parts, source: Source, count: int) -> dict[str, np.ndarray]:
  """Reads the first examples of a source: image [n, ...], label, ..."""
  count = min(count, source.num_examples)
  batches = pipeline.epoch(
    source, batch_size=count, image_size=parts.extractor.size
  )
  return next(iter(batches))
