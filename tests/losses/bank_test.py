"""What the losses with a memory bank must and must not change under."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.contrastive_cases import unit
from tests.losses.quick import losses


def _inputs(seed=0):
  rng = np.random.default_rng(seed)
  features = unit(rng.normal(size=(4, 5))).astype(np.float32)
  bank = unit(rng.normal(size=(9, 5))).astype(np.float32)
  rows = np.array([rng.permutation(9)[:4] for _ in range(4)])
  return jnp.asarray(features), jnp.asarray(bank), jnp.asarray(rows)


_LOSSES = {
  'nce': lambda f, b, i: losses.instdisc_nce(f, b, i, 40.0, temperature=0.2),
  'softmax': losses.instdisc_softmax,
}


@pytest.mark.parametrize('name', _LOSSES)
def test_order_of_batch_and_negatives_and_rotation_do_not_matter(name):
  features, bank, rows = _inputs()
  loss = _LOSSES[name]
  expected = loss(features, bank, rows)
  shuffled = rows[:, jnp.array([0, 3, 1, 2])]
  np.testing.assert_allclose(
    loss(features[::-1], bank, shuffled[::-1]), expected, rtol=1e-5
  )
  turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))
  turn = jnp.asarray(turn, jnp.float32)
  np.testing.assert_allclose(
    loss(features @ turn, bank @ turn, rows), expected, rtol=1e-4
  )
  first_last = loss(features, bank, rows[:, ::-1])  # another positive
  assert abs(float(first_last - expected)) > 1e-3


def test_swapping_the_views_with_their_banks_changes_nothing():
  features, bank, rows = _inputs()
  z2, bank2, _ = _inputs(1)
  forward = losses.cmc_nce(features, z2, bank, bank2, rows, (30.0, 50.0))
  backward = losses.cmc_nce(z2, features, bank2, bank, rows, (50.0, 30.0))
  np.testing.assert_allclose(forward, backward, rtol=1e-6)
  gap = losses.cmc_nce(features, z2, bank2, bank, rows, (30.0, 50.0)) - forward
  assert abs(float(gap)) > 1e-3


def test_pirl_weighs_its_two_terms():
  features, bank, rows = _inputs()
  z2, _, _ = _inputs(1)
  ends = [
    losses.pirl(features, z2, bank, rows, weight=w) for w in (0.0, 0.25, 1.0)
  ]
  np.testing.assert_allclose(
    ends[1], 0.75 * ends[0] + 0.25 * ends[2], rtol=1e-5
  )
  np.testing.assert_allclose(
    ends[0], losses.instdisc_softmax(features, bank, rows), rtol=1e-6
  )


def test_local_aggregation_is_zero_where_all_background_is_close():
  features, bank, _ = _inputs()
  one_cluster = jnp.zeros((1, 9), int)
  loss = losses.local_aggregation(
    features, bank, one_cluster, jnp.arange(4), num_background=5
  )
  np.testing.assert_allclose(loss, 0, atol=1e-6)


def test_a_growing_neighborhood_lowers_the_loss():
  features, bank, _ = _inputs()
  alone = jnp.eye(4, 9, dtype=bool)
  more = alone.at[:, 8].set(True)
  assert float(losses.anchor_neighborhood(features, bank, more)) < float(
    losses.anchor_neighborhood(features, bank, alone)
  )


def test_snca_does_not_count_the_example_itself():
  features, bank, _ = _inputs()
  y = jnp.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
  loss = losses.snca(features, bank, y[:4], y, jnp.arange(4))
  moved = bank.at[0].set(-bank[0])  # the first example's own row
  first = losses.snca(features[:1], moved, y[:1], y, jnp.arange(1))
  kept = losses.snca(features[:1], bank, y[:1], y, jnp.arange(1))
  assert float(first) == float(kept)
  assert float(losses.snca(features, moved, y[:4], y, jnp.arange(4))) != float(
    loss
  )


def test_equal_augmentations_agree():
  features, bank, _ = _inputs()
  views = jnp.repeat(features[:, None], 3, axis=1)
  loss = losses.bank_consistency(views, bank)
  np.testing.assert_allclose(loss, 0, atol=1e-6)
