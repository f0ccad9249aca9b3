"""Groups of memory-bank rows that are too alike."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np

from sslax.ops import bank_groups


def _unit(x):
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_the_examples_of_the_docs_hold():
  names = {'jnp': jnp}
  assert doctest.testmod(bank_groups, extraglobs=names).failed == 0


def test_a_row_moves_to_the_mean_of_its_augmentations():
  rng = np.random.default_rng(0)
  bank = _unit(rng.normal(size=(5, 3))).astype(np.float32)
  views = _unit(rng.normal(size=(2, 4, 3))).astype(np.float32)
  rows = jnp.array([3, 1])
  new = bank_groups.update_bank(bank, rows, views, momentum=0.25)
  expected = bank.copy()
  expected[[3, 1]] = _unit(0.25 * bank[[3, 1]] + 0.75 * views.mean(1))
  np.testing.assert_allclose(new, expected, rtol=1e-6, atol=1e-7)


def test_only_mutual_neighbors_above_the_threshold_merge():
  angles = np.deg2rad([0, 4, 9, 90, 180])
  bank = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
  groups = bank_groups.init(5)
  # Row 2's nearest is row 1, whose nearest is row 0: it stays outside.
  once = bank_groups.merge(bank, groups, threshold=0.9)
  assert once.tolist() == [0, 0, 2, 3, 4]
  twice = bank_groups.merge(bank, once, threshold=0.9)
  assert twice.tolist() == [0, 0, 0, 3, 4]
  assert bank_groups.merge(bank, groups, threshold=1.0).tolist() == [*range(5)]


def test_merging_keeps_to_the_loops_of_its_rule():
  rng = np.random.default_rng(1)
  bank = _unit(rng.normal(size=(40, 3))).astype(np.float32)
  merge = jax.jit(lambda g: bank_groups.merge(bank, g, threshold=0.8))
  groups = np.arange(40)
  for _ in range(3):
    similar = np.where(groups[:, None] == groups[None], -2, bank @ bank.T)
    nearest = similar.argmax(1)
    expected = groups.copy()
    for i, j in enumerate(nearest):
      if nearest[j] == i and similar[i, j] > 0.8:
        a, b = expected[i], expected[j]
        expected[(expected == a) | (expected == b)] = min(a, b)
    groups = np.asarray(merge(groups))
    np.testing.assert_array_equal(groups, expected)
  assert len(set(groups)) < 30
