"""Noise words, priors and batches for losses that sample."""

import doctest
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import losses
from sslax.ops import class_batches, noise, priors


@pytest.mark.parametrize('name', ['class_batches', 'noise', 'priors'])
def test_the_examples_are_true(name):
  module = importlib.import_module(f'sslax.ops.{name}')
  assert doctest.testmod(module).failed == 0


def test_noise_comes_as_often_as_its_probability_says():
  log_q = noise.log_unigram(jnp.array([1, 16, 81, 0]), power=0.5)
  words, logs = noise.draw(jax.random.key(0), log_q, (4000, 5))
  shares = np.bincount(np.ravel(words), minlength=4) / words.size
  np.testing.assert_allclose(shares, np.array([1, 4, 9, 0]) / 14, atol=0.01)
  np.testing.assert_array_equal(logs, log_q[words])
  assert np.exp(noise.log_unigram(jnp.array([0, 5]), power=0.0))[0] == 0.5


def test_nce_finds_the_log_of_the_data_s_frequency():
  counts = jnp.array([4.0, 2.0, 1.0, 1.0])
  log_q = noise.log_unigram(jnp.ones(4))
  rngs = jax.random.split(jax.random.key(1), 2)
  data, _ = noise.draw(rngs[0], noise.log_unigram(counts), (4000,))
  drawn, log_drawn = noise.draw(rngs[1], log_q, (4000, 8))

  def loss(s):
    return losses.nce(s[data], s[drawn], log_q[data], log_drawn)

  scores, step = jnp.zeros(4), jax.jit(lambda s: s - jax.grad(loss)(s))
  for _ in range(100):
    scores = step(scores)
  np.testing.assert_allclose(jnp.exp(scores), counts / 8, atol=0.03)


@pytest.mark.parametrize('kind', ['sphere', 'cube', 'normal'])
def test_samples_of_a_prior_are_at_no_distance_from_it(kind):
  rngs = jax.random.split(jax.random.key(2), 3)
  columns = priors.directions(rngs[0], 3, 16)
  x, y = (priors.draw(rng, (2000, 3), kind) for rng in rngs[1:])
  near = losses.sliced_wasserstein(x, y, columns)
  assert near < losses.sliced_wasserstein(1.5 * x, y, columns) / 10
  with pytest.raises(ValueError, match="kind is 'ball'"):
    priors.draw(rngs[0], (1, 1), 'ball')


def test_pairs_are_of_one_class_and_classes_differ():
  rng = np.random.default_rng(0)
  labels = rng.integers(0, 9, 60)
  for _ in range(20):
    a, b = class_batches.class_pairs(rng, labels, 7)
    assert (labels[a] == labels[b]).all()
    assert (a != b).all()
    assert len(set(labels[a])) == 7
  with pytest.raises(ValueError, match='num_classes is 10'):
    class_batches.class_pairs(rng, labels, 10)


def test_a_low_temperature_draws_the_nearest_negatives():
  rng = np.random.default_rng(1)
  x = rng.normal(size=(40, 2)).astype(np.float32)
  y, seeds = rng.integers(0, 3, 40), np.array([4, 9])
  y[seeds] = 0
  rows = class_batches.hard_batch(
    jax.random.key(0), x, y, seeds, 8, temperature=1e-4
  )
  gaps = ((x[:, None] - x[seeds][None]) ** 2).sum(-1).min(1)
  gaps[y == 0] = np.inf
  assert rows[:2].tolist() == [4, 9]
  assert set(rows[2:].tolist()) == set(np.argsort(gaps)[:6].tolist())
  with pytest.raises(ValueError, match='size is 1'):
    class_batches.hard_batch(jax.random.key(0), x, y, seeds, 1)
