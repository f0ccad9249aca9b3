"""MoCo v3: frozen patches, both directions, and a teacher that slows down."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import optim
from sslax.errors import BadInputError
from sslax.methods import moco_v3 as moco_v3_module
from sslax.nets import vit
from sslax.ops.distance import normalize
from tests.methods import tiny

# The patch projection stays as it started, and what is added to all features
# is taken away by the projector's first batch norm.
WITHOUT_GRADIENT = (
  "['encoder']['patch_embed']",
  "['encoder']['norm']['bias']",
)
_STEPS = 20


def _method(encoder=None, **kwargs):
  encoder = encoder or vit(
    width=16, depth=1, num_heads=2, patch_size=4, image_size=8
  )
  arguments = {'hidden_size': 16, 'projection_size': 8, **kwargs}
  return moco_v3_module.moco_v3(encoder, num_steps=_STEPS, **arguments)


def _start(method, size=8):
  batch = {'views': tiny.views(size=size)}
  return (*method.init(jax.random.key(0), batch), batch)


def test_the_patch_projection_moves_neither_by_gradient_nor_by_decay():
  method = _method()
  params, state, batch = _start(method)
  grads = tiny.gradients(method, params, state, batch)
  frozen = grads['encoder']['patch_embed']
  assert not any(np.any(g) for g in jax.tree.leaves(frozen))
  tx = optim.build(
    'sgd', learning_rate=0.1, batch_size=256, num_steps=_STEPS,
    weight_decay=0.5, held=method.held,
  )  # fmt: skip
  ones = jax.tree.map(jnp.ones_like, params)
  with jax.numpy_dtype_promotion('standard'):
    updates, _ = jax.jit(tx.update)(ones, tx.init(params), params)
  still = jax.tree.map(lambda u: not np.any(u), updates)
  assert all(jax.tree.leaves(still['encoder'].pop('patch_embed')))
  assert not any(jax.tree.leaves(still))


def test_an_encoder_without_patches_is_refused_unless_nothing_is_frozen():
  with pytest.raises(BadInputError, match=r'method\.frozen_patches'):
    _start(_method(tiny.encoder()))
  assert _method(tiny.encoder(), frozen_patches=False).held == {}


def _slow_loss(q, k, temperature):
  """Algorithm 1's ctr, in loops."""
  total = 0.0
  for i in range(len(q)):
    scores = [float(q[i] @ k[j]) / temperature for j in range(len(k))]
    total -= scores[i] - np.log(np.sum(np.exp(scores)))
  return 2 * temperature * total / len(q)


def test_the_loss_is_that_of_both_directions():
  method = _method(tiny.encoder(), frozen_patches=False, temperature=0.3)
  params, state, batch = _start(method)
  moved = jax.tree.map(lambda x: 1.5 * x + 0.1, params)
  value, _ = tiny.call(method, moved, state, batch)
  head = {'features': 8, 'hidden_bias': False, 'final_bias': False}
  nets = {
    'encoder': tiny.encoder(),
    'projector': moco_v3_module.mlp(hidden=(16, 16), final_norm=True, **head),
    'predictor': moco_v3_module.mlp(hidden=(16,), final_norm=True, **head),
  }

  def embed(weights, view):
    for part in weights:
      view, _ = nets[part].apply(
        weights[part], state.stats[part], view, train=True
      )
    return np.asarray(normalize(view), np.float64)

  parts = {part: moved[part] for part in nets}
  q1, q2 = (embed(parts, view) for view in batch['views'])
  k1, k2 = (embed(state.teacher, view) for view in batch['views'])
  expected = _slow_loss(q1, k2, 0.3) + _slow_loss(q2, k1, 0.3)
  np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_no_gradient_reaches_the_teacher():
  method = _method(tiny.encoder(), frozen_patches=False)
  params, state, batch = _start(method)

  def loss(teacher):
    return method.loss(
      params,
      state._replace(teacher=teacher),
      batch,
      rng=jax.random.key(0),
      step=0,
    )[0]

  grads = jax.jit(jax.grad(loss))(state.teacher)
  assert not any(np.any(g) for g in jax.tree.leaves(grads))


def test_the_teacher_of_the_next_step_has_the_next_steps_momentum():
  method = _method(tiny.encoder(), frozen_patches=False, momentum=0.9)
  params, state, _ = _start(method)
  moved = jax.tree.map(lambda x: x + 1, params)
  for step in (0, 9, _STEPS - 1):
    share = 1 - 0.5 * (1 + np.cos(np.pi * (step + 1) / _STEPS)) * 0.1
    _, after = method.update(moved, state, step=jnp.int32(step))
    jax.tree.map(
      lambda new, old, share=share: np.testing.assert_allclose(
        new, old + (1 - share), atol=2e-6
      ),
      after.teacher,
      state.teacher,
    )
