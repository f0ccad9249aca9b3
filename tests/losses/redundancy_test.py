"""What losses of decorrelation promise beyond the contract."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sslax.ops import multiquadric
from sslax.ops.spectral import laplacian_eigenmaps
from tests.losses.quick import losses


def _pair(batch=24, dim=4, seed=0):
  rng = np.random.default_rng(seed)
  z1 = rng.normal(size=(batch, dim))
  return z1, z1 + rng.normal(size=(batch, dim))


def _turn(dim=4):
  return np.linalg.qr(np.random.default_rng(9).normal(size=(dim, dim)))[0]


PAIRS = {
  'barlow_twins': losses.barlow_twins,
  'vicreg': losses.vicreg,
  'vibcreg': losses.vibcreg,
  'wmse': lambda a, b: losses.wmse((a, b)),
  'dbn': losses.dbn,
  'zero_cl': losses.zero_cl,
  'emp_ssl': lambda a, b: losses.emp_ssl((a, b)),
  'frossl': lambda a, b: losses.frossl((a, b)),
  'mmcr': lambda a, b: losses.mmcr(jnp.stack([a, b], 1)),
}
each_pair = pytest.mark.parametrize('name', PAIRS)


@each_pair
def test_the_order_of_batch_and_views_is_unknown(name, x64):
  loss, (z1, z2) = PAIRS[name], _pair()
  expected = loss(z1, z2)
  order = np.random.default_rng(1).permutation(len(z1))
  np.testing.assert_allclose(loss(z1[order], z2[order]), expected, rtol=1e-9)
  np.testing.assert_allclose(loss(z2, z1), expected, rtol=1e-9)
  assert abs(loss(z1[order], z2) - expected) > 1e-3


def _changes(name, change):
  """How much the loss changes, relative to itself, with both views."""
  z1, z2 = _pair()
  expected = PAIRS[name](z1, z2)
  return abs(PAIRS[name](change(z1), change(z2)) / expected - 1)


TURNS = {'vicreg': False, 'barlow_twins': False, 'vibcreg': False}
TURNS |= {'emp_ssl': True, 'mmcr': True, 'dbn': True, 'frossl': False}


@pytest.mark.parametrize('name', TURNS)
def test_rotation_matters_where_features_have_axes(name, x64):
  change = _changes(name, lambda z: z @ _turn())
  assert change < 1e-9 if TURNS[name] else change > 1e-4


SCALES = {'vicreg': False, 'vibcreg': False, 'emp_ssl': False, 'mmcr': False}
SCALES |= {'frossl': True}


@pytest.mark.parametrize('name', SCALES)
def test_scale_matters_where_nothing_normalizes(name, x64):
  change = _changes(name, lambda z: 2 * z)
  assert change < 1e-9 if SCALES[name] else change > 1e-4


def test_standardized_and_whitened_losses_forget_scale_and_shift(x64):
  z1, z2 = _pair()
  for loss in (
    lambda a, b: losses.barlow_twins(a, b, eps=0.0),
    lambda a, b: losses.wmse((a, b), eps=0.0),
    lambda a, b: losses.dbn(a, b, eps=0.0),
  ):
    expected = loss(z1, z2)
    np.testing.assert_allclose(loss(3 * z1 + 1, z2 - 5), expected, rtol=1e-9)


def _descend(loss, start, num_steps=400, rate=0.05):
  optimizer = optax.adam(rate)

  @jax.jit
  def step(carry, _):
    x, state = carry
    with jax.numpy_dtype_promotion('standard'):
      updates, state = optimizer.update(jax.grad(loss)(x), state)
      return (optax.apply_updates(x, updates), state), None

  x = jnp.asarray(start)
  carry, _ = jax.lax.scan(step, (x, optimizer.init(x)), None, num_steps)
  return np.asarray(carry[0])


def test_barlow_twins_reaches_identity_correlation(x64):
  start, _ = _pair(16, 3)
  z = _descend(
    lambda z: losses.barlow_twins(z, z, off_diagonal_weight=1.0), start
  )
  np.testing.assert_allclose(np.corrcoef(z.T), np.eye(3), atol=1e-3)


def test_vicreg_reaches_unit_variance_without_covariance(x64):
  start, _ = _pair(16, 3)
  z = _descend(lambda z: losses.vicreg(z, z), 0.1 * start)
  covariance = np.cov(z.T)
  np.testing.assert_allclose(covariance * (1 - np.eye(3)), 0, atol=1e-2)
  assert (np.diag(covariance) > 0.98).all()


def test_vicreg_finds_the_laplacian_eigenmaps_of_an_augmentation_graph(x64):
  # Three groups of four images; a ring links the groups.
  graph = 3 * np.kron(np.eye(3, dtype=int), 1 - np.eye(4, dtype=int))
  ring = np.array([0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11])
  graph[ring, np.roll(ring, 1)] += 1
  graph[np.roll(ring, 1), ring] += 1
  pairs = np.indices(graph.shape).reshape(2, -1)
  left, right = np.repeat(pairs, graph.ravel(), axis=1)

  def loss(z):  # pairs are drawn as often as the graph weighs them
    weights = {'invariance_weight': 1.0, 'covariance_weight': 25.0}
    return losses.vicreg(z[left], z[right], **weights)

  start = np.random.default_rng(0).normal(size=(12, 2)) / 2
  z = _descend(loss, start, num_steps=1000, rate=0.05)
  maps, _ = laplacian_eigenmaps(graph.astype(float), 2)
  spans = [np.linalg.qr(x - x.mean(0))[0] for x in (z, np.asarray(maps))]
  overlap = np.linalg.svd(spans[0].T @ spans[1], compute_uv=False)
  np.testing.assert_allclose(overlap, 1, atol=1e-3)


def test_vicreg_needs_its_variance_term(x64):
  z1, z2 = _pair()
  kwargs = {'variance_weight': 0.0}
  assert losses.vicreg(0 * z1, 0 * z2, **kwargs) == 0
  assert losses.vicreg(z1, z2, **kwargs) > 0
  assert losses.vicreg(0 * z1, 0 * z2) > 20


def test_koleo_knows_directions_alone(x64):
  x, _ = _pair()
  loss = losses.koleo(x)
  np.testing.assert_allclose(losses.koleo(7 * x), loss, rtol=1e-6)
  np.testing.assert_allclose(losses.koleo(x @ _turn()), loss, rtol=1e-6)
  assert losses.koleo(x + 9) > loss + 0.5  # crowded around one direction


def test_koleo_spreads_points_over_the_circle(x64):
  start, _ = _pair(5, 2)
  x = _descend(losses.koleo, start, num_steps=1500, rate=0.01)
  angles = np.sort(np.arctan2(x[:, 1], x[:, 0]))
  gaps = np.diff([*angles, angles[0] + 2 * np.pi])
  np.testing.assert_allclose(gaps, 2 * np.pi / 5, atol=0.1)


def test_coding_rate_is_the_same_from_either_gram_matrix(x64):
  x, _ = _pair(12, 5)
  eye, factor = np.eye(5), 5 / (12 * 0.2)
  expected = np.linalg.slogdet(eye + factor * x.T @ x)[1] / 2
  np.testing.assert_allclose(losses.coding_rate(x), expected, rtol=1e-12)
  wide = np.linalg.slogdet(np.eye(12) + 12 / (5 * 0.2) * x @ x.T)[1] / 2
  np.testing.assert_allclose(losses.coding_rate(x.T), wide, rtol=1e-12)


def test_sigreg_falls_for_a_gaussian(x64):
  rng = np.random.default_rng(0)
  directions = rng.normal(size=(3, 32))
  directions /= np.linalg.norm(directions, axis=0)
  normal = rng.normal(size=(400, 3))
  gaussian = losses.sigreg(normal, directions)
  assert gaussian < losses.sigreg(np.sign(normal), directions) / 5
  assert gaussian < losses.sigreg(0.3 * normal, directions) / 5
  assert gaussian < losses.sigreg(normal + 1, directions) / 5


def test_random_features_estimate_the_multiquadric_kernel():
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(2, 20, 4)) / 2
  draw = multiquadric.draw(rng, 20_000, 4)
  kernel = multiquadric.transform(x, draw) @ multiquadric.transform(y, draw).T
  gaps = ((x[:, None] - y[None]) ** 2).sum(-1)
  np.testing.assert_allclose(kernel, 1 / np.sqrt(1 + gaps), atol=0.05)


def test_ssl_hsic_forgets_the_order_of_views_and_batch(x64):
  views = (*_pair(), _pair(seed=3)[1])
  draws = [multiquadric.draw(np.random.default_rng(s), 16, 4) for s in (0, 1)]
  loss = losses.ssl_hsic(views, *draws)
  order = np.random.default_rng(1).permutation(24)
  mixed = tuple(view[order] for view in views[::-1])
  np.testing.assert_allclose(losses.ssl_hsic(mixed, *draws), loss, rtol=1e-9)
  broken = (views[0][order], *views[1:])
  assert abs(losses.ssl_hsic(broken, *draws) - loss) > 1e-3


def test_tico_keeps_its_covariance(x64):
  z1, z2 = _pair()
  unit = z1 / np.linalg.norm(z1, axis=1, keepdims=True)
  _, covariance = losses.tico(z1, z2, np.eye(4), momentum=0.7)
  expected = 0.7 * np.eye(4) + 0.3 * unit.T @ unit / 24
  np.testing.assert_allclose(covariance, expected, rtol=1e-9)


def test_refuses_a_batch_that_does_not_divide():
  z1, z2 = _pair()
  with pytest.raises(ValueError, match='group_size is 7'):
    losses.wmse((z1, z2), group_size=7)


@pytest.mark.parametrize('loss', [losses.frossl, losses.ssl_hsic])
def test_refuses_a_single_view(loss):
  z1, _ = _pair()
  extra = (None, None) if loss is losses.ssl_hsic else ()
  with pytest.raises(ValueError, match='at least 2'):
    loss((z1,), *extra)
