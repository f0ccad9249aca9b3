"""Anchors are the examples of lowest entropy; graphs join the nearest rows."""

import doctest
import math

import jax
import numpy as np
import pytest

from sslax import losses
from sslax.ops import anchors, graphs


@pytest.mark.parametrize('module', [anchors, graphs], ids=['anchors', 'graphs'])
def test_the_examples_of_the_docs_hold(module):
  result = doctest.testmod(module)
  assert result.attempted > 0
  assert result.failed == 0


def _bank(num=9, dim=3):
  rows = np.random.default_rng(0).normal(size=(num, dim))
  rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
  return rows.astype(np.float32)


def _entropy(bank, i, temperature):
  weights = [math.exp(bank[i] @ row / temperature) for row in bank]
  shares = [w / sum(weights) for w in weights]
  return -sum(p * math.log(p) for p in shares)


def test_anchors_are_the_examples_of_lowest_entropy():
  bank = _bank()
  expected = [_entropy(bank, i, 0.3) for i in range(len(bank))]
  entropies = anchors.entropies(bank, temperature=0.3)
  np.testing.assert_allclose(entropies, expected, rtol=1e-4)
  is_anchor, neighbors = anchors.anchor_neighbors(
    bank, num=4, num_neighbors=2, temperature=0.3
  )
  assert set(np.flatnonzero(is_anchor)) == set(np.argsort(expected)[:4])
  for i, near in enumerate(np.asarray(neighbors)):
    others = [j for j in range(len(bank)) if j != i]
    assert near.tolist() == sorted(others, key=lambda j: -bank[i] @ bank[j])[:2]


def test_the_curriculum_goes_from_instances_to_neighborhoods(x64):
  bank, batch = _bank(), np.arange(4)
  values = []
  for round_index in range(5):
    num = anchors.num_anchors(len(bank), round_index)
    found = anchors.anchor_neighbors(bank, num=num)
    near = anchors.neighborhoods(batch, *found)
    assert int(near.sum()) == 4 + int(found[0][:4].sum())
    values.append(float(losses.anchor_neighborhood(bank[:4], bank, near)))
  # A larger neighborhood holds more of the probability.
  assert values == sorted(values, reverse=True)
  assert values[-1] < values[0]


def test_laplacian_weights_are_those_of_the_matrix(x64):
  neighbors = graphs.nearest_rows(_bank(), 2)
  weights = np.asarray(graphs.laplacian_weights(neighbors))
  adjacency = np.zeros((9, 9))
  for i, near in enumerate(np.asarray(neighbors)):
    adjacency[i, near] = adjacency[near, i] = 1
  roots = np.diag(adjacency.sum(1) ** -0.5)
  laplacian = np.eye(9) - roots @ adjacency @ roots
  for i, near in enumerate(np.asarray(neighbors)):
    np.testing.assert_allclose(weights[i], -laplacian[i, near], rtol=1e-6)


def test_anchors_compile_and_agree():
  bank = _bank()
  found = jax.jit(lambda b: anchors.anchor_neighbors(b, num=3))(bank)
  for a, b in zip(found, anchors.anchor_neighbors(bank, num=3), strict=True):
    np.testing.assert_array_equal(a, b)
