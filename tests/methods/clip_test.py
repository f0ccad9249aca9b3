"""CLIP: two towers, a learned scale that is kept in bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.methods.clip import clip
from tests.methods import tiny

WITHOUT_GRADIENT = ()
_PROJECTION = 6


@pytest.fixture(scope='module')
def made():
  method = clip(
    tiny.encoder(),
    vocab_size=20,
    max_length=6,
    text_width=8,
    text_depth=1,
    text_num_heads=2,
    projection_size=_PROJECTION,
    temperature=0.1,
  )
  text = np.random.default_rng(0).integers(1, 20, (8, 6)).astype(np.int32)
  batch = {'views': tiny.views()[:1], 'text': text}
  return method, *method.init(jax.random.key(0), batch), batch


def test_the_loss_is_the_mean_of_two_classifications(made):
  method, params, state, batch = made
  value, (_, metrics) = tiny.call(method, params, state, batch)
  image, text = (
    np.asarray(method.towers[name](params, state, inputs), np.float64)
    for name, inputs in (('image', batch['views'][0]), ('text', batch['text']))
  )
  logits = 10 * image @ text.T
  own = np.diagonal(logits)
  rows, columns = (np.log(np.exp(logits).sum(axis)) for axis in (1, 0))
  np.testing.assert_allclose(
    value, ((rows - own).mean() + (columns - own).mean()) / 2, rtol=1e-5
  )
  assert float(metrics['scale']) == pytest.approx(10)


def test_towers_share_a_space_of_unit_vectors(made):
  method, params, state, batch = made
  inputs = {'image': batch['views'][0], 'text': batch['text']}
  for name, tower in method.towers.items():
    embedded = tower(params, state, inputs[name])
    assert embedded.shape == (8, _PROJECTION)
    np.testing.assert_allclose(
      jnp.linalg.norm(embedded, axis=1), 1, rtol=1e-5, err_msg=name
    )
  features = method.features(params, state, inputs['image'])
  assert features.shape == (8, 8)  # the encoder's, before the projection


def test_the_scale_never_passes_100(made):
  method, params, state, _ = made
  for log_scale, expected in ((9.0, 100.0), (1.0, np.e)):
    large = {**params, 'log_scale': jnp.float32(log_scale)}
    moved, _ = method.update(large, state, step=0)
    assert float(jnp.exp(moved['log_scale'])) == pytest.approx(expected, 1e-5)


def test_padding_changes_nothing(made):
  method, params, state, batch = made
  short = batch['text'].copy()
  short[:, 4:] = 0
  tower = method.towers['text']
  np.testing.assert_allclose(
    tower(params, state, short), tower(params, state, short[:, :4]), atol=1e-6
  )
