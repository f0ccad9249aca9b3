"""What the contrastive losses must and must not change under."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.contrastive_cases import unit, views
from tests.losses.quick import losses


def _two_views(seed=0):
  z = views(np.random.default_rng(seed))
  return jnp.asarray(z['z1']), jnp.asarray(z['z2'])


_COSINE = {
  'align_uniform': losses.align_uniform,
  'debiased': losses.debiased,
  'decoupled': losses.decoupled,
  'decoupled_weighted': losses.decoupled_weighted,
  'distribution_logsumexp': losses.distribution_logsumexp,
  'hcl': losses.hcl,
  'macl': losses.macl,
  'ntxent': losses.ntxent,
  'robust_info_nce': losses.robust_info_nce,
}
each_cosine = pytest.mark.parametrize('name', _COSINE)


@each_cosine
def test_the_order_of_the_batch_does_not_matter(name):
  z1, z2 = _two_views()
  order = np.random.default_rng(1).permutation(len(z1))
  loss = _COSINE[name]
  np.testing.assert_allclose(
    loss(z1[order], z2[order]), loss(z1, z2), rtol=1e-5
  )
  moved = loss(z1[order], z2)  # which row is whose positive does matter
  assert abs(float(moved) - float(loss(z1, z2))) > 1e-3


@each_cosine
def test_the_two_views_are_equal_partners(name):
  z1, z2 = _two_views()
  loss = _COSINE[name]
  np.testing.assert_allclose(loss(z1, z2), loss(z2, z1), rtol=1e-5)


@each_cosine
def test_neither_scale_nor_rotation_of_embeddings_matters(name):
  z1, z2 = _two_views()
  loss = _COSINE[name]
  rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))
  rotation = jnp.asarray(rotation, jnp.float32)
  scales = jnp.linspace(0.5, 3, len(z1))[:, None]
  turned = loss(z1 @ rotation * scales, z2 @ rotation)
  np.testing.assert_allclose(turned, loss(z1, z2), rtol=1e-4)


def test_scale_matters_where_rows_are_not_normalized():
  z1, z2 = _two_views()
  plain = losses.ntxent(z1, z2, normalize=False)
  assert abs(float(losses.ntxent(2 * z1, z2, normalize=False) - plain)) > 1e-2
  assert abs(float(losses.spectral(z1 / 9, z2) - losses.spectral(z1, z2))) > 0.1


def test_one_direction_is_not_its_reverse():
  z1, z2 = _two_views()
  for loss in (losses.info_nce, losses.mocov3, losses.relic):
    assert abs(float(loss(z1, z2) - loss(z2, z1))) > 1e-3
  both = losses.info_nce(z1, z2, symmetric=True)
  mean = (losses.info_nce(z1, z2) + losses.info_nce(z2, z1)) / 2
  np.testing.assert_allclose(both, mean, rtol=1e-6)


def test_a_loss_near_zero_keeps_its_relative_accuracy():
  z = jnp.eye(8)
  loss = losses.ntxent(z, z, temperature=0.03)
  np.testing.assert_allclose(loss, 14 * np.exp(-1 / 0.03), rtol=1e-4)
  loss = losses.moco(z[:1], z[:1], z[1:], temperature=0.03)
  np.testing.assert_allclose(loss, 7 * np.exp(-1 / 0.03), rtol=1e-4)


def test_limits_recover_the_plain_losses():
  z1, z2 = _two_views()
  plain = losses.ntxent(z1, z2, temperature=0.5)
  same = losses.debiased(z1, z2, temperature=0.5, class_prior=0.0)
  np.testing.assert_allclose(same, plain, rtol=1e-6)
  same = losses.macl(z1, z2, temperature=0.5, alpha=0.0)
  assert float(same) > float(plain)  # the weight 1 / (1 − P) exceeds one
  same = losses.decoupled_weighted(z1, z2, sigma=1e6)
  np.testing.assert_allclose(same, losses.decoupled(z1, z2), rtol=1e-4)
  first = losses.distribution_logsumexp(z1, z2, temperature=0.5)
  np.testing.assert_allclose(first, plain / 2, rtol=1e-5)


def test_rince_falls_to_infonce_as_q_vanishes(x64):
  z1, z2 = (z.astype(jnp.float64) for z in _two_views())
  q, lam = 1e-5, 0.3
  loss = losses.robust_info_nce(z1, z2, q=q, lam=lam)
  plain = losses.ntxent(z1, z2) + np.log(lam)
  np.testing.assert_allclose(loss, plain, rtol=1e-3)


def test_eqco_makes_few_negatives_act_like_many():
  q = jnp.eye(4)[:1]
  few, many = jnp.eye(4)[1:2], jnp.tile(jnp.eye(4)[1:2], (12, 1))
  loss = losses.eqco(q, q, few, temperature=0.5, alpha=12)
  np.testing.assert_allclose(
    loss, losses.moco(q, q, many, temperature=0.5), rtol=1e-6
  )


def test_in_batch_and_external_negatives_are_added():
  z1, z2 = _two_views()
  with pytest.raises(ValueError, match='negatives'):
    losses.info_nce(z1, z2, in_batch=False)
  with pytest.raises(ValueError, match='symmetric'):
    losses.info_nce(z1, z2, z1, symmetric=True)
  more = losses.info_nce(z1, z2, z1)
  assert float(more) > float(losses.info_nce(z1, z2))


def _descend(loss, x, num_steps, rate):
  @jax.jit
  def step(x):
    x = x - rate * jax.grad(loss)(x)
    return x / jnp.linalg.norm(x, axis=1, keepdims=True)

  for _ in range(num_steps):
    x = step(x)
  return x


def test_uniformity_spreads_points_evenly_on_the_circle():
  angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 6)
  x = jnp.asarray(np.stack([np.cos(angles), np.sin(angles)], 1), jnp.float32)
  x = np.asarray(_descend(losses.uniformity, x, 400, 0.1))
  gaps = np.diff(np.sort(np.arctan2(x[:, 1], x[:, 0])))
  np.testing.assert_allclose(gaps, np.pi / 3, atol=0.02)


def test_uniformity_spreads_four_points_to_a_tetrahedron():
  x = unit(np.random.default_rng(0).normal(size=(4, 3))).astype(np.float32)
  x = np.asarray(_descend(losses.uniformity, jnp.asarray(x), 400, 0.1))
  cosines = np.where(np.eye(4), 1, -1 / 3)
  np.testing.assert_allclose(x @ x.T, cosines, atol=1e-3)


def test_spectral_finds_the_top_eigenspace_of_an_augmentation_graph(x64):
  # Three clusters of two images; pairs are drawn as often as w says.
  w = np.array([[6, 3], [3, 6]])
  graph = np.kron(np.eye(3, dtype=int), w) + 1
  rows, columns = np.indices(graph.shape)
  left = np.repeat(rows.ravel(), graph.ravel())
  right = np.repeat(columns.ravel(), graph.ravel())
  degree = graph.sum(1) / graph.sum()
  normalized = graph / graph.sum() / np.sqrt(np.outer(degree, degree))
  _, vectors = np.linalg.eigh(normalized)
  top = vectors[:, -3:]
  mu = 1e6  # a ball so wide that no row leaves it

  @jax.jit
  def step(f):
    def loss(f):
      return mu * losses.spectral(f[left], f[right], mu=mu)

    return f - 0.1 * jax.grad(loss)(f)

  f = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)) / 3)
  for _ in range(600):
    f = step(f)
  found, _ = np.linalg.qr(np.sqrt(degree)[:, None] * np.asarray(f))
  overlap = np.linalg.svd(found.T @ top, compute_uv=False)
  np.testing.assert_allclose(overlap, 1, atol=1e-3)


def test_relational_focus_lowers_the_weight_of_easy_pairs():
  easy, hard = jnp.array([4.0]), jnp.array([-4.0])
  label = jnp.array([1])

  def ratio(focus):
    kept = losses.relational_reasoning(easy, label, focus=focus)
    return float(kept / losses.relational_reasoning(hard, label, focus=focus))

  assert ratio(2.0) < 0.01 * ratio(0.0)


def test_unknown_options_are_named():
  z1, z2 = _two_views()
  with pytest.raises(ValueError, match='kernel'):
    losses.mmcl(z1, z2, kernel='poly')
  with pytest.raises(ValueError, match='num_dims'):
    losses.directclr(z1, z2, num_dims=7)
  with pytest.raises(ValueError, match='form'):
    losses.ranking_info_nce(z1, z2, jnp.zeros((8, 8), int), form='both')
