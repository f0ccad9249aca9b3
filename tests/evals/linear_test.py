"""The linear probe against scikit-learn, and its protocol."""

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from sklearn.linear_model import LogisticRegression

from sslax.evals import linear
from sslax.evals.linear import fit, linear_probe

NUM_CLASSES = 4
STRENGTHS = (1e-4, 1e-2, 1.0)


def _data(seed=0, n=160, dtype=np.float64):
  centers = np.random.default_rng(9).normal(size=(NUM_CLASSES, 6))
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, NUM_CLASSES, n)
  features = centers[labels] + 1.2 * rng.normal(size=(n, 6))
  return features.astype(dtype), labels


def test_weights_equal_scikit_learns(x64):
  x, y = _data()
  weights, biases, steps = fit(
    x, y, num_classes=NUM_CLASSES, regularizations=STRENGTHS, tolerance=1e-7
  )
  assert steps < 200
  for strength, w, b in zip(STRENGTHS, weights, biases, strict=True):
    model = LogisticRegression(
      C=1 / (strength * len(x)), tol=1e-9, max_iter=5000
    ).fit(x, y)
    np.testing.assert_allclose(w.T, model.coef_, atol=1e-4)
    # A shift of all biases changes nothing.
    np.testing.assert_allclose(
      b - b.mean(), model.intercept_ - model.intercept_.mean(), atol=1e-4
    )


def test_weighted_rows_equal_scikit_learns(x64):
  x, y = _data()
  weights = np.arange(len(x)) % 3
  w, _, _ = fit(
    x,
    y,
    num_classes=NUM_CLASSES,
    regularizations=STRENGTHS,
    sample_weights=weights,
    tolerance=1e-7,
  )
  model = LogisticRegression(
    C=1 / (STRENGTHS[1] * weights.sum()), tol=1e-9, max_iter=5000
  ).fit(x, y, sample_weight=weights)
  np.testing.assert_allclose(w[1].T, model.coef_, atol=1e-4)


def test_probe_equals_scikit_learn_on_its_choice(x64):
  (x, y), (xt, yt) = _data(1), _data(2)
  # Scales and shifts of the columns must not matter.
  scale, shift = np.array([1, 100, 0.01, 1, 5, 1]), np.arange(6) * 10.0
  result = linear_probe(
    x * scale + shift,
    y,
    xt * scale + shift,
    yt,
    num_classes=NUM_CLASSES,
    regularizations=STRENGTHS,
    tolerance=1e-7,
  )
  mean, deviation = x.mean(0), x.std(0)
  model = LogisticRegression(
    C=1 / (result.regularization * len(x)), tol=1e-9, max_iter=5000
  ).fit((x - mean) / deviation, y)
  expected = model.score((xt - mean) / deviation, yt)
  assert result.accuracy == pytest.approx(expected)
  assert result.top5 == 1.0
  assert result.regularization in STRENGTHS
  assert (
    max(result.held_out_accuracy)
    == (result.held_out_accuracy[STRENGTHS.index(result.regularization)])
  )
  logits = (xt * scale + shift) @ np.asarray(result.weights)
  logits += np.asarray(result.bias)
  assert np.mean(np.argmax(logits, -1) == yt) == result.accuracy


def test_test_labels_do_not_choose(x64):
  (x, y), (xt, yt) = _data(1), _data(2)
  kwargs = {'num_classes': NUM_CLASSES, 'regularizations': STRENGTHS}
  a = linear_probe(x, y, xt, yt, **kwargs)
  b = linear_probe(x, y, xt, (yt + 1) % NUM_CLASSES, **kwargs)
  assert a.accuracy != b.accuracy
  assert a.regularization == b.regularization
  np.testing.assert_array_equal(a.weights, b.weights)


def test_eight_devices_equal_one(x64):
  x, y = _data(1)
  rows = NamedSharding(
    Mesh(np.array(jax.devices()), ('data',)), PartitionSpec('data')
  )
  kwargs = {'num_classes': NUM_CLASSES, 'regularizations': STRENGTHS}
  one = linear_probe(x, y, x, y, **kwargs)
  eight = linear_probe(jax.device_put(x, rows), y, x, y, **kwargs)
  np.testing.assert_allclose(eight.weights, one.weights, rtol=1e-6, atol=1e-9)
  assert eight.accuracy == one.accuracy


def test_held_out_rows_are_stratified_and_seeded():
  labels = np.repeat([0, 1, 2, 3], [100, 20, 3, 1])
  held_out = linear._stratified(labels, 0.1, 0)
  assert np.bincount(labels[held_out], minlength=4).tolist() == [10, 2, 1, 0]
  np.testing.assert_array_equal(held_out, linear._stratified(labels, 0.1, 0))
  assert (held_out != linear._stratified(labels, 0.1, 1)).any()


def test_constant_columns_do_not_matter():
  x, y = _data(3, dtype=np.float32)
  x[:, 2] = 0.1  # its float32 mean is not exactly 0.1
  x[:, 3] = 0.0
  result = linear_probe(
    x, y, x, y, num_classes=NUM_CLASSES, regularizations=STRENGTHS
  )
  assert np.isfinite(result.weights).all()
  assert np.abs(result.weights).max() < 10


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'train_labels': np.full(160, 9)}, r'train_labels lie in \[9, 9\]'),
    ({'test': np.full((160, 6), np.nan)}, 'test holds values that are not'),
    ({'test': np.zeros((160, 5))}, 'test has shape'),
    ({'regularizations': (0.0,)}, 'regularizations are'),
    ({'regularizations': ()}, 'regularizations are'),
    ({'held_out_ratio': 1.0}, r'held_out_ratio is 1\.0'),
    ({'train': np.zeros((0, 6)), 'train_labels': np.zeros(0, int)}, 'no rows'),
  ],
)
def test_bad_input_is_named(change, message):
  x, y = _data(dtype=np.float32)
  arguments = {'train': x, 'train_labels': y, 'test': x, 'test_labels': y}
  with pytest.raises(ValueError, match=message):
    linear_probe(**{**arguments, 'num_classes': NUM_CLASSES, **change})
