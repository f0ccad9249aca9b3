"""VICReg: what each term holds up, and branches that share nothing."""

import jax
import numpy as np

from sslax import losses
from sslax.methods.vicreg import vicreg
from sslax.nets import mlp
from tests.methods import toy

# A batch norm takes away what the bias before it adds.
WITHOUT_GRADIENT = ("['linear1']['bias']", "['linear2']['bias']")
_STEPS = 150


def _method(**kwargs):
  encoder = mlp(hidden=(32,), features=16)
  return vicreg(encoder, hidden_size=32, projection_size=8, **kwargs)


def test_collapses_without_the_variance_term_and_the_monitor_says_so():
  method = _method(variance_weight=0.0)
  sick = toy.said(method, toy.trained(method, _STEPS, 0.02))
  assert sick is not None
  assert 'variance_weight' in sick.sentence


def test_the_other_terms_decorrelate_a_healthy_embedding():
  whole, without = _method(), _method(covariance_weight=0.0)
  metrics, redundant = (
    toy.trained(method, _STEPS, 0.02) for method in (whole, without)
  )
  assert toy.said(whole, metrics) is None
  assert metrics['covariance'][-1] < redundant['covariance'][-1] / 3


def test_branches_that_share_nothing_see_one_view_each():
  method = _method(shared=False)
  views = toy.views(jax.random.key(1))
  params, state = method.init(jax.random.key(0), {'views': views})
  assert set(params) == {
    'encoder', 'projector', 'second_encoder', 'second_projector'
  }  # fmt: skip
  first, second = params['encoder'], params['second_encoder']
  gaps = jax.tree.map(lambda a, b: bool((a != b).any()), first, second)
  assert gaps['linear1']['kernel']

  @jax.jit
  def run(params, views):
    return jax.value_and_grad(method.loss, has_aux=True)(
      params, state, {'views': views}, rng=jax.random.key(0), step=0
    )

  (_, (after, _)), grads = run(params, views)
  (_, (other, _)), _ = run(params, (views[0], 2 * views[1]))
  assert all(np.any(part['linear1']['kernel']) for part in grads.values())
  for part in ('encoder', 'projector'):
    same = jax.tree.map(np.array_equal, after.stats[part], other.stats[part])
    assert all(jax.tree.leaves(same))
    key = f'second_{part}'
    assert not np.array_equal(
      after.stats[key]['norm1']['mean'], other.stats[key]['norm1']['mean']
    )


def test_the_loss_is_that_of_the_views_each_with_its_own_statistics():
  method = _method()
  views = toy.views(jax.random.key(1))
  params, state = method.init(jax.random.key(0), {'views': views})
  encoder = mlp(hidden=(32,), features=16)
  projector = mlp(hidden=(32, 32), features=8, final_bias=False)

  @jax.jit
  def expected(params, view):
    x, _ = encoder.apply(
      params['encoder'], state.stats['encoder'], view, train=True
    )
    return projector.apply(
      params['projector'], state.stats['projector'], x, train=True
    )[0]

  value, _ = method.loss(
    params, state, {'views': views}, rng=jax.random.key(0), step=0
  )
  z1, z2 = (expected(params, view) for view in views)
  np.testing.assert_allclose(value, losses.vicreg(z1, z2), rtol=1e-4)
