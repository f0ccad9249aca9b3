"""What clustering and prototype losses promise beyond the contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.losses.quick import losses


def _logits(seed=0, batch=20, classes=4):
  rng = np.random.default_rng(seed)
  first = 2 * rng.normal(size=(batch, classes))
  return first, first + rng.normal(size=(batch, classes))


def _probs(seed=0):
  return tuple(np.asarray(jax.nn.softmax(x, -1)) for x in _logits(seed))


PAIRS = {
  'iic': (losses.iic, _probs, True),
  'cc_cluster': (losses.cc_cluster, _probs, True),
  'pica': (losses.pica, _probs, False),
  'gcc_assignment': (losses.gcc_assignment, _probs, False),
  'scan': (losses.scan, _logits, False),
  'self_classifier': (
    lambda a, b: losses.self_classifier((a, b)),
    _logits,
    True,
  ),
}


@pytest.mark.parametrize('name', PAIRS)
def test_neither_order_nor_the_names_of_classes_matter(name, x64):
  loss, inputs, symmetric = PAIRS[name]
  a, b = inputs()
  expected = loss(a, b)
  rows = np.random.default_rng(1).permutation(20)
  classes = np.array([2, 0, 3, 1])
  np.testing.assert_allclose(loss(a[rows], b[rows]), expected, rtol=1e-9)
  np.testing.assert_allclose(
    loss(a[:, classes], b[:, classes]), expected, rtol=1e-9
  )
  assert abs(loss(a[rows], b) - expected) > 1e-3
  assert abs(loss(a[:, classes], b) - expected) > 1e-3
  same = abs(loss(b, a) - expected) < 1e-9
  assert same == symmetric


ONE_HOT = {
  'iic': (losses.iic, -np.log(4)),
  'scan': (
    lambda p, q: losses.scan(1e3 * p, 1e3 * q, entropy_weight=1.0),
    -np.log(4),
  ),
  'self_classifier': (
    lambda p, q: losses.self_classifier((1e3 * p, 1e3 * q)),
    0.0,
  ),
}


@pytest.mark.parametrize('name', ONE_HOT)
def test_the_optimum_is_a_balanced_certain_partition(name, x64):
  loss, optimum = ONE_HOT[name]
  balanced = np.eye(4)[np.arange(20) % 4]
  collapsed = np.eye(4)[np.zeros(20, int)]
  uniform = np.full((20, 4), 0.25)
  np.testing.assert_allclose(loss(balanced, balanced), optimum, atol=1e-6)
  for worse in (collapsed, uniform):
    assert loss(worse, worse) > optimum + 0.5


def test_scan_collapses_without_its_entropy(x64):
  collapsed = 1e3 * np.eye(4)[np.zeros(20, int)]
  assert losses.scan(collapsed, collapsed, entropy_weight=0.0) < 1e-9


def test_balance_weighs_a_rare_confident_class_up(x64):
  weak = 9 * np.eye(3)[np.array([0] * 9 + [1])]
  strong = np.zeros((10, 3))
  strong[9] = [5.0, 0.0, 0.0]  # only the rare example is wrong
  plain = losses.scan_selflabel(weak, strong, balanced=False)
  balanced = losses.scan_selflabel(weak, strong, balanced=True)
  assert balanced > 2 * plain


def test_unsure_examples_do_not_label_themselves(x64):
  weak, strong = _logits()
  gradient = jax.grad(lambda s: losses.scan_selflabel(weak, s, threshold=0.9))(
    jnp.asarray(strong)
  )
  sure = np.asarray(jax.nn.softmax(weak, -1)).max(1) > 0.9
  assert sure.any()
  assert not sure.all()
  np.testing.assert_array_equal(np.abs(gradient).sum(1) > 0, sure)
  nobody = losses.scan_selflabel(0 * weak, strong, threshold=0.9)
  assert nobody == 0


def test_dec_turns_and_moves_with_its_centers(x64):
  rng = np.random.default_rng(0)
  x, centers = rng.normal(size=(20, 3)), rng.normal(size=(4, 3))
  turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
  loss = losses.dec(x, centers)
  moved = losses.dec(x @ turn + 5, centers @ turn + 5)
  np.testing.assert_allclose(moved, loss, rtol=1e-9)
  assert abs(losses.dec(2 * x, 2 * centers) - loss) > 1e-4
  # A student-t kernel of many degrees is a Gaussian.
  q = losses.student_t_assignment(x, centers, degrees=1e6)
  squared = ((x[:, None] - centers[None]) ** 2).sum(-1)
  expected = jax.nn.softmax(-squared / 2, -1)
  np.testing.assert_allclose(q, expected, rtol=1e-4)


def _cosines(count, batch=8):
  rng = np.random.default_rng(0)
  return tuple(np.tanh(rng.normal(size=(batch, 4))) for _ in range(count))


def test_swav_does_not_know_the_order_of_views_batch_or_prototypes(x64):
  a, b, local = _cosines(3)
  loss = losses.swav((a, b, local))
  np.testing.assert_allclose(losses.swav((b, a, local)), loss, rtol=1e-9)
  rows, columns = np.arange(8)[::-1], np.array([2, 0, 3, 1])
  mixed = tuple(view[rows][:, columns] for view in (a, b, local))
  np.testing.assert_allclose(losses.swav(mixed), loss, rtol=1e-9)
  # A local view gets no codes.
  assert abs(losses.swav((a, local, b)) - loss) > 1e-4


def test_a_queue_changes_the_codes(x64):
  a, b, q1, q2 = _cosines(4)
  loss = losses.swav((a, b))
  assert abs(losses.swav((a, b), (q1, q2)) - loss) > 1e-4
  copies = losses.swav((a, b), (a, b))
  np.testing.assert_allclose(copies, loss, rtol=1e-9)


def test_swav_ties_at_its_balance_when_all_views_collapse(x64):
  collapsed = np.tile(np.eye(4)[0], (8, 1))
  # The codes stay uniform over prototypes, so certainty is punished.
  loss = losses.swav((collapsed, collapsed))
  certain = losses.swapped_prediction(
    (collapsed, collapsed), (collapsed, collapsed)
  )
  assert certain < 1e-3
  assert loss > 5


def test_unassigned_rows_and_clusterings_average(x64):
  rng = np.random.default_rng(0)
  scores = [rng.normal(size=(2, 8, k)) for k in (3, 5)]
  labels = [rng.integers(0, k, 8) for k in (3, 5)]
  both = losses.deepcluster_v2(scores, labels)
  each = [
    losses.deepcluster_v2([s], [y]) for s, y in zip(scores, labels, strict=True)
  ]
  np.testing.assert_allclose(both, sum(each) / 2, rtol=1e-12)
  some = labels[0].copy()
  some[3:] = -1
  alone = losses.deepcluster_v2([scores[0][:, :3]], [labels[0][:3]])
  np.testing.assert_allclose(
    losses.deepcluster_v2([scores[0]], [some]), alone, rtol=1e-12
  )


def _prototypes():
  rng = np.random.default_rng(0)
  centroids = rng.normal(size=(5, 6))
  centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
  labels = rng.integers(0, 4, 8)
  return rng.normal(size=(8, 6)), centroids, rng.uniform(0.2, 0.5, 5), labels


def test_proto_nce_turns_with_its_prototypes(x64):
  q, centroids, densities, labels = _prototypes()
  loss = losses.proto_nce(q, centroids, densities, labels)
  turn = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
  turned = losses.proto_nce(7 * q @ turn, centroids @ turn, densities, labels)
  np.testing.assert_allclose(turned, loss, rtol=1e-9)
  order = np.array([4, 2, 0, 1, 3])
  renamed = losses.proto_nce(
    q, centroids[order], densities[order], np.argsort(order)[labels]
  )
  np.testing.assert_allclose(renamed, loss, rtol=1e-9)


def test_proto_nce_of_one_example_is_a_softmax(x64):
  q, centroids, densities, labels = _prototypes()
  scores = q[0] / np.linalg.norm(q[0]) @ centroids.T / densities
  expected = -jax.nn.log_softmax(jnp.asarray(scores))[labels[0]]
  actual = losses.proto_nce(q[:1], centroids, densities, labels[:1])
  np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_odc_weighs_rare_clusters_up(x64):
  logits = np.array([[5.0, 0.0], [5.0, 0.0]])
  labels = np.array([0, 1])  # the second is wrong
  rare = losses.odc(logits, labels, np.array([99.0, 1.0]))
  common = losses.odc(logits, labels, np.array([1.0, 99.0]))
  assert rare > 5 * common
