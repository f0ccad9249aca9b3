"""What UniCLR's losses promise beyond the contract."""

import numpy as np
import pytest

from tests.losses.quick import losses

LOSSES = (losses.sim_affinity, losses.sim_whitening, losses.sim_trace)


def _pair():
  rng = np.random.default_rng(0)
  z1 = rng.normal(size=(12, 4))
  return z1, z1 + rng.normal(size=(12, 4))


@pytest.mark.parametrize('loss', LOSSES)
def test_turns_scales_and_permutes(loss, x64):
  z1, z2 = _pair()
  expected = loss(z1, z2)
  turn = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
  order = np.random.default_rng(2).permutation(12)
  for a, b in (
    (z1 @ turn, z2 @ turn),
    (3 * z1, 5 * z2),
    (z1[order], z2[order]),
  ):
    np.testing.assert_allclose(loss(a, b), expected, rtol=1e-9)
  assert abs(loss(z1[order], z2) - expected) > 1e-3


def test_the_symmetry_term_vanishes_for_equal_views(x64):
  z1, z2 = _pair()
  for views, differs in (((z1, z1), False), ((z1, z2), True)):
    with_term = losses.sim_affinity(*views, symmetry_weight=1.0)
    without = losses.sim_affinity(*views, symmetry_weight=0.0)
    assert (with_term - without > 1e-3) == differs


def test_sim_trace_prefers_spread_to_collapse(x64):
  z1, _ = _pair()
  collapsed = np.ones((12, 4))
  assert losses.sim_trace(z1, z1) < losses.sim_trace(collapsed, collapsed) - 1
