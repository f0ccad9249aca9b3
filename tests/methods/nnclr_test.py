"""NNCLR: positives come from the support set, which follows the batches."""

import jax
import jax.numpy as jnp
import numpy as np

from sslax.methods import nnclr as nnclr_module
from sslax.ops.distance import normalize
from tests.methods import tiny


def _method(**kwargs):
  arguments = {
    'hidden_size': 16,
    'projection_size': 8,
    'prediction_hidden_size': 16,
    'queue_size': 12,
  }
  return nnclr_module.nnclr(tiny.encoder(), **{**arguments, **kwargs})


def _start(method):
  batch = {'views': tiny.views()}
  return (*method.init(jax.random.key(0), batch), batch)


def _slow_loss(neighbors, predictions, temperature):
  """One direction, in loops."""
  total = 0.0
  for i, neighbor in enumerate(neighbors):
    scores = [float(neighbor @ p) / temperature for p in predictions]
    total -= scores[i] - np.log(np.sum(np.exp(scores)))
  return total / len(neighbors)


def _embedded(params, state, views):
  """Normalized z and p of both views, which share batch statistics."""
  rows = jnp.concatenate(views)
  biased = {'features': 8, 'hidden_bias': False}
  nets = {
    'encoder': tiny.encoder(),
    'projector': nnclr_module.mlp(
      hidden=(16, 16), final_bias=False, final_norm=True, **biased
    ),
    'predictor': nnclr_module.mlp(hidden=(16,), **biased),
  }
  outputs = []
  for part, net in nets.items():
    rows, _ = net.apply(params[part], state.stats[part], rows, train=True)
    outputs.append(np.asarray(normalize(rows), np.float64))
  _, z, p = outputs
  return np.split(z, 2), np.split(p, 2)


def test_the_positive_is_the_nearest_row_of_the_support_set():
  method = _method(temperature=0.3)
  params, state, batch = _start(method)
  value, _ = tiny.call(method, params, state, batch)
  z, p = _embedded(params, state, batch['views'])
  support = np.asarray(state.queue.rows, np.float64)
  near = [support[(rows @ support.T).argmax(1)] for rows in z]
  directions = [_slow_loss(near[i], p[1 - i], 0.3) for i in (0, 1)]
  np.testing.assert_allclose(value, np.mean(directions), rtol=1e-5)


def test_the_first_view_enters_the_support_set_after_it_was_searched():
  method = _method()
  params, state, batch = _start(method)
  _, (once, first) = tiny.call(method, params, state, batch)
  z, _ = _embedded(params, state, batch['views'])
  np.testing.assert_allclose(once.queue.rows[:8], z[0], atol=1e-5)
  np.testing.assert_array_equal(once.queue.rows[8:], state.queue.rows[8:])
  assert first['neighbor_similarity'] < 0.99  # it did not find itself
  _, (twice, second) = tiny.call(method, params, once, batch)
  assert second['neighbor_similarity'] > 0.999  # the same batch again
  assert twice.queue.cursor == 4  # around the end of 12 rows


def test_no_gradient_flows_through_the_neighbors():
  method = _method()
  params, state, batch = _start(method)

  def loss(rows):
    queue = state.queue._replace(rows=rows)
    return method.loss(
      params, state._replace(queue=queue), batch, rng=None, step=0
    )[0]

  assert not np.any(jax.jit(jax.grad(loss))(state.queue.rows))
