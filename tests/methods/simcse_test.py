"""SimCSE: dropout makes the two passes of a sentence differ."""

import jax
import numpy as np

from sslax.methods.simcse import simcse
from sslax.nets import text_transformer
from tests.methods import tiny

WITHOUT_GRADIENT = ()


def _made(dropout):
  encoder = text_transformer(
    vocab_size=30, max_length=6, width=16, depth=1, num_heads=2,
    dropout=dropout, pool='mean',
  )  # fmt: skip
  method = simcse(encoder, projection_size=8, temperature=0.05)
  tokens = np.random.default_rng(0).integers(1, 30, (8, 6)).astype(np.int32)
  batch = {'views': (tokens, tokens)}
  return method, *method.init(jax.random.key(0), batch), batch


def test_without_dropout_there_is_nothing_to_learn_from():
  """Both passes are equal: the loss is that of a row against itself."""
  method, params, state, batch = _made(dropout=0.0)
  first, _ = tiny.call(method, params, state, batch, seed=0)
  second, (_, metrics) = tiny.call(method, params, state, batch, seed=1)
  assert float(first) == float(second)
  assert float(metrics['accuracy']) == 1


def test_dropout_differs_between_passes_and_steps():
  method, params, state, batch = _made(dropout=0.2)
  losses = {
    seed: float(tiny.call(method, params, state, batch, seed=seed)[0])
    for seed in (0, 1)
  }
  assert losses[0] != losses[1]
  plain, *_ = _made(dropout=0.0)
  assert losses[0] > float(tiny.call(plain, params, state, batch)[0])


def test_features_come_before_the_projector():
  method, params, state, batch = _made(dropout=0.2)
  features = method.features(params, state, batch['views'][0])
  assert features.shape == (8, 16)
  blank = jax.tree.map(lambda x: 0 * x, params['projector'])
  changed = {**params, 'projector': blank}
  again = method.features(changed, state, batch['views'][0])
  np.testing.assert_array_equal(features, again)
