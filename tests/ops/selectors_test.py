"""Selectors choose by rank, within what is allowed."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.ops import masked, mixing, selectors


@pytest.mark.parametrize('module', [selectors, mixing], ids=['sel', 'mix'])
def test_the_examples_of_the_docs_hold(module):
  result = doctest.testmod(module)
  assert result.attempted > 0
  assert result.failed == 0


def _similarities(seed=0):
  rng = np.random.default_rng(seed)
  similarities = rng.uniform(-1, 1, size=(4, 10))
  return jnp.asarray(similarities, 'f4'), jnp.asarray(
    rng.uniform(size=(4, 10)) < 0.7
  )


def test_hardest_are_the_top_of_the_allowed():
  s, allowed = _similarities()
  chosen = np.asarray(selectors.hardest(s, 3, allowed))
  for row, pick, ok in zip(
    np.asarray(s), chosen, np.asarray(allowed), strict=True
  ):
    assert pick.sum() == min(3, ok.sum())
    assert not np.any(pick & ~ok)
    assert row[pick].min() >= row[ok & ~pick].max()


def test_a_band_and_its_two_sides_are_everything():
  s, allowed = _similarities()
  parts = [
    selectors.band(s, low, high, allowed)
    for low, high in [(0, 0.3), (0.3, 0.8), (0.8, 1)]
  ]
  total = sum(part.astype(jnp.int32) for part in parts)
  np.testing.assert_array_equal(total, allowed)
  assert float(jnp.max(jnp.where(parts[0], s, -2))) < 1


def test_drop_hardest_drops_the_most_similar():
  s, _ = _similarities()
  kept = np.asarray(selectors.drop_hardest(s, 0.2))
  np.testing.assert_array_equal(kept.sum(1), 8)
  for row, keep in zip(np.asarray(s), kept, strict=True):
    assert row[~keep].min() > row[keep].max()


def test_label_masks_split_all_pairs():
  labels = jnp.array([0, 1, 0, 2])
  positives, negatives = selectors.label_masks(labels)
  everything = positives | negatives | jnp.eye(4, dtype=bool)
  assert bool(everything.all())
  assert not bool((positives & negatives).any())
  assert not bool(jnp.diagonal(positives).any())


def test_target_neighbors_are_the_nearest_of_the_class():
  rng = np.random.default_rng(0)
  x, labels = rng.normal(size=(12, 3)), np.arange(12) % 3
  near = np.asarray(selectors.target_neighbors(x, labels, 2))
  for i in range(12):
    same = [j for j in range(12) if labels[j] == labels[i] and j != i]
    best = sorted(same, key=lambda j: np.sum((x[i] - x[j]) ** 2))[:2]
    assert near[i].tolist() == best


def test_mined_views_come_from_the_nearest_candidates():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(2, 9, 4)).astype(np.float32)
  rows = selectors.mine_views(jax.random.key(0), x[0], x[1], num_neighbors=3)
  norm = np.linalg.norm(x, axis=-1, keepdims=True)
  rank = np.argsort(-(x[0] / norm[0]) @ (x[1] / norm[1]).T, axis=1)[:, :3]
  assert all(row in best for row, best in zip(rows, rank, strict=True))
  assert (
    len(
      {best.tolist().index(row) for row, best in zip(rows, rank, strict=True)}
    )
    > 1
  )


def test_mixed_negatives_are_harder_than_the_queue():
  rng = np.random.default_rng(0)
  queue = rng.normal(size=(64, 8)).astype(np.float32)
  queue /= np.linalg.norm(queue, axis=1, keepdims=True)
  q = queue[:4] + 0.3 * rng.normal(size=(4, 8)).astype(np.float32)
  mixed = mixing.mix_negatives(
    jax.random.key(0), q, queue[4:], num_hard=5, num_mixed=6, num_query_mixed=7
  )
  assert mixed.shape == (4, 13, 8)
  np.testing.assert_allclose(jnp.linalg.norm(mixed, axis=-1), 1, rtol=1e-5)
  q = q / np.linalg.norm(q, axis=1, keepdims=True)
  of_queue = np.mean(q @ queue[4:].T)
  similarity = np.einsum('bd,bsd->bs', q, mixed)
  assert similarity[:, :6].mean() > of_queue + 0.2
  assert similarity[:, 6:].mean() > similarity[:, :6].mean()


def test_false_negatives_are_those_like_the_support():
  support = jnp.eye(3)[None, :2].repeat(2, 0)
  candidates = jnp.array([[1.0, 0, 0], [0, 0, 1], [1, 1, 0]])

  def found(**options):
    return mixing.false_negatives(support, candidates, **options)[0].tolist()

  assert found(num=1) == [True, False, False]
  assert found(num=1, aggregate='mean') == [False, False, True]
  assert found(threshold=0.6) == [True, False, True]
  allowed = jnp.array([[False, True, True]]).repeat(2, 0)
  assert found(threshold=0.6, allowed=allowed) == [False, False, True]
  with pytest.raises(ValueError, match='num and threshold'):
    found()


def test_masked_reductions_ignore_what_is_left_out(x64):
  x = np.array([[1.0, 2, 1e300], [4, 5, 6]])
  keep = np.array([[True, True, False], [False, False, False]])
  total = masked.masked_logsumexp(x, keep, empty=7.0)
  np.testing.assert_allclose(total, [np.log(np.e + np.e**2), 7], rtol=1e-12)
  np.testing.assert_allclose(masked.masked_mean(x, keep, axis=1), [1.5, 0])
  grad = jax.grad(lambda x: masked.masked_logsumexp(x, keep).sum())(x)
  assert not np.any(np.asarray(grad)[~keep])
  assert np.exp(masked.masked_logsumexp(x, keep)[1]) == 0
