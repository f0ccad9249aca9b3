"""COLA: spectrograms on the device, a learned similarity, mean features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.methods.cola import cola
from sslax.nets import audio_convnet
from tests.methods import tiny

WITHOUT_GRADIENT = ()
_RATE = 800  # samples a second, so that a test is quick


@pytest.fixture(scope='module')
def made():
  method = cola(
    audio_convnet(width=4, stage_sizes=(1,)),
    sample_rate=_RATE,
    num_mels=8,
    projection_size=6,
    noise=0.0,
  )
  rng = np.random.default_rng(0)
  views = tuple(rng.normal(size=(8, 200)).astype(np.float32) for _ in range(2))
  batch = {'views': views}
  return method, *method.init(jax.random.key(0), batch), batch


def test_a_learned_matrix_says_what_is_similar(made):
  """Without it all sounds are alike: the loss is log B."""
  method, params, state, batch = made
  blind = {**params, 'similarity': jnp.zeros_like(params['similarity'])}
  value, _ = tiny.call(method, blind, state, batch)
  assert float(value) == pytest.approx(np.log(8), rel=1e-6)
  value, _ = tiny.call(method, params, state, batch)
  assert float(value) != pytest.approx(np.log(8), rel=1e-6)


def test_the_similarity_is_not_symmetric(made):
  method, params, state, batch = made
  turned = {'views': batch['views'][::-1]}
  forward, _ = tiny.call(method, params, state, batch)
  backward, _ = tiny.call(method, params, state, turned)
  transposed = {**params, 'similarity': params['similarity'].T}
  assert float(forward) != pytest.approx(float(backward), rel=1e-6)
  # z'ᵢᵀWᵀzⱼ = zⱼᵀWz'ᵢ: the same table, read by columns.
  by_columns, _ = tiny.call(method, transposed, state, turned)
  assert float(by_columns) != pytest.approx(float(backward), rel=1e-6)


def test_features_of_a_sound_are_the_mean_of_its_segments(made):
  method, params, state, batch = made
  segments = jnp.stack(batch['views'], axis=1)  # [B, N, s]
  each = [method.features(params, state, x) for x in batch['views']]
  whole = method.features(params, state, segments)
  np.testing.assert_allclose(whole, (each[0] + each[1]) / 2, atol=1e-5)
