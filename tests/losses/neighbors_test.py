"""What the losses on mined positives promise."""

import jax.numpy as jnp
import numpy as np

from sslax.ops.selectors import nearest
from tests.losses.contrastive_cases import unit
from tests.losses.quick import losses


def _rows(num, seed):
  x = unit(np.random.default_rng(seed).normal(size=(num, 5)))
  return jnp.asarray(x, jnp.float32)


def test_nnclr_does_not_know_order_scale_or_rotation():
  n, p, order = _rows(6, 0), _rows(6, 1), jnp.array([4, 1, 0, 5, 2, 3])
  expected = losses.nnclr(n, p)
  np.testing.assert_allclose(
    losses.nnclr(n[order], p[order]), expected, rtol=1e-5
  )
  np.testing.assert_allclose(losses.nnclr(3 * n, 2 * p), expected, rtol=1e-5)
  assert abs(float(losses.nnclr(n[order], p) - expected)) > 1e-3
  assert abs(float(losses.nnclr(p, n) - expected)) > 1e-3  # one direction


def test_a_support_set_of_the_queries_makes_nnclr_plain_infonce():
  z, p = _rows(6, 0), _rows(6, 1)
  found = nearest(z, z[::-1])
  np.testing.assert_array_equal(found, z)
  np.testing.assert_allclose(
    losses.nnclr(found, p), losses.info_nce(z, p), rtol=1e-6
  )


def test_mean_shift_with_one_neighbor_is_byol():
  q, z, memory = _rows(6, 0), _rows(6, 1), _rows(9, 2)
  loss = losses.msf(q, z, memory, num_neighbors=1)
  np.testing.assert_allclose(loss, losses.byol(q, z), rtol=1e-5)
  more = losses.msf(z, z, memory, num_neighbors=4)
  assert float(more) > float(losses.msf(z, z, memory, num_neighbors=1))


def test_myow_adds_the_mined_term():
  p, z, p2, z2 = (_rows(4, seed) for seed in range(4))
  alone = losses.myow(p, z, p2, z2, weight=0.0)
  np.testing.assert_allclose(alone, losses.byol(p, z), rtol=1e-6)
  both = losses.myow(p, z, p2, z2, weight=0.5)
  np.testing.assert_allclose(both - alone, losses.byol(p2, z2) / 2, rtol=1e-4)
