"""Okapi BM25: texts that share words but not the meaning are hard negatives."""

import collections
import math
from typing import NamedTuple

import numpy as np


class Index(NamedTuple):
  """Counts of a collection of texts.

  Attributes:
    postings: word -> {document: occurrences}.
    lengths: [N] words of each document.
  """

  postings: dict
  lengths: np.ndarray


def build(documents):
  """Counts the words of every document.

  Args:
    documents: N sequences of words.

  Returns:
    `Index`.

  >>> build([['a', 'b'], ['a']]).postings['a']
  {0: 1, 1: 1}
  """
  postings = collections.defaultdict(dict)
  for place, words in enumerate(documents):
    for word, count in collections.Counter(words).items():
      postings[word][place] = count
  return Index(dict(postings), np.array([len(d) for d in documents], float))


def scores(index, query, *, saturation=1.2, length_share=0.75):
  """How well each document answers a query.

  Σ_w idf(w) · f (k + 1) / (f + k (1 − b + b·|d| / mean |d|)), f the occurrences
  of w in d, idf(w) = log(1 + (N − n_w + ½) / (n_w + ½)), n_w documents with w.

  Args:
    index: of the documents.
    query: a sequence of words.
    saturation: k, at least 0; at 0 further occurrences of a word add nothing.
    length_share: b in [0, 1], how far long documents are marked down.

  Returns:
    [N] float64, at least 0.

  References:
    Robertson & Zaragoza, The probabilistic relevance framework: BM25 and
    beyond, https://doi.org/10.1561/1500000019, 2009.

  Deviations:
    The 1 inside the logarithm keeps the weight of a frequent word positive.

  >>> index = build([['red', 'car'], ['red', 'cat'], ['dog', 'dog']])
  >>> [round(float(s), 4) for s in scores(index, ['red', 'cat'])]
  [0.47, 1.4508, 0.0]
  """
  num = len(index.lengths)
  total = np.zeros(num)
  mean = max(index.lengths.mean(), 1e-9) if num else 1.0
  scale = 1 - length_share + length_share * index.lengths / mean
  for word in query:
    found = index.postings.get(word, {})
    weight = math.log1p((num - len(found) + 0.5) / (len(found) + 0.5))
    for place, count in found.items():
      damped = count + saturation * scale[place]
      total[place] += weight * count * (saturation + 1) / damped
  return total


def hard_negatives(index, queries, answers, *, num, **kwargs):
  """The best-scored documents that are not the answer.

  Args:
    index: of the documents.
    queries: B sequences of words.
    answers: [B] int, the document that belongs to each query.
    num: negatives of each query, below N.
    **kwargs: `saturation` and `length_share` of `scores`.

  Returns:
    [B, num] int, the best first; ties go to the earlier document.

  >>> index = build([['red', 'car'], ['red', 'cat'], ['dog', 'dog']])
  >>> hard_negatives(index, [['red', 'cat']], [1], num=1).tolist()
  [[0]]
  """
  rows = []
  for query, answer in zip(queries, answers, strict=True):
    row = scores(index, query, **kwargs)
    row[answer] = -np.inf
    rows.append(np.argsort(-row, kind='stable')[:num])
  return np.array(rows).reshape(len(rows), num)
