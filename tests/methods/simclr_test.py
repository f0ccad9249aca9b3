"""SimCLR: every other view of the batch is a negative, or all collapses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.methods import simclr as simclr_module
from sslax.nets.multi_crop import interleave
from sslax.ops.distance import normalize
from tests.methods import tiny, toy


def _method(**kwargs):
  arguments = {'hidden_size': 16, 'projection_size': 8, **kwargs}
  return simclr_module.simclr(tiny.encoder(num_groups=1), **arguments)


def _slow_loss(z1, z2, temperature):
  """Equation 1, averaged over all 2N views, in loops."""
  z = [np.asarray(row, np.float64) for row in (*z1, *z2)]
  total, num = 0.0, len(z1)
  for i in range(2 * num):
    scores = [float(z[i] @ other) / temperature for other in z]
    others = [s for k, s in enumerate(scores) if k != i]
    total -= scores[(i + num) % (2 * num)] - np.log(np.sum(np.exp(others)))
  return total / (2 * num)


def test_the_loss_is_equation_1_over_both_views_normalized_together():
  method = _method(temperature=0.3)
  batch = {'views': tiny.views()}
  params, state = method.init(jax.random.key(0), batch)
  value, _ = tiny.call(method, params, state, batch)
  projector = simclr_module.mlp(
    hidden=(16,), features=8, hidden_bias=False, final_bias=False,
    final_norm=True,
  )  # fmt: skip
  together, _ = interleave(batch['views'])
  for part, net in {
    'encoder': tiny.encoder(num_groups=1), 'projector': projector
  }.items():  # fmt: skip
    together, _ = net.apply(
      params[part], state.stats[part], together, train=True
    )
  z = normalize(together)
  np.testing.assert_allclose(value, _slow_loss(z[::2], z[1::2], 0.3), rtol=1e-5)


def _without_negatives(z1, z2, *, temperature):
  """What is left of the loss: the two views of an image come together."""
  return -jnp.mean(jnp.sum(normalize(z1) * normalize(z2), 1)) / temperature


@pytest.mark.parametrize('negatives', [True, False])
def test_without_negatives_all_embeddings_become_one(negatives, monkeypatch):
  if not negatives:
    monkeypatch.setattr(simclr_module.losses, 'ntxent', _without_negatives)
  # A normalized output could not become one point.
  method = _method(final_norm=False)
  metrics = toy.trained(method, num_steps=150, learning_rate=1e-2)
  sick = toy.said(method, metrics)
  if negatives:
    assert sick is None
    assert metrics['embedding_std'][-1] > 0.8
  else:
    assert 'the negatives' in sick.sentence
