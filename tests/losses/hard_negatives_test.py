"""What the losses on weighed, mixed or dropped negatives promise."""

import jax.numpy as jnp
import numpy as np

from tests.losses.contrastive_cases import unit
from tests.losses.quick import losses


def _rows(num, seed):
  x = unit(np.random.default_rng(seed).normal(size=(num, 5)))
  return jnp.asarray(x, jnp.float32)


def test_concentration_raises_the_loss_and_zero_is_debiased():
  z1, z2 = _rows(6, 0), _rows(6, 1)
  plain = losses.debiased(z1, z2)
  np.testing.assert_allclose(
    losses.hcl(z1, z2, concentration=0.0), plain, rtol=1e-6
  )
  assert float(losses.hcl(z1, z2, concentration=2.0)) > float(plain)


def test_hcl_stays_finite_where_exponentials_would_not():
  z = jnp.eye(4)
  loss = losses.hcl(z, -z, temperature=0.005, concentration=2.0)
  np.testing.assert_allclose(loss, 200 + np.log(6 / 0.9), rtol=1e-5)


def test_ifm_without_budget_is_moco():
  q, k, queue = _rows(6, 0), _rows(6, 1), _rows(9, 2)
  same = losses.ifm(q, k, queue, temperature=0.2, epsilon=0.0)
  plain = losses.moco(q, k, queue, temperature=0.2)
  np.testing.assert_allclose(same, plain, rtol=1e-6)
  harder = losses.ifm(q, k, queue, temperature=0.2, epsilon=0.1)
  assert float(harder) > float(plain)


def test_synthetic_negatives_count_as_queue_rows_do():
  q, k, queue = _rows(6, 0), _rows(6, 1), _rows(9, 2)
  shared = jnp.broadcast_to(queue[None, 5:], (6, 4, 5))
  np.testing.assert_allclose(
    losses.mochi(q, k, queue[:5], shared),
    losses.moco(q, k, queue, temperature=0.2),
    rtol=1e-6,
  )


def test_extrapolation_pushes_the_positive_away():
  q, queue, order = _rows(6, 0), _rows(9, 2), jnp.arange(9)
  k, shares = q + 0.3 * _rows(6, 1), jnp.ones(9)

  def loss(share):
    share = jnp.full(6, share)
    return losses.feature_transformation(q, k, queue, share, shares, order)

  plain = losses.moco(q, k, queue, temperature=0.2)
  np.testing.assert_allclose(loss(1.0), plain, rtol=1e-5)
  assert float(loss(1.5)) > float(plain)


def test_cancelling_false_negatives_lowers_the_loss():
  z1, z2 = _rows(6, 0), _rows(6, 1)
  none = jnp.zeros((12, 12), bool)
  plain = losses.ntxent(z1, z2, temperature=0.1)
  for attract in (False, True):
    same = losses.fnc(z1, z2, none, attract=attract)
    np.testing.assert_allclose(same, plain, rtol=1e-5)
  some = none.at[:, 3].set(True)
  assert float(losses.fnc(z1, z2, some)) < float(plain)
  own = jnp.tile(jnp.eye(6, dtype=bool), (2, 2))  # self and positive: ignored
  np.testing.assert_allclose(losses.fnc(z1, z2, own), plain, rtol=1e-5)
