"""Bins of colors: which there are, soft encoding, rarity, annealed mean."""

import jax
import jax.numpy as jnp
import numpy as np

from sslax.ops import color_bins
from sslax.ops.color_bins import AB_BINS
from sslax.ops.color_space import rgb_to_lab


def test_there_are_313_bins_around_all_colors_of_srgb():
  """The corners of every square of the grid that holds a color are bins."""
  assert AB_BINS.shape == (313, 2)
  levels = np.linspace(0, 1, 33, dtype=np.float32)
  rgb = np.stack(np.meshgrid(*[levels] * 3), -1).reshape(-1, 3)
  ab = np.asarray(jax.jit(rgb_to_lab)(rgb))[:, 1:]
  squares = {tuple(s) for s in (np.floor(ab / 10) * 10).astype(int).tolist()}
  corners = {
    (a + i, b + j) for a, b in squares for i in (0, 10) for j in (0, 10)
  }
  bins = {tuple(b) for b in AB_BINS.astype(int).tolist()}
  assert len(bins) == 313
  assert corners <= bins
  assert len(corners) > 295


def test_soft_encoding_equals_loops(x64):
  rng = np.random.default_rng(0)
  ab = rng.uniform(-60, 60, (2, 3, 2))
  encoded = np.asarray(color_bins.soft_encode(ab, num_neighbors=5, sigma=5.0))
  assert encoded.shape == (2, 3, 313)
  for place in np.ndindex(2, 3):
    squares = [float(np.sum((ab[place] - b) ** 2)) for b in AB_BINS]
    nearest = sorted(range(313), key=squares.__getitem__)[:5]
    weights = {q: np.exp(-squares[q] / 50) for q in nearest}
    expected = np.zeros(313)
    for q, weight in weights.items():
      expected[q] = weight / sum(weights.values())
    np.testing.assert_allclose(encoded[place], expected, atol=1e-9)


def test_a_color_far_from_all_bins_is_still_a_distribution():
  encoded = color_bins.soft_encode(jnp.array([-110.0, -110.0]))
  np.testing.assert_allclose(jnp.sum(encoded), 1, rtol=1e-6)
  assert np.all(np.isfinite(encoded))


def test_weights_are_one_on_average_and_higher_for_rare_colors():
  rng = np.random.default_rng(2)
  prior = rng.dirichlet(np.full(313, 0.1)).astype(np.float32)
  weights = np.asarray(color_bins.rarity_weights(prior))
  np.testing.assert_allclose(prior @ weights, 1, rtol=1e-5)
  order = np.argsort(prior)
  assert np.all(np.diff(weights[order]) <= 1e-6)
  np.testing.assert_allclose(  # of uniform weights nothing is left over
    color_bins.rarity_weights(prior, uniform_ratio=1.0), 1, rtol=1e-5
  )


def test_the_annealed_mean_lies_between_mean_and_mode():
  probs = np.full(313, 1e-12)
  first, second = 40, 200
  probs[first], probs[second] = 0.7, 0.3
  decode = lambda t: np.asarray(  # noqa: E731
    color_bins.annealed_mean(
      jnp.log(jnp.asarray(probs, jnp.float32)), temperature=t
    )
  )
  np.testing.assert_allclose(
    decode(1.0), 0.7 * AB_BINS[first] + 0.3 * AB_BINS[second], atol=1e-3
  )
  share = 0.7 ** (1 / 0.38) / (0.7 ** (1 / 0.38) + 0.3 ** (1 / 0.38))
  np.testing.assert_allclose(
    decode(0.38),
    share * AB_BINS[first] + (1 - share) * AB_BINS[second],
    atol=1e-2,
  )
  np.testing.assert_allclose(decode(0.01), AB_BINS[first], atol=1e-3)


def test_encoding_then_decoding_returns_about_the_color():
  ab = jnp.array([[0.0, 0.0], [33.0, -21.0], [-17.0, 48.0]])
  logits = jnp.log(color_bins.soft_encode(ab) + 1e-12)
  decoded = color_bins.annealed_mean(logits, temperature=1.0)
  np.testing.assert_allclose(decoded, ab, atol=2.5)
