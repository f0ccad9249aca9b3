"""What every method keeps; every configs/*.py is tested by itself."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import build, checkpoint, sharding, train
from sslax import config as config_lib

_ROOT = pathlib.Path(__file__).parent.parent
CONFIGS = sorted(f.stem for f in (_ROOT / 'configs').glob('[a-z]*.py'))
# Parameters that get no gradient by design: method -> parts of their paths.
# A batch norm takes away what the bias before it adds.
WITHOUT_GRADIENT = {'byol': ("['hidden1']['bias']", "['linear1']['bias']")}


class Compiled:
  """The smoke recipe of a config, with its one compiled step."""

  def __init__(self, name, dtype='float32', devices=None):
    spec = f'{_ROOT}/configs/{name}.py:smoke'
    config = config_lib.override(config_lib.load(spec), [f'dtype={dtype}'])
    self.name, self.config = name, config
    mesh = sharding.make_mesh(1, devices)
    self.parts = build.build(config)._replace(mesh=mesh)
    size = config.views.size
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (config.batch_size, size, size, 3), np.uint8)
    self.host_batch = {
      'image': image,
      'label': rng.integers(0, 3, config.batch_size).astype(np.int32),
      'index': np.arange(config.batch_size),
    }
    self.batch = sharding.place(mesh, self.host_batch)
    self.traces = 0
    self._init = train.make_init(*self._recipe(), self.batch, seed=0, mesh=mesh)
    step = train.make_step(*self._recipe(), seed=0)

    def counted(*arguments):
      self.traces += 1
      return step(*arguments)

    first = self.fresh()
    self.step = train.compile_step(counted, first, mesh)

  def _recipe(self):
    return self.parts.method, self.parts.tx, self.parts.views

  def fresh(self):
    return self._init(self.batch)

  def views_batch(self):
    views = self.parts.views.apply(jax.random.key(3), self.batch['image'])
    return {**self.batch, 'views': views}


@pytest.fixture(scope='module', params=CONFIGS)
def compiled(request):
  return Compiled(request.param)


def _host(tree):
  return jax.tree.map(np.array, tree)


def _shapes(tree):
  return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)


def test_a_step_is_finite_and_keeps_the_state_alike(compiled):
  before = compiled.fresh()
  shapes = _shapes(before)
  after, metrics = compiled.step(before, compiled.batch)
  assert metrics['loss'].dtype == jnp.float32
  assert not metrics['nonfinite']
  assert all(m.shape == () for m in metrics.values())
  assert _shapes(after) == shapes


def test_it_compiles_once_and_the_loss_falls_on_one_batch(compiled):
  state, losses = compiled.fresh(), []
  for _ in range(12):
    first = jax.device_put(jnp.zeros((), jnp.int32), state.step.sharding)
    state = state._replace(step=first)  # the same views
    state, metrics = compiled.step(state, compiled.batch)
    losses.append(float(metrics['loss']))
  assert compiled.traces == 1
  assert losses[-1] < losses[0]


def test_the_same_seed_gives_the_same_run(compiled):
  first, _ = compiled.step(compiled.fresh(), compiled.batch)
  second, _ = compiled.step(compiled.fresh(), compiled.batch)
  jax.tree.map(np.testing.assert_array_equal, _host(first), _host(second))


def test_restored_from_disk_the_next_step_is_bit_equal(compiled, tmp_path):
  state, _ = compiled.step(compiled.fresh(), compiled.batch)
  with checkpoint.manager(tmp_path, keep=1) as checkpoints:
    checkpoint.save(checkpoints, 1, state, about={})
    checkpoints.wait_until_finished()
    restored = checkpoint.restore_latest(checkpoints, state)
  expected = _host(compiled.step(state, compiled.batch))
  actual = _host(compiled.step(restored, compiled.batch))
  jax.tree.map(np.testing.assert_array_equal, actual, expected)


def test_every_parameter_gets_a_gradient(compiled):
  # One step first: a residual block that starts as the identity passes no
  # gradient to the convolutions inside it.
  state, _ = compiled.step(compiled.fresh(), compiled.batch)
  rng = jax.random.key(1)

  def loss(params):
    return compiled.parts.method.loss(
      params, state.state, compiled.views_batch(), rng=rng, step=state.step
    )[0]

  grads = jax.jit(jax.grad(loss))(state.params)
  listed = WITHOUT_GRADIENT.get(compiled.name, ())
  rounding = 1e-6 * _norm(jax.tree.leaves(_host(grads)))
  for path, grad in jax.tree_util.tree_leaves_with_path(_host(grads)):
    name = jax.tree_util.keystr(path)
    has_gradient = _norm([grad]) > rounding
    assert has_gradient != any(part in name for part in listed), name


def test_the_teacher_moves_in_update_alone(compiled):
  state = compiled.fresh()
  if not hasattr(state.state, 'teacher'):
    pytest.skip('this method has no teacher')
  method = compiled.parts.method
  moved = jax.tree.map(lambda x: x + 1, state.params)

  @jax.jit
  def run(params, method_state, batch):
    _, (after_loss, _) = method.loss(
      params, method_state, batch, rng=jax.random.key(0), step=state.step
    )
    _, after_update = method.update(params, method_state, step=state.step)
    return after_loss.teacher, after_update.teacher

  after_loss, after_update = run(moved, state.state, compiled.views_batch())
  jax.tree.map(np.testing.assert_array_equal, after_loss, state.state.teacher)
  gaps = jax.tree.map(
    lambda a, b: bool((a != b).any()), after_update, state.state.teacher
  )
  assert all(jax.tree.leaves(gaps))


def test_features_are_a_row_an_image(compiled):
  state = compiled.fresh()
  inputs = compiled.parts.views.evaluate(compiled.batch['image'])
  features = compiled.parts.method.features(state.params, state.state, inputs)
  assert features.ndim == 2
  assert len(features) == len(compiled.batch['image'])


@pytest.fixture
def restored_x64():
  """Building for float64 turns 64-bit types on for the whole process."""
  yield
  jax.config.update('jax_enable_x64', False)


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
@pytest.mark.parametrize('name', CONFIGS)
def test_eight_devices_equal_one(name, dtype, restored_x64):
  """Loss, gradients and state of one step: all arrays are global."""
  one = _one_step(Compiled(name, dtype, jax.devices()[:1]))
  eight = _one_step(Compiled(name, dtype, jax.devices()))
  relative = 1e-9 if dtype == 'float64' else 1e-4
  for part, arrays in one.items():
    gap = _norm(a - b for a, b in zip(arrays, eight[part], strict=True))
    assert gap <= relative * _norm(arrays), part


def _norm(arrays):
  return np.sqrt(sum(float(np.sum(np.square(a))) for a in arrays))


def _one_step(compiled):
  """Loss, gradients and floating method state, as lists of numpy arrays."""
  state = compiled.fresh()

  def loss(params, method_state, batch):
    views = compiled.parts.views.apply(jax.random.key(3), batch['image'])
    return compiled.parts.method.loss(
      params,
      method_state,
      {**batch, 'views': views},
      rng=jax.random.key(1),
      step=state.step,
    )

  (value, (new, _)), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(
    state.params, state.state, compiled.batch
  )
  state = [
    x for x in jax.tree.leaves(new) if jnp.issubdtype(x.dtype, jnp.floating)
  ]
  return _host({
    'loss': [value], 'gradients': jax.tree.leaves(grads), 'state': state
  })  # fmt: skip
