"""DeepCluster: clusterings between steps, repeated by a run that resumes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from sslax import build, optim, refresh, sharding, train
from sslax.data import arrays, pipeline
from sslax.data.views import Views
from sslax.errors import BadInputError
from sslax.evals.features import Extractor
from sslax.methods.deepcluster import deepcluster
from sslax.nets import Net, mlp

_NUM = 24  # examples
_BATCH = 8


def _flat_mlp():
  net = mlp(hidden=(16,), features=6)

  def flat(x):
    return x.reshape(len(x), -1)

  return Net(
    lambda rng, x: net.init(rng, flat(x)),
    lambda params, stats, x, **how: net.apply(params, stats, flat(x), **how),
  )


def _method(**kwargs):
  return deepcluster(
    _flat_mlp(),
    num_examples=_NUM,
    num_clusters=4,
    num_components=5,
    num_iterations=3,
    **kwargs,
  )


def _seen(images):
  return images.astype(jnp.float32) / 255


@pytest.fixture(scope='module')
def run():
  """Returns run(state, step, stop) -> states after each step, and before."""
  images = np.random.default_rng(0).integers(0, 256, (_NUM, 4, 4, 3), np.uint8)
  source = arrays.load(images)
  mesh = sharding.make_mesh(1, jax.devices()[:1])
  views = Views((), lambda rng, x: (_seen(x),), _seen, None)
  tx = optim.build('sgd', learning_rate=1.0, batch_size=_BATCH, num_steps=9)
  method = _method(every_steps=2)
  config = ConfigDict({'seed': 0})
  extractor = Extractor(_seen, 4, mesh, batch_size=16)
  parts = build.Parts(config, mesh, None, method, views, tx, extractor)
  step_fn = jax.jit(train.make_step(method, tx, views, seed=0))
  batches = list(
    zip(range(6), pipeline.batches(source, batch_size=_BATCH, seed=0),
        strict=False)
  )  # fmt: skip
  first = sharding.place(mesh, batches[0][1])
  init = train.make_init(method, tx, views, first, seed=0, mesh=mesh)

  def go(state, start):
    """Yields the state before the refresh of each step, and after it."""
    refreshed = refresh.runner(parts, source)
    state = init(first) if state is None else state
    for step, batch in batches[start:]:
      before, state = state, refreshed(step, state)
      yield before, state
      state, _ = step_fn(state, sharding.place(mesh, batch))
    yield state, state

  return go


def test_a_run_resumed_at_any_step_is_bit_equal(run):
  states = list(run(None, 0))
  for start in (2, 3):  # a refresh is due, and is not
    *_, (last, _) = run(states[start][0], start)
    jax.tree.map(np.testing.assert_array_equal, last, states[-1][0])


def test_a_refresh_gives_labels_and_a_head_without_momentum(run):
  states = list(run(None, 0))
  assert states[0][1].state.nmi == 0  # there were no clusters yet
  before, after = states[2]
  assert 0 < after.state.nmi < 1
  assert (after.state.labels != before.state.labels).any()
  np.testing.assert_array_equal(
    np.bincount(after.state.labels, minlength=4), after.state.sizes
  )
  assert after.state.sizes.min() > 0
  kernels = [s.params['head']['linear1']['kernel'] for s in states[2]]
  assert (kernels[0] != kernels[1]).all()
  for old, new in zip(*map(_moments, states[2]), strict=True):
    assert new[0] == old[0]
    assert old[1].any()
    assert new[1].any() != ('head' in new[0])
  before, after = states[3]  # no refresh
  jax.tree.map(np.testing.assert_array_equal, before, after)


def _moments(state):
  leaves = jax.tree_util.tree_leaves_with_path(state.opt_state)
  paths = [(jax.tree_util.keystr(path), leaf) for path, leaf in leaves]
  return [(path, leaf) for path, leaf in paths if 'linear2' in path
          or ('head' in path)]  # fmt: skip


def test_large_clusters_are_worth_no_more_than_small_ones():
  # Over all examples, a head that knows nothing but sizes gains nothing.
  method = _method()
  batch = {'views': (jnp.ones((_NUM, 4, 4, 3)),), 'index': jnp.arange(_NUM)}
  params, state = jax.jit(method.init)(jax.random.key(0), batch)
  params['head'] = jax.tree.map(jnp.zeros_like, params['head'])
  sizes = np.array([12, 6, 4, 2], np.int32)
  state = state._replace(labels=jnp.repeat(jnp.arange(4), sizes))

  @jax.jit
  def bias_gradient(sizes):
    def loss(params):
      how = {'rng': jax.random.key(0), 'step': 0}
      told = state._replace(sizes=sizes)
      return method.loss(params, told, batch, **how)[0]

    return jax.grad(loss)(params)['head']['linear1']['bias']

  np.testing.assert_allclose(bias_gradient(sizes), 0, atol=1e-6)
  alike = np.full(4, 6, np.int32)
  np.testing.assert_allclose(
    bias_gradient(alike), 1 / 4 - sizes / _NUM, atol=1e-6
  )


def test_edges_are_all_that_the_encoder_sees():
  rng = np.random.default_rng(0)
  view = jnp.asarray(rng.normal(size=(2, 4, 4, 3)), jnp.float32)
  method = _method(sobel=True)
  params, state = method.init(jax.random.key(0), {'views': (view,)})
  assert params['encoder']['linear1']['kernel'].shape == (4 * 4 * 2, 16)
  features = method.features(params, state, view)
  np.testing.assert_allclose(
    method.features(params, state, view[..., ::-1]), features, atol=1e-5
  )


def test_more_clusters_than_examples_are_refused():
  with pytest.raises(BadInputError, match='num_clusters is 30, but there are'):
    deepcluster(_flat_mlp(), num_examples=_NUM, num_clusters=30)
