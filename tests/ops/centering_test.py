"""Centers, sharpening, predictors set by hand, and the vMF normalizer."""

import doctest

import jax
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import special

from sslax.ops import centering, predictor, von_mises_fisher


def test_the_examples_are_true():
  assert doctest.testmod(centering).failed == 0
  assert doctest.testmod(predictor).failed == 0


def test_the_center_follows_the_mean_of_views_and_tokens(x64):
  rng = np.random.default_rng(0)
  logits, center = rng.normal(size=(2, 4, 3, 5)), rng.normal(size=5)
  moved = centering.update_center(center, logits, momentum=0.7)
  mean = logits.reshape(-1, 5).mean(0)
  np.testing.assert_allclose(moved, 0.7 * center + 0.3 * mean, rtol=1e-12)


def test_masked_tokens_do_not_move_the_center(x64):
  rng = np.random.default_rng(0)
  logits, center = rng.normal(size=(4, 3, 5)), rng.normal(size=5)
  mask = rng.integers(0, 2, size=(4, 3)) > 0
  moved = centering.update_center(center, logits, mask=mask)
  alone = centering.update_center(center, logits[mask])
  np.testing.assert_allclose(moved, alone, rtol=1e-12)
  still = centering.update_center(center, logits, mask=np.zeros((4, 3), bool))
  np.testing.assert_array_equal(still, center)


def test_centering_undoes_a_common_shift(x64):
  rng = np.random.default_rng(0)
  logits, shift = rng.normal(size=(4, 5)), rng.normal(size=5)
  plain = centering.sharpened(logits, np.zeros(5), temperature=0.1)
  shifted = centering.sharpened(logits + shift, shift, temperature=0.1)
  np.testing.assert_allclose(shifted, plain, rtol=1e-9)


def test_warm_up_equals_the_official_table():
  table = [*np.linspace(0.04, 0.07, 5), 0.07, 0.07]
  for epoch, expected in enumerate(table):
    value = centering.teacher_temperature(
      epoch, initial=0.04, final=0.07, num_warmup=5
    )
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def _correlation():
  features = np.random.default_rng(0).normal(size=(40, 5)) * np.arange(1, 6)
  return features.T @ features / 40


def test_the_predictor_turns_with_the_features(x64):
  turn = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
  weight = predictor.direct_predictor(_correlation())
  turned = predictor.direct_predictor(turn.T @ _correlation() @ turn)
  np.testing.assert_allclose(turned, turn.T @ weight @ turn, atol=1e-9)


def test_the_predictor_does_not_know_the_scale(x64):
  weight = predictor.direct_predictor(_correlation())
  scaled = predictor.direct_predictor(100 * _correlation())
  np.testing.assert_allclose(scaled, weight, rtol=1e-9)


def test_the_predictor_has_a_floor(x64):
  weight = predictor.direct_predictor(_correlation(), eps=-0.9)
  assert np.linalg.eigvalsh(weight).min() > 0.99e-4


@pytest.mark.parametrize(('dim', 'error'), [(8, 1e-4), (16, 1e-6), (64, 1e-9)])
def test_the_normalizer_follows_the_bessel_function(dim, error, x64):
  norms = np.array([1e-3, 0.5, 5.0, 50.0, 500.0])
  prototypes = np.zeros((5, dim))
  prototypes[:, 1] = norms
  order = dim / 2 - 1
  kappa = norms / 0.5
  expected = order * np.log(kappa) - dim / 2 * np.log(2 * np.pi)
  expected -= np.log(special.ive(order, kappa)) + kappa
  actual = von_mises_fisher.log_normalizer(prototypes, 0.5)
  np.testing.assert_allclose(actual, expected, atol=error)


def test_the_normalizer_has_a_slope_at_zero(x64):
  check_grads(
    von_mises_fisher.log_normalizer,
    (np.eye(3, 16),),
    order=1,
    modes=['rev'],
  )
  slope = jax.grad(lambda w: von_mises_fisher.log_normalizer(w).sum())
  assert not np.asarray(slope(np.zeros((2, 8)))).any()


def test_the_normalizer_refuses_few_dimensions():
  with pytest.raises(ValueError, match='at least 4'):
    von_mises_fisher.log_normalizer(np.ones((2, 3)))
