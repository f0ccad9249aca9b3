"""iBOT: hidden patches for the student alone, one head, two centers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.methods.dino import DinoState, dino
from sslax.methods.ibot import ibot
from sslax.nets import vit
from sslax.nets.dino_head import dino_head
from tests.methods import tiny

_HEAD = {'hidden_size': 16, 'bottleneck_size': 8, 'num_prototypes': 12}


def _encoder():
  return vit(
    width=16, depth=1, num_heads=2, patch_size=2, image_size=8, masking='token'
  )


def _method(ratio):
  """All crops have about this share of their 16 patches hidden."""
  return ibot(
    _encoder(),
    num_steps=10,
    mask_ratios=(ratio,),
    mask_spreads=(0.0,),
    teacher_temperature=0.04,
    **_HEAD,
  )


_METHOD = _method(0.5)


@pytest.fixture(scope='module')
def start():
  """(params, state, batch), with a teacher and centers of their own."""
  rng = np.random.default_rng(0)
  draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
  views = tuple(draw(6, size, size, 3) for size in (8, 8, 4, 4))
  params, state = _METHOD.init(jax.random.key(0), {'views': views})
  teacher = jax.tree.map(lambda x: x + 0.1 * draw(*x.shape), params)
  centers = (0.1 * draw(12), 0.1 * draw(12))
  state = state._replace(teacher=teacher, centers=centers)
  return params, state, {'views': views}


def test_with_nothing_hidden_it_is_dino_and_hidden_patches_add_to_that(start):
  params, state, batch = start
  whole, (_, metrics) = tiny.call(_method(0.0), params, state, batch)
  assert metrics['hidden_patches'] == 0
  dino_state = DinoState(
    state.stats, state.teacher, state.stats, state.centers[0]
  )
  as_dino = dino(_encoder(), num_steps=10, **_HEAD)
  expected, _ = tiny.call(as_dino, params, dino_state, batch)
  np.testing.assert_allclose(whole, expected, rtol=1e-5)
  hidden, (_, metrics) = tiny.call(_METHOD, params, state, batch)
  assert 0.2 < metrics['hidden_patches'] <= 0.5
  assert hidden > whole + 0.5


def test_the_teacher_sees_what_is_hidden(start):
  params, state, batch = start
  teacher = jax.tree.map(jnp.copy, state.teacher)
  teacher['encoder']['mask_token'] += 1  # never put in the place of a patch
  changed = state._replace(teacher=teacher)
  values = [tiny.call(_METHOD, params, s, batch)[0] for s in (state, changed)]
  assert values[0] == values[1]


def test_centers_move_to_the_teacher_of_whole_global_crops(start):
  params, state, batch = start
  _, (after, _) = tiny.call(_METHOD, params, state, batch)
  encoder = _encoder()
  head = dino_head(hidden=(16, 16), bottleneck_size=8, features=12)
  means = {'class': [], 'tokens': []}
  for view in batch['views'][:2]:
    seen, _ = encoder.apply(
      state.teacher['encoder'], {}, view, train=False, taps=tuple(means)
    )
    for tap, x in seen.items():
      out, _ = head.apply(state.teacher['projector'], {}, x, train=False)
      means[tap].append(np.mean(out.reshape(-1, 12), 0))
  for old, new, mean in zip(
    state.centers, after.centers, means.values(), strict=True
  ):
    expected = 0.9 * old + 0.1 * np.mean(mean, 0)
    np.testing.assert_allclose(new, expected, atol=1e-6)
