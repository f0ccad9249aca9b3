"""BM25 ranks by rare shared words, damped counts and short documents."""

import doctest
import math

import numpy as np

from sslax.ops import bm25


def test_the_examples_of_the_docs_hold():
  result = doctest.testmod(bm25)
  assert result.attempted > 0
  assert result.failed == 0


DOCUMENTS = [text.split() for text in ('a b b', 'a c', 'a c d d e', 'e f')]


def _score(document, query, k=1.2, b=0.75):
  mean = sum(len(d) for d in DOCUMENTS) / len(DOCUMENTS)
  total = 0.0
  for word in query:
    holders = sum(word in d for d in DOCUMENTS)
    idf = math.log(1 + (len(DOCUMENTS) - holders + 0.5) / (holders + 0.5))
    count = document.count(word)
    length = 1 - b + b * len(document) / mean
    total += idf * count * (k + 1) / (count + k * length)
  return total


def test_scores_are_those_of_the_formula():
  index = bm25.build(DOCUMENTS)
  for query in (['a'], ['b', 'c'], ['d', 'e', 'nowhere']):
    expected = [_score(d, query) for d in DOCUMENTS]
    np.testing.assert_allclose(bm25.scores(index, query), expected, rtol=1e-12)


def test_negatives_are_the_best_that_are_not_the_answer():
  index = bm25.build(DOCUMENTS)
  queries, answers = [['a', 'b'], ['c', 'd']], [0, 2]
  rows = bm25.hard_negatives(index, queries, answers, num=2)
  for row, query, answer in zip(rows, queries, answers, strict=True):
    scores = [_score(d, query) for d in DOCUMENTS]
    ranked = sorted(range(4), key=lambda i: -scores[i])
    assert row.tolist() == [i for i in ranked if i != answer][:2]
