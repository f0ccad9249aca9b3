"""What mined positives, false negatives and graphs must do."""

import jax
import jax.numpy as jnp
import numpy as np

from sslax.ops import graphs, pseudo_labels
from tests.losses.quick import losses


def _units(rng, *shape):
  x = rng.normal(size=shape)
  return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_interclr_without_a_margin_is_info_nce(x64):
  rng = np.random.default_rng(0)
  q, p, n = _units(rng, 4, 5), _units(rng, 4, 5), _units(rng, 7, 5)
  plain = losses.info_nce(q, p, n, temperature=0.2, in_batch=False)
  np.testing.assert_allclose(losses.interclr(q, p, n, margin=0.0), plain)
  assert losses.interclr(q, p, n, margin=-0.5) < plain


def test_interclr_draws_from_a_labelled_bank():
  rng = np.random.default_rng(0)
  bank = jnp.asarray(_units(rng, 12, 4), jnp.float32)
  bank_labels, own = jnp.arange(12) % 3, jnp.array([0, 2])
  queries = bank[own]
  rows = pseudo_labels.semi_hard_rows(
    jax.random.key(0),
    queries @ bank.T,
    own[:, None] != bank_labels[None, :],
    num=3,
    pool=5,
  )
  positives = bank[pseudo_labels.members(jax.random.key(1), own, bank_labels)]
  loss = losses.interclr(queries, positives, bank[rows])
  assert bool(jnp.all(bank_labels[rows] != own[:, None]))
  assert np.isfinite(loss)


def test_only_the_robust_stage_pulls_close_negatives_together(x64):
  def slope(gap, robust):
    def loss(d):
      return losses.mvcln(
        d[None, None], np.zeros((1, 1)), np.array([0]), margin=3, robust=robust
      )

    return float(jax.grad(loss)(jnp.asarray(gap)))

  assert slope(0.5, True) > 0 > slope(0.5, False)
  assert slope(2.0, True) < 0
  assert slope(3.5, True) == 0


def test_a_right_graph_is_better_than_a_wrong_one(x64):
  # Two classes on a circle, neighbors of the own class or of the other.
  rng = np.random.default_rng(0)
  angles = np.array([0.0, 0.2, 0.4, 2.0, 2.2, 2.4])
  angles = angles + 0.05 * rng.normal(size=6)
  z = np.stack([np.cos(angles), np.sin(angles)], 1)
  near = graphs.nearest_rows(z, 2)
  weights = graphs.laplacian_weights(near)
  right = losses.gcc_representation(z, z, z[near], weights)
  wrong = losses.gcc_representation(z, z, z[(near + 3) % 6], weights)
  assert right < wrong
  # Without neighbors the other view alone is positive.
  alone = losses.gcc_representation(z, z, z[near], 0 * weights)
  assert right < alone


def test_dccm_mines_what_the_network_is_sure_of(x64):
  # Descent on free logits: who begins alike ends in one class, others apart.
  logits = np.array([[3.0, 0, 0], [2, 0, 0], [0, 3, 0], [0, 2, 0.0]])
  fixed = jax.nn.softmax(jnp.asarray(logits))
  edges = pseudo_labels.graph(fixed, threshold=0.9)
  labels, sure = pseudo_labels.labels(fixed, threshold=0.7)
  assert (
    edges.tolist() == np.kron(np.eye(2), np.ones((2, 2))).astype(bool).tolist()
  )

  def loss(x):
    probs = jax.nn.softmax(x)
    return losses.dccm_graph(probs, edges) + losses.dccm_label(
      probs, labels, sure
    )

  step = jax.jit(lambda x: x - 5 * jax.grad(loss)(x))
  x = jnp.asarray(logits)
  for _ in range(50):
    x = step(x)
  assert jnp.argmax(x, 1).tolist() == [0, 0, 1, 1]
  assert float(jnp.min(jnp.max(jax.nn.softmax(x), 1))) > 0.95
  assert loss(x) < 0.2 * loss(jnp.asarray(logits))
