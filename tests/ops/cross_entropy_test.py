"""What divergences and means over views promise."""

import jax
import numpy as np
import pytest
from jax.test_util import check_grads

from sslax.ops import cross_entropy as ops


def _logits(seed, scale=1.0):
  return scale * np.random.default_rng(seed).normal(size=(6, 5))


def _loops(log_p, log_q):
  return [
    sum(np.exp(a) * (a - b) for a, b in zip(p, q, strict=True))
    for p, q in zip(log_p, log_q, strict=True)
  ]


@pytest.mark.parametrize('scale', [1e-2, 1.0, 30.0])
def test_divergence_equals_its_sum(scale, x64):
  log_p = jax.nn.log_softmax(_logits(0), -1)
  log_q = jax.nn.log_softmax(_logits(0) + _logits(1, scale), -1)
  expected = _loops(np.asarray(log_p), np.asarray(log_q))
  np.testing.assert_allclose(
    ops.divergence(log_p, log_q), expected, rtol=1e-9, atol=1e-14
  )


def test_divergence_keeps_its_digits_near_zero(x64):
  base, step = _logits(0), _logits(1)
  log_p = jax.nn.log_softmax(base, -1)
  small, large = (
    ops.divergence(log_p, jax.nn.log_softmax(base + size * step, -1))
    for size in (1e-7, 1e-5)
  )
  np.testing.assert_allclose(large / small, 1e4, rtol=1e-3)


@pytest.mark.parametrize('scale', [1e-3, 1.0])
def test_divergence_has_its_derivative_on_both_branches(scale, x64):
  log_p = jax.nn.log_softmax(_logits(0), -1)

  def of_logits(x):
    return ops.divergence(log_p, jax.nn.log_softmax(x, -1)).sum()

  check_grads(
    of_logits, (_logits(0) + _logits(1, scale),), order=1, modes=['rev']
  )


def test_a_mean_of_other_views_leaves_out_the_diagonal(x64):
  table = np.array([[9.0, 1.0, 2.0], [3.0, 9.0, 6.0]])
  assert ops.mean_of_other_views(table) == 3.0


def test_a_table_holds_the_mean_of_every_pair(x64):
  rng = np.random.default_rng(0)
  probs, logits = rng.dirichlet(np.ones(4), (2, 5)), rng.normal(size=(3, 5, 4))
  table = ops.view_cross_entropies(probs, logits, temperature=0.5)
  for w in range(2):
    for v in range(3):
      pair = ops.soft_cross_entropy(probs[w], logits[v], temperature=0.5)
      np.testing.assert_allclose(table[w, v], pair.mean(), rtol=1e-12)
