"""Clustering scores against brute force and known cases."""

import doctest
import itertools

import numpy as np
import pytest

from sslax.evals import clustering


def test_docstring_examples():
  assert doctest.testmod(clustering).failed == 0


@pytest.mark.parametrize('seed', range(3))
def test_hungarian_accuracy_is_the_best_of_all_namings(seed):
  rng = np.random.default_rng(seed)
  labels, clusters = rng.integers(0, 4, 30), rng.integers(0, 4, 30)
  best = max(
    np.mean(np.array(naming)[clusters] == labels)
    for naming in itertools.permutations(range(4))
  )
  assert clustering.hungarian_accuracy(labels, clusters) == pytest.approx(best)
  naming = clustering.match(labels, clusters)
  assert np.mean(naming[clusters] == labels) == pytest.approx(best)


def test_more_clusters_than_classes():
  labels, clusters = np.array([0, 0, 0, 1]), np.array([5, 5, 2, 3])
  assert clustering.hungarian_accuracy(labels, clusters) == 0.75
  assert clustering.scores(labels, clusters)['homogeneity'] == 1
  assert clustering.scores(labels, clusters)['completeness'] < 1


def test_names_of_clusters_do_not_matter():
  rng = np.random.default_rng(0)
  labels, clusters = rng.integers(0, 5, 60), rng.integers(0, 5, 60)
  renamed = rng.permutation(5)[clusters]
  a, b = (clustering.scores(labels, c) for c in (clusters, renamed))
  assert a == pytest.approx(b)


def test_chance_is_corrected():
  rng = np.random.default_rng(0)
  labels, clusters = rng.integers(0, 20, 200), rng.integers(0, 20, 200)
  result = clustering.scores(labels, clusters)
  assert result['nmi'] > 0.25
  assert abs(result['ami']) < 0.05
  assert abs(result['ari']) < 0.05


@pytest.mark.parametrize(
  ('labels', 'clusters', 'message'),
  [
    (np.zeros(3, int), np.zeros(4, int), 'clusters has shape'),
    (np.zeros(0, int), np.zeros(0, int), 'no entries'),
    (np.zeros(3), np.zeros(3, int), 'labels must be integers'),
    (np.zeros(3, int), np.full(3, -1), 'clusters must be integers'),
  ],
)
def test_bad_input_is_named(labels, clusters, message):
  with pytest.raises(ValueError, match=message):
    clustering.scores(labels, clusters)
