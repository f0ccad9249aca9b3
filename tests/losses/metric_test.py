"""What the metric-learning losses must and must not change under."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.ops.selectors import target_neighbors
from tests.losses.metric_cases import LABELS, labelled
from tests.losses.quick import losses

_EUCLIDEAN = {
  'contrastive_margin_in_batch': losses.contrastive_margin_in_batch,
  'generalized_lifted': losses.generalized_lifted,
  'lifted_structure': losses.lifted_structure,
  'nca': losses.nca,
  'soft_nearest_neighbor': losses.soft_nearest_neighbor,
  'triplet_in_batch': losses.triplet_in_batch,
}
_COSINE = {
  'circle': lambda x, y: losses.circle(x, y, scale=8.0),
  'multi_similarity': losses.multi_similarity,
}
_ALL = {**_EUCLIDEAN, **_COSINE}


def _batch():
  return jnp.asarray(labelled(np.random.default_rng(0))['embeddings'])


def _rotation():
  q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))
  return jnp.asarray(q, jnp.float32)


@pytest.mark.parametrize('name', _ALL)
def test_order_names_of_classes_and_rotation_do_not_matter(name):
  loss, x, y = _ALL[name], _batch(), jnp.asarray(LABELS)
  expected = loss(x, y)
  order = np.random.default_rng(2).permutation(len(x))
  np.testing.assert_allclose(loss(x[order], y[order]), expected, rtol=1e-4)
  np.testing.assert_allclose(loss(x, 9 - y), expected, rtol=1e-6)
  np.testing.assert_allclose(loss(x @ _rotation(), y), expected, rtol=1e-4)
  assert abs(float(loss(x, y[::-1]) - expected)) > 1e-3


@pytest.mark.parametrize('name', _EUCLIDEAN)
def test_a_shift_of_all_embeddings_does_not_matter_but_scale_does(name):
  loss, x, y = _EUCLIDEAN[name], _batch(), jnp.asarray(LABELS)
  expected = loss(x, y)
  np.testing.assert_allclose(loss(x + 1, y), expected, rtol=1e-4)
  assert abs(float(loss(x / 4, y) - expected)) > 1e-3


@pytest.mark.parametrize('name', _COSINE)
def test_scale_does_not_matter_but_a_shift_does(name):
  loss, x, y = _COSINE[name], _batch(), jnp.asarray(LABELS)
  scales = jnp.linspace(0.5, 3, len(x))[:, None]
  np.testing.assert_allclose(loss(x * scales, y), loss(x, y), rtol=1e-4)
  assert abs(float(loss(x + 1, y) - loss(x, y))) > 1e-3


def test_mining_orders_the_triplet_losses():
  x, y = _batch(), jnp.asarray(LABELS)
  by = {
    m: float(losses.triplet_in_batch(x, y, margin=0.5, mining=m))
    for m in ('all', 'hard', 'semi_hard')
  }
  assert by['hard'] > by['all'] > by['semi_hard']
  with pytest.raises(ValueError, match='mining'):
    losses.triplet_in_batch(x, y, mining='soft')


def test_mahalanobis_is_the_distance_under_a(x64):
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(2, 4)), rng.normal(size=(3, 4))
  transform = rng.normal(size=(2, 4))
  a = transform.T @ transform
  actual = losses.mahalanobis(x, y, transform)
  for i in range(2):
    for j in range(3):
      gap = x[i] - y[j]
      np.testing.assert_allclose(actual[i, j], np.sqrt(gap @ a @ gap))


def test_pooling_leaves_padding_out():
  scores = jnp.array([[1.0, 9.0, 2.0], [5.0, 5.0, 5.0]])
  mask = jnp.array([[True, False, True], [False, False, False]])
  for how, expected in [('max', 2.0), ('mean', 1.5)]:
    pooled = losses.pool_instances(scores, mask, how=how)
    assert pooled.tolist() == [expected, 0.0]
  smooth = losses.pool_instances(scores, mask, how='logsumexp')
  np.testing.assert_allclose(smooth[0], np.log((np.e + np.e**2) / 2), rtol=1e-6)


def test_lmnn_learns_a_map_that_finds_the_class(x64):
  # The class shows in one coordinate, the other is louder noise.
  rng = np.random.default_rng(0)
  y = np.arange(24) % 2
  x = np.stack([y + 0.2 * rng.normal(size=24), 5 * rng.normal(size=24)], 1)
  near = target_neighbors(x, y, 2)

  def loss(transform):
    return losses.lmnn(x @ transform.T, y, near, push_weight=1.0)

  step = jax.jit(lambda a: a - 0.005 * jax.grad(loss)(a))
  transform = jnp.eye(2)
  for _ in range(300):
    transform = step(transform)

  def accuracy(z):
    d = np.linalg.norm(z[:, None] - z[None], axis=-1) + 1e9 * np.eye(24)
    return np.mean(y[d.argmin(1)] == y)

  assert accuracy(x) < 0.9
  assert accuracy(x @ np.asarray(transform).T) == 1
