"""data2vec: targets of the teacher's last blocks, at hidden patches alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.methods.data2vec import data2vec
from sslax.nets import vit
from tests.methods import tiny


def _encoder():
  return vit(
    width=16,
    depth=3,
    num_heads=2,
    patch_size=2,
    image_size=8,
    registers=1,
    masking='token',
  )


def _method(**arguments):
  return data2vec(
    _encoder(),
    **{'num_blocks': 2, 'mask_ratio': 0.5, 'min_block': 2, **arguments},
  )


@pytest.fixture(scope='module')
def start():
  """(params, state, batch), with a teacher of its own."""
  rng = np.random.default_rng(0)
  draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
  batch = {'views': (draw(6, 8, 8, 3),)}
  params, state = _method().init(jax.random.key(0), batch)
  teacher = jax.tree.map(lambda x: x + 0.1 * draw(*x.shape), params['encoder'])
  return params, state._replace(teacher=teacher), batch


def _standardized(x):
  centered = x - x.mean(-1, keepdims=True)
  return centered / np.sqrt(np.mean(centered**2, -1, keepdims=True) + 1e-5)


def test_a_head_of_zero_pays_what_the_last_blocks_say(start):
  """p = 0 costs mean |y|²/2β: every patch alike, as rows of y have norm 1."""
  params, state, batch = start
  beta = 100.0  # all of the loss is squared
  params = {**params, 'head': jax.tree.map(jnp.zeros_like, params['head'])}
  method = _method(blocks='ffn', beta=beta)
  value, (_, metrics) = tiny.call(method, params, state, batch)
  np.testing.assert_allclose(value, 1 / (2 * beta), rtol=1e-3)
  seen, _ = _encoder().apply(
    state.teacher, {}, batch['views'][0], train=False, taps=('ffn',)
  )
  layers = np.asarray(seen['ffn'])[-2:, :, 2:]  # no class token, no register
  targets = _standardized(_standardized(layers).mean(0))
  np.testing.assert_allclose(
    metrics['embedding_std'], targets.reshape(-1, 16).std(0).mean(), rtol=1e-3
  )


def test_the_teacher_sees_what_is_hidden(start):
  params, state, batch = start
  method = _method()
  value, (_, metrics) = tiny.call(method, params, state, batch)
  assert 0.2 < metrics['hidden_patches'] <= 0.5
  teacher = {**state.teacher, 'mask_token': state.teacher['mask_token'] + 1}
  other = state._replace(teacher=teacher)
  assert tiny.call(method, params, other, batch)[0] == value


def test_the_momentum_rises_on_a_line_and_moves_the_encoder_alone(start):
  params, state, _ = start
  method = _method(momentum=0.5, final_momentum=0.9, momentum_steps=4)
  for step, keep in ((0, 0.5), (1, 0.6), (4, 0.9), (9, 0.9)):
    _, after = method.update(params, state, step=jnp.int32(step))
    expected = jax.tree.map(
      lambda t, s, keep=keep: keep * t + (1 - keep) * s,
      state.teacher,
      params['encoder'],
    )
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
      after.teacher,
      expected,
    )
