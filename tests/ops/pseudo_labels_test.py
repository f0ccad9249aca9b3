"""Pseudo-labels and what is drawn by them."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.ops import pseudo_labels


def test_the_examples_of_the_docs_hold():
  result = doctest.testmod(pseudo_labels)
  assert result.attempted > 0
  assert result.failed == 0


def _keys(count=20):
  return jax.random.split(jax.random.key(0), count)


def test_graph_pairs_keep_to_the_graph():
  near = np.random.default_rng(0).uniform(size=(8, 8)) < 0.3
  edges = near | near.T | np.eye(8, dtype=bool)
  draw = jax.vmap(lambda key: pseudo_labels.graph_pairs(key, edges))
  neighbors, strangers = map(np.asarray, draw(_keys()))
  everyone = np.broadcast_to(np.arange(8), neighbors.shape)
  lonely = edges.sum(1) == 1
  assert edges[everyone, neighbors].all()
  assert not edges[everyone, strangers].any()
  assert ((neighbors == everyone) == lonely[None, :]).all()
  assert len(set(neighbors[:, np.argmax(edges.sum(1))])) > 1


def test_members_are_of_the_class_and_all_of_it():
  own, bank_labels = jnp.array([1, 0]), jnp.array([0, 1, 1, 0, 1])
  draw = jax.vmap(lambda key: pseudo_labels.members(key, own, bank_labels))
  rows = np.asarray(draw(_keys(50)))
  assert set(rows[:, 0]) == {1, 2, 4}
  assert set(rows[:, 1]) == {0, 3}


def test_semi_hard_rows_are_among_the_nearest_allowed():
  rng = np.random.default_rng(0)
  similarities = rng.normal(size=(3, 12)).astype(np.float32)
  allowed = rng.uniform(size=(3, 12)) < 0.7

  def draw(key):
    return pseudo_labels.semi_hard_rows(
      key, similarities, allowed, num=2, pool=5
    )

  rows = np.asarray(jax.vmap(draw)(_keys()))
  for i in range(3):
    best = sorted(np.flatnonzero(allowed[i]), key=lambda j: -similarities[i, j])
    assert set(rows[:, i].ravel()) == set(best[:5])
    assert (rows[:, i, 0] != rows[:, i, 1]).all()


def test_a_pool_too_small_is_refused():
  s = jnp.zeros((1, 4))
  with pytest.raises(ValueError, match='num is 3'):
    pseudo_labels.semi_hard_rows(jax.random.key(0), s, s == 0, num=3, pool=2)
