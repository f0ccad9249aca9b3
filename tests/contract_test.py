"""What every method keeps; every configs/*.py is tested by itself.

Compiling is what costs here. So views are arrays, simpler than those of the
recipe and made once for all recipes that see alike; and of a method is
compiled, in float32, one step on eight devices, which also says what its loss
was given and gave, and its loss with gradients on one; in float64 the latter on
one and on eight.
"""

import functools
import importlib
import json
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import jaxpr_as_fun

from sslax import build, checkpoint, experiment, refresh, sharding, train
from sslax import config as config_lib
from sslax.data.views import Views

_ROOT = pathlib.Path(__file__).parent.parent
CONFIGS = sorted(f.stem for f in (_ROOT / 'configs').glob('[a-z]*.py'))
_SEEN = Views((), lambda rng, views: views, None, None, reads='views')
_NOISE = 0.1  # moves parameters away from where their gradients are zero


def _smoke(name):
  """Its smoke recipe; where no inner stage is asked for, of one stage."""
  config = config_lib.load(f'{_ROOT}/configs/{name}.py:smoke')
  if 'stage_sizes' in config.net and 'tap' not in config.method:
    config.net.stage_sizes = config.net.stage_sizes[:1]
  return config_lib.override(config, [])


def _once(f):
  """Makes a function of a config, called once for all whose groups agree."""
  known = {}

  @functools.wraps(f)
  def call(config):
    groups = json.loads(config.to_json())
    seen = {k: groups[k] for k in ('data', 'views', 'batch_size', 'seed')}
    seen['data'].pop('num_examples')
    key = json.dumps(seen, sort_keys=True)
    if key not in known:
      known[key] = f(config)
    return known[key]

  return call


@_once
def _source(config):
  return build.load_source(config, 'train')


@_once
def _host_batch(config):
  """The batch of step 0 with its views, and what evaluation sees of it."""
  parts = build.build(config)
  batch = next(experiment.host_batches(parts, _source(config), 0))
  seen = jax.eval_shape(parts.views.evaluate, batch[parts.views.reads])
  if parts.views.reads == 'image':
    views = tuple(_crops(batch.pop('image'), parts.views.policies))
    return _host(jax.device_put({**batch, 'views': views})), seen
  make = jax.jit(functools.partial(train.with_views, parts.views))
  return _host(make(jax.random.key(0), batch)), seen


def _crops(images, policies):
  """Windows of random brightness; real views are slow to trace and compile."""
  rng = np.random.default_rng(0)
  pixels = (images / 255 - 0.45) / 0.225
  for policy in policies:
    for _ in range(policy.num_crops):
      top, left = rng.integers(0, images.shape[1] - policy.size + 1, 2)
      window = pixels[:, top:, left:][:, : policy.size, : policy.size]
      gain = rng.uniform(0.5, 1.5, (len(images), 1, 1, 3))
      yield (window * gain).astype(np.float32)


def _host(tree):
  return jax.tree.map(np.array, tree)


def _watched(method):
  """Its loss also says what key it was given and what state it gave."""

  def loss(params, state, batch, *, rng, step):
    value, (new, metrics) = method.loss(
      params, state, batch, rng=rng, step=step
    )
    key = jax.random.key_data(rng)
    return value, (new, {'metrics': metrics, 'rng': key, 'state': new})

  return method._replace(loss=loss)


def _recorded(tx):
  """The first of its state are the gradients that it was given."""

  def update(grads, state, params=None):
    updates, new = tx.update(grads, state[1], params)
    return updates, (grads, new)

  def init(params):
    return jax.tree.map(jnp.zeros_like, params), tx.init(params)

  return optax.GradientTransformation(init, update)


def _moved(params):
  """Parameters a little beside their start, where all of them matter."""
  rng = np.random.default_rng(1)

  def move(x):
    noise = _NOISE * rng.standard_normal(x.shape)
    moved = np.asarray(x) + noise.astype(x.dtype)
    return jax.device_put(moved, x.sharding)

  return jax.tree.map(move, params)


def _traced(function, *arguments):
  """Traced here, to be compiled for any number of devices, or inside others."""
  traced = jax.jit(function).trace(*arguments)
  run, like = jaxpr_as_fun(traced.jaxpr), jax.tree.structure(traced.out_info)
  return lambda *args: jax.tree.unflatten(like, run(*jax.tree.leaves(args)))


def _traced_loss(method, params, state, batch):
  """The method, its loss traced once for all programs that it is part of."""
  loss = _traced(
    lambda *args: method.loss(*args[:3], rng=args[3], step=args[4]),
    params, state, batch, jax.random.key(0), np.int32(0),
  )  # fmt: skip
  return method._replace(
    loss=lambda params, state, batch, *, rng, step: loss(
      params, state, batch, rng, step
    )
  )


def _loss_and_gradients(method):
  def run(params, state, batch, rng):
    (loss, (new, _)), grads = jax.value_and_grad(method.loss, has_aux=True)(
      params, state, batch, rng=rng, step=np.int32(0)
    )
    return {'loss': loss, 'gradients': grads, 'state': new}

  return run


class Compiled:
  """The smoke recipe of a config, and the programs that its checks share."""

  def __init__(self, name):
    self.name = name
    self.config = _smoke(name)
    source = _source(self.config)
    self.config.data.num_examples = source.num_examples
    self.host_batch, self.seen = _host_batch(self.config)
    parts = build.build(self.config)
    self.mesh = parts.mesh
    rows = sharding.split_rows(self.mesh)
    self.batch = jax.device_put(self.host_batch, rows)
    tx = _recorded(parts.tx)
    self._init = train.make_init(
      parts.method, tx, _SEEN, self.batch, seed=0, mesh=self.mesh
    )
    self._refreshed = refresh.runner(parts._replace(tx=tx), source)
    first = self.fresh()
    self.method = _traced_loss(
      parts.method, first.params, first.state, self.batch
    )
    step = train.make_step(_watched(self.method), tx, _SEEN, seed=0)
    self.traces = 0

    def counted(*arguments):
      self.traces += 1
      return step(*arguments)

    self.step = train.compile_step(counted, first, self.mesh)
    self.lowered = self.step.lower(first, self.batch)

  def fresh(self):
    return self._refreshed(0, self._init(self.batch))

  @functools.cached_property
  def one_step(self):
    """The states before and after a step away from the start, and metrics."""
    before = self.fresh()
    before = before._replace(params=_moved(before.params))
    kept = _host(before)
    after, said = _host(self.step(before, self.batch))
    return kept, after, said

  @functools.cached_property
  def in_float32(self):
    """What a step of one device gives, and of eight."""
    before, after, said = self.one_step
    eight = {
      'loss': said['loss'],
      'gradients': after.opt_state[0],
      'state': said['state'],
    }
    rng = jax.random.wrap_key_data(said['rng'])
    one = jax.jit(_loss_and_gradients(self.method))(
      before.params, before.state, self.host_batch, rng
    )
    return _host(one), eight

  @functools.cached_property
  def in_float64(self):
    """What the loss gives on one device, and on eight."""
    before, _, _ = self.one_step
    config = config_lib.override(self.config, ['dtype=float64'])
    method = build.build(config).method  # turns 64-bit types on
    try:
      params, state, batch = jax.tree.map(
        _widened, (before.params, before.state, self.host_batch)
      )
      one = params, state, batch, jax.random.key(1)
      shardings = sharding.state_shardings(self.mesh, (params, state))
      rows = jax.device_put(batch, sharding.split_rows(self.mesh))
      eight = *jax.device_put((params, state), shardings), rows, one[3]
      run = _traced(_loss_and_gradients(method), *one)
      return _host(jax.jit(run)(*one)), _host(jax.jit(run)(*eight))
    finally:
      jax.config.update('jax_enable_x64', False)


def _widened(x):
  return x.astype(np.float64) if x.dtype == np.float32 else x


@pytest.fixture(scope='module', params=CONFIGS)
def compiled(request):
  return Compiled(request.param)


def _shapes(tree):
  return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)


def test_a_step_is_finite_and_keeps_the_state_alike(compiled):
  before = compiled.fresh()
  shapes = _shapes(before)
  after, said = compiled.step(before, compiled.batch)
  assert said['loss'].dtype == jnp.float32
  assert not said['nonfinite']
  assert all(m.shape == () for m in said['metrics'].values())
  assert _shapes(after) == shapes


def test_it_compiles_once_and_the_loss_falls_on_one_batch(compiled):
  """One batch, one state: a queue that fills with it would raise the loss."""
  state, losses = compiled.fresh(), []
  held = _host(state.state)
  for _ in range(12):
    first = jax.device_put(np.int32(0), state.step.sharding)
    same = jax.tree.map(
      lambda x, like: jax.device_put(x, like.sharding), held, state.state
    )
    state = state._replace(step=first, state=same)  # the same views
    state, said = compiled.step(state, compiled.batch)
    losses.append(float(said['loss']))
  assert compiled.traces == 1
  if not _of_its_test(compiled.name, 'PLAYERS_OPPOSE'):
    assert losses[-1] < losses[0]


# What the smoke step of each method is made of, by the version of jax that
# compiled it; `--write-graph-counts` writes what is found.
_COUNTS = pathlib.Path(__file__).parent / 'graph_counts.json'
_COUNTED = {
  'dots': r'stablehlo\.dot_general',
  'convolutions': r'stablehlo\.convolution',
  'all-reduce': r' all-reduce(-start)?\(',
  'all-gather': r' all-gather(-start)?\(',
  'reduce-scatter': r' reduce-scatter\(',
  'all-to-all': r' all-to-all\(',
  'collective-permute': r' collective-permute(-start)?\(',
}


def test_the_step_is_made_of_what_it_was(compiled, pytestconfig):
  """A change of these numbers is to be explained by the change that made it."""
  text = compiled.lowered.as_text() + compiled.lowered.compile().as_text()
  found = {k: len(re.findall(v, text)) for k, v in _COUNTED.items()}
  if pytestconfig.getoption('--write-graph-counts'):
    return _write_counts(compiled.name, found)
  known = json.loads(_COUNTS.read_text())
  if known['jax'] != jax.__version__:
    pytest.skip(f'counted with jax {known["jax"]}, this is {jax.__version__}')
  assert found == known['methods'][compiled.name]


def _write_counts(name, found):
  known = json.loads(_COUNTS.read_text()) if _COUNTS.is_file() else {}
  methods = known.get('methods', {}) | {name: found}
  text = {'jax': jax.__version__, 'methods': dict(sorted(methods.items()))}
  _COUNTS.write_text(json.dumps(text, indent=1) + '\n')


def test_the_same_seed_gives_the_same_run(compiled):
  first, _ = compiled.step(compiled.fresh(), compiled.batch)
  second, _ = compiled.step(compiled.fresh(), compiled.batch)
  jax.tree.map(np.testing.assert_array_equal, _host(first), _host(second))


def test_restored_from_disk_the_next_step_is_bit_equal(compiled, tmp_path):
  state, _ = compiled.step(compiled.fresh(), compiled.batch)
  with checkpoint.manager(tmp_path, keep=1) as checkpoints:
    # From one device: from eight, each writes an eighth, cut by a program.
    saved = jax.device_put(_host(state), jax.devices()[0])
    checkpoint.save(checkpoints, 1, saved, about={})
    checkpoints.wait_until_finished()
    restored = checkpoint.restore_latest(checkpoints, state)
  expected = _host(compiled.step(state, compiled.batch))
  actual = _host(compiled.step(restored, compiled.batch))
  jax.tree.map(np.testing.assert_array_equal, actual, expected)


def _of_its_test(name, attribute):
  """What the test of a method says of it, or nothing.

  WITHOUT_GRADIENT: parts of paths of parameters that get none by design.
  PLAYERS_OPPOSE: where one player's loss falls, the other's rises.
  """
  test = importlib.import_module(f'tests.methods.{name}_test')
  return getattr(test, attribute, ())


def test_every_parameter_gets_a_gradient(compiled):
  grads = compiled.in_float64[0]['gradients']
  listed = _of_its_test(compiled.name, 'WITHOUT_GRADIENT')
  rounding = 1e-10 * _norm(jax.tree.leaves(grads))
  for path, grad in jax.tree_util.tree_leaves_with_path(grads):
    name = jax.tree_util.keystr(path)
    has_gradient = _norm([grad]) > rounding
    assert has_gradient != any(part in name for part in listed), name


def test_the_teacher_moves_in_update_alone(compiled):
  before, after, said = compiled.one_step
  if not hasattr(before.state, 'teacher'):
    pytest.skip('this method has no teacher')
  jax.tree.map(
    np.testing.assert_array_equal, said['state'].teacher, before.state.teacher
  )
  gaps = jax.tree.map(
    lambda a, b: (a != b).any(), after.state.teacher, before.state.teacher
  )
  assert all(jax.tree.leaves(gaps))


def test_features_are_a_row_an_example(compiled):
  state, _, _ = compiled.one_step
  features = jax.eval_shape(
    compiled.method.features, state.params, state.state, compiled.seen
  )
  assert features.ndim == 2
  assert len(features) == compiled.config.batch_size


@pytest.mark.parametrize(
  ('dtype', 'relative'), [('float32', 1e-4), ('float64', 1e-9)]
)
def test_eight_devices_equal_one(compiled, dtype, relative):
  """Loss, gradients and state of one step: all arrays are global."""
  one, eight = getattr(compiled, f'in_{dtype}')
  assert one['loss'].dtype == dtype
  for part in one:
    _assert_close(eight[part], one[part], relative, part)


def _assert_close(actual, expected, relative, part):
  pairs = list(
    zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True)
  )
  for a, b in pairs:
    if not jnp.issubdtype(b.dtype, jnp.floating):
      np.testing.assert_array_equal(a, b, err_msg=part)
  floating = [(a, b) for a, b in pairs if jnp.issubdtype(b.dtype, jnp.floating)]
  gap = _norm(a - b for a, b in floating)
  assert gap <= relative * _norm(b for _, b in floating), (part, gap)


def _norm(arrays):
  return np.sqrt(sum(float(np.sum(np.square(a))) for a in arrays))
