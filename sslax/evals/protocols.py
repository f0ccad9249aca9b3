"""Protocols by name: features of train and test in, one number out."""

from collections.abc import Callable, Collection, Iterable
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

  Labels are None where the source has none. `images`, `texts` and `prompts` are
  in the one space of a method's towers.
  """

  train: np.ndarray | None = None  # [N, D]
  train_labels: np.ndarray | None = None  # [N]
  test: np.ndarray | None = None  # [M, D]
  test_labels: np.ndarray | None = None  # [M]
  views: tuple[np.ndarray, ...] | None = None  # two views of test, [M, D]
  num_classes: int = 0
  pairs: tuple[np.ndarray, ...] | None = None  # two texts of test, [M, D]
  scores: np.ndarray | None = None  # [M], how alike the texts of a pair are
  images: np.ndarray | None = None  # [M, D], of test
  texts: np.ndarray | None = None  # [U, D], the different texts of test
  text_of_image: np.ndarray | None = None  # [M], row of `texts`
  prompts: np.ndarray | None = None  # [K, D], the mean of a class's prompts


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
  """Share of examples whose nearest second view is their own."""
  del options
  first, second = features.views
  return _accuracy(first, second, np.arange(len(first)))


def _rankme(features: Features, options: Options) -> float:
  del options
  return float(diagnostics.rankme(jnp.asarray(features.test)))


def _sts(features: Features, options: Options) -> float:
  """Spearman's correlation of cosine similarities with the given scores.

  References:
    Gao et al., SimCSE, https://arxiv.org/abs/2104.08821, 2021, appendix B: over
    all pairs at once, with no regressor on top.
  """
  from scipy import stats

  del options
  first, second = (np.asarray(normalize(x)) for x in features.pairs)
  alike = np.sum(first * second, axis=1)
  if np.ptp(alike) == 0:  # nothing to rank
    return 0.0
  return float(stats.spearmanr(alike, features.scores).statistic)


def _zero_shot(features: Features, options: Options) -> float:
  """Share of images whose nearest prompt is that of their class."""
  del options
  return _accuracy(features.images, features.prompts, features.test_labels)


def _text_retrieval(features: Features, options: Options) -> float:
  """Share of images whose nearest text, of all different ones, is their own."""
  del options
  return _accuracy(features.images, features.texts, features.text_of_image)


def _accuracy(queries, candidates, own) -> float:
  queries, candidates = (
    np.asarray(normalize(x)) for x in (queries, candidates)
  )
  return float(np.mean((queries @ candidates.T).argmax(1) == own))


def chance(answers: np.ndarray) -> float:
  """Returns the score of always giving the commonest answer.

  Args:
    answers: [M] the right ones, integers from 0.
  """
  return float(np.bincount(answers).max() / len(answers))


class Protocol(NamedTuple):
  """A protocol.

  Attributes:
    run: what it computes.
    reads: fields of Features; labels come with what they belong to.
    title: in words.
    needs: keys of NEEDS.
    answers: field of Features with the right answers, where features of the
      input without any learning give none; then `chance` of them stands
      beside the score.
  """

  run: Callable[[Features, Options], float]
  reads: tuple[str, ...]
  title: str
  needs: tuple[str, ...] = ()
  answers: str | None = None


PROTOCOLS = {
  'knn': Protocol(
    _knn, ('train', 'test'), 'weighted kNN, top-1', ('labels',)
  ),
  'linear': Protocol(
    _linear, ('train', 'test'), 'linear probe, top-1', ('labels',)
  ),
  'retrieval': Protocol(
    _retrieval, ('views',), 'view retrieval, top-1', ('two views',)
  ),
  'rankme': Protocol(_rankme, ('test',), 'RankMe, effective dimensions'),
  'sts': Protocol(
    _sts, ('pairs', 'scores'), 'similarity of sentences, Spearman', ('scores',)
  ),
  'zero_shot': Protocol(
    _zero_shot,
    ('images', 'prompts'),
    'zero-shot classification, top-1',
    ('labels', 'prompts', 'towers'),
    'test_labels',
  ),
  'text_retrieval': Protocol(
    _text_retrieval,
    ('images', 'texts', 'text_of_image'),
    'text retrieval, recall at 1',
    ('captions', 'towers'),
    'text_of_image',
  ),
}  # fmt: skip
# What is run in the place of those that need labels, as far as it can be.
LABEL_FREE = ('sts', 'retrieval', 'rankme')
NEEDS = {  # of a source or a method: in words, and what would be right
  'labels': (
    'labels, and this source has none',
    'use {label_free}, or data.labels=folders',
  ),
  'two views': (
    'two different views of an example, which these views do not give',
    'views.name=simclr would be right for images',
  ),
  'scores': (
    'pairs of texts with scores, and this source has none',
    'data.name=stsb has them',
  ),
  'prompts': (
    'prompts of its classes, and this source has none',
    'data.name=captioned_photos or data.text=labels has them',
  ),
  'captions': (
    'images with texts, and this source has none',
    'data.name=captioned_photos or data.text=labels has them',
  ),
  'towers': (
    'a tower for images and one for texts, which this method does not have',
    'method.name=clip has them',
  ),
}


def select(
  names: Iterable[str], *, has: Collection[str], explicit: bool = False
) -> dict[str, Protocol]:
  """Returns the protocols that the source and the method allow, by name.

  Args:
    names: what was asked for.
    has: keys of NEEDS that are there. Without labels, the label-free protocols
      take the place of those that need labels alone.
    explicit: the user named them: missing labels are bad input too.

  Raises:
    BadInputError: an unknown protocol, or what one needs is missing.
  """
  names = tuple(names)
  kept = []
  for name in names:
    if name not in PROTOCOLS:
      raise BadInputError(
        f'protocol {name!r} does not exist' + nearest(name, PROTOCOLS)
      )
    missing = [need for need in PROTOCOLS[name].needs if need not in has]
    if not missing:
      kept.append(name)
    elif explicit or missing != ['labels']:
      raise BadInputError(_refusal(name, missing[-1], has))
  if len(kept) < len(names):
    kept += _label_free(has)
  return {name: PROTOCOLS[name] for name in dict.fromkeys(kept)}


def _label_free(has: Collection[str]) -> list[str]:
  return [name for name in LABEL_FREE if {*PROTOCOLS[name].needs} <= {*has}]


def _refusal(name: str, need: str, has: Collection[str]) -> str:
  why, right = NEEDS[need]
  right = right.format(label_free=' or '.join(_label_free(has)))
  return f'protocol {name!r} needs {why}; {right}'
