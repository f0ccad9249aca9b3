"""Permutations are far apart, all different, and always the same."""

import itertools

import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.ops.permutations import spread_permutations


def _distances(rows):
  return [np.sum(a != b) for a, b in itertools.combinations(rows, 2)]


def test_each_is_as_far_as_can_be_from_those_before():
  """Against a search by slow loops over all permutations of four."""
  rows = spread_permutations(10, length=4, seed=3)
  everything = set(itertools.permutations(range(4)))
  for k in range(1, len(rows)):
    known = rows[:k]
    totals = {
      p: sum(np.sum(np.array(p) != row) for row in known)
      for p in everything - {tuple(row) for row in known}
    }
    assert totals[tuple(rows[k].tolist())] == max(totals.values())


def test_nine_places_give_sets_that_differ_nearly_everywhere():
  rows = spread_permutations(32)
  assert rows.shape == (32, 9)
  assert all(sorted(row) == list(range(9)) for row in rows.tolist())
  assert min(_distances(rows)) >= 1
  # A pair of random permutations differs in 8 of 9 places on average.
  assert np.mean(_distances(rows)) > 8.2
  assert np.sum(rows[0] != rows[1]) == 9


def test_all_permutations_come_once():
  rows = spread_permutations(24, length=4)
  assert len({tuple(row) for row in rows.tolist()}) == 24


@pytest.mark.parametrize(
  ('num', 'length', 'right'),
  [(25, 4, '1 to 24'), (0, 4, '1 to 24'), (2, 10, '1 to 9')],
)
def test_impossible_numbers_are_refused(num, length, right):
  with pytest.raises(BadInputError, match=right):
    spread_permutations(num, length)
