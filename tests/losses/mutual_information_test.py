"""What the bounds on mutual information promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.quick import losses


def _gaussian(correlation, num, seed):
  """Pairs of a correlated Gaussian, and their exact log density ratio."""
  rng = np.random.default_rng(seed)
  x = rng.normal(size=num)
  noise = rng.normal(size=num)
  y = correlation * x + np.sqrt(1 - correlation**2) * noise
  rest = 1 - correlation**2
  gap = y[None, :] - correlation * x[:, None]
  ratio = -0.5 * np.log(rest) - gap**2 / (2 * rest) + y[None, :] ** 2 / 2
  return ratio, -0.5 * np.log(rest)


@pytest.mark.parametrize(
  ('bound', 'shift', 'gap'),
  [
    (losses.infonce_bound, 0.0, 0.1),
    (losses.dv_bound, 0.0, 0.05),
    (losses.nwj_bound, 1.0, 0.05),
    (lambda s: losses.smile_bound(s, clip=20.0), 0.0, 0.05),
  ],
  ids=['infonce', 'dv', 'nwj', 'smile'],
)
def test_the_best_critic_reaches_the_information_of_a_gaussian(
  bound, shift, gap, x64
):
  values = []
  for seed in range(8):
    ratio, truth = _gaussian(0.8, 256, seed)
    values.append(float(bound(ratio + shift)))
  assert abs(np.mean(values) - truth) < gap


@pytest.mark.parametrize('scale', [0.3, 0.7, 1.5])
def test_a_worse_critic_stays_below_the_information(scale, x64):
  bounds = (losses.infonce_bound, losses.dv_bound, losses.nwj_bound)
  ratio, truth = _gaussian(0.6, 512, seed=1)
  for bound in bounds:
    assert float(bound(scale * ratio)) < truth + 0.02


def test_infonce_cannot_pass_the_log_of_the_batch(x64):
  scores = 1e4 * jnp.eye(8)
  np.testing.assert_allclose(losses.infonce_bound(scores), np.log(8))
  ratio, truth = _gaussian(0.9999, 8, seed=0)
  assert float(losses.infonce_bound(ratio)) <= np.log(8) < truth


@pytest.mark.parametrize(
  'bound', [losses.dv_bound, losses.infonce_bound], ids=['dv', 'infonce']
)
def test_an_offset_of_all_scores_changes_nothing(bound, x64):
  scores = np.random.default_rng(0).normal(size=(8, 8))
  np.testing.assert_allclose(bound(scores + 3), bound(scores), rtol=1e-12)


def test_nwj_and_jsd_do_depend_on_the_offset(x64):
  scores = np.random.default_rng(0).normal(size=(8, 8))
  for bound in (losses.nwj_bound, losses.jsd_bound):
    assert abs(float(bound(scores + 3) - bound(scores))) > 0.1


def test_infonce_alone_depends_on_which_row_a_marginal_stands_in(x64):
  scores = np.random.default_rng(0).normal(size=(4, 4))
  swapped = scores.copy()
  swapped[0, 1], swapped[2, 3] = scores[2, 3], scores[0, 1]
  np.testing.assert_allclose(losses.dv_bound(swapped), losses.dv_bound(scores))
  np.testing.assert_allclose(
    losses.jsd_bound(swapped), losses.jsd_bound(scores)
  )
  gap = losses.infonce_bound(swapped) - losses.infonce_bound(scores)
  assert abs(float(gap)) > 1e-3


@pytest.mark.parametrize(
  'loss',
  [
    losses.infonce_bound,
    losses.dv_bound,
    losses.nwj_bound,
    losses.jsd_bound,
    lambda s: losses.rpc(s, alpha=1.0, beta=0.5, gamma=0.5),
  ],
)
def test_the_order_of_the_pairs_changes_nothing(loss, x64):
  scores = np.random.default_rng(0).normal(size=(8, 8))
  order = np.random.default_rng(1).permutation(8)
  np.testing.assert_allclose(loss(scores[order][:, order]), loss(scores))


def test_two_bounds_learn_by_the_jensen_shannon_gradient(x64):
  scores = jnp.asarray(np.random.default_rng(0).normal(size=(8, 8)))
  expected = jax.grad(losses.jsd_bound)(scores)
  for bound in (losses.js_nwj_bound, losses.smile_bound):
    np.testing.assert_allclose(jax.grad(bound)(scores), expected, rtol=1e-12)


def test_without_memory_mine_is_donsker_varadhan(x64):
  scores = jnp.asarray(np.random.default_rng(0).normal(size=(8, 8)))

  def mine(s):
    return losses.mine_bound(s, 5.0, momentum=0.0)[0]

  np.testing.assert_allclose(
    jax.grad(mine)(scores), jax.grad(losses.dv_bound)(scores), rtol=1e-9
  )


def test_mine_divides_by_the_running_mean(x64):
  scores = jnp.asarray(np.random.default_rng(0).normal(size=(4, 4)))
  mean = float(jnp.mean(jnp.exp(scores[~np.eye(4, dtype=bool)])))
  kept = 0.9 * 2.0 + 0.1 * mean

  def mine(s):
    return losses.mine_bound(s, jnp.log(2.0), momentum=0.9)

  grad, state = jax.grad(mine, has_aux=True)(scores)
  np.testing.assert_allclose(np.exp(state), kept)
  np.testing.assert_allclose(
    grad[0, 1], -np.exp(scores[0, 1]) / 12 / kept, rtol=1e-12
  )


def test_the_running_mean_has_a_floor(x64):
  scores = jnp.full((4, 4), -50.0)
  _, state = losses.mine_bound(scores, -50.0, floor=1e-4)
  np.testing.assert_allclose(state, np.log(1e-4))


def test_rpc_learns_the_relative_density_ratio(x64):
  # A table of scores for four outcomes, two of x by two of y.
  joint = np.array([[0.4, 0.1], [0.2, 0.3]])
  marginal = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
  alpha, beta, gamma = 1.0, 0.5, 0.8
  x = np.repeat([0, 1], [50, 50])
  y = np.repeat([0, 1, 0, 1], [40, 10, 20, 30])

  def loss(table):
    # All pairs off the diagonal are nearly the product of marginals.
    scores = table[x][:, y]
    return losses.rpc(scores, alpha=alpha, beta=beta, gamma=gamma)

  table = jnp.zeros((2, 2))
  step = jax.jit(lambda t: t - 2.0 * jax.grad(loss)(t))
  for _ in range(200):
    table = step(table)
  ratio = joint / marginal
  best = (ratio - alpha) / (beta * ratio + gamma)
  np.testing.assert_allclose(table, best, atol=0.03)


def test_imax_is_the_information_of_a_gaussian_signal(x64):
  rng = np.random.default_rng(0)
  signal = rng.normal(size=20000)
  a, b = (signal + 0.5 * rng.normal(size=20000) for _ in range(2))
  expected = -0.5 * np.log((4 + 0.5) / 0.5)
  np.testing.assert_allclose(losses.imax(a, b), expected, rtol=0.02)


def test_imax_ignores_scale_offset_and_order(x64):
  rng = np.random.default_rng(0)
  a, b = rng.normal(size=(2, 32))
  loss = losses.imax(a, b, eps=0.0)
  np.testing.assert_allclose(losses.imax(3 * a, 3 * b, eps=0.0), loss)
  np.testing.assert_allclose(losses.imax(a + 1, b - 2, eps=0.0), loss)
  np.testing.assert_allclose(losses.imax(b, a, eps=0.0), loss)
  assert abs(float(losses.imax(3 * a, b, eps=0.0) - loss)) > 0.01


def test_the_whole_bank_is_plain_infonce_and_bands_order_by_hardness(x64):
  rng = np.random.default_rng(0)
  queries, keys = rng.normal(size=(2, 8, 4))
  bank = rng.normal(size=(40, 4))

  def loss(lower, upper):
    return float(
      losses.restricted_infonce(
        queries, keys, bank, lower=lower, upper=upper, temperature=0.2
      )
    )

  assert loss(0.0, 0.5) < loss(0.25, 0.75) < loss(0.5, 1.0) < loss(0.0, 1.0)


def test_an_empty_band_is_refused():
  x = np.ones((2, 3), np.float32)
  with pytest.raises(ValueError, match=r'lower=0\.5'):
    losses.restricted_infonce(x, x, x, lower=0.5, upper=0.5)
