"""Optimizers against numpy references, masks, schedules, bad input."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sslax import optim
from sslax.errors import BadInputError
from sslax.ops import schedules


@pytest.mark.parametrize('module', [optim, schedules])
def test_docstring_examples(module):
  assert doctest.testmod(module).failed == 0


def _tree(rng, dtype=np.float64):
  return {
    'encoder': {
      'conv': {'kernel': rng.normal(size=(3, 4)).astype(dtype)},
      'norm': {
        'scale': rng.normal(size=4).astype(dtype),
        'bias': rng.normal(size=4).astype(dtype),
      },
    },
    'predictor': {'kernel': rng.normal(size=(4, 2)).astype(dtype)},
  }


def _run(optimizer, params, gradients):
  params = jax.tree.map(jnp.asarray, params)
  state = optimizer.init(params)
  step = jax.jit(optimizer.update)
  with jax.numpy_dtype_promotion('standard'):
    for g in gradients:
      updates, state = step(g, state, params)
      params = jax.tree.map(lambda p, u: p + u, params, updates)
  return params, state


def _lars_loop(w, gradients, rates, *, decay, momentum, trust, adapt, clip):
  v = np.zeros_like(w)
  for g, rate in zip(gradients, rates, strict=True):
    if adapt:
      g = g + decay * w
      norms = np.linalg.norm(w), np.linalg.norm(g)
      ratio = trust * norms[0] / norms[1] if min(norms) > 0 else 1.0
      g = g * (min(ratio / rate, 1) if clip else ratio)
    v = momentum * v + g
    w = w - rate * v
  return w


@pytest.mark.parametrize('clip', [False, True])
def test_lars_equals_the_loop_of_its_equation(x64, clip):
  rng = np.random.default_rng(0)
  params, gradients = _tree(rng), [_tree(rng) for _ in range(4)]
  rate = optim.warmup_cosine(0.4, num_steps=6, warmup_steps=2)
  rates = [float(rate(i + 1)) for i in range(4)]
  kwargs = {'weight_decay': 0.1, 'momentum': 0.8, 'trust_coefficient': 0.3}
  actual, _ = _run(
    optim.lars(lambda i: rate(i + 1), clip=clip, **kwargs), params, gradients
  )

  def loop(keys, leaf, *g):
    del keys
    return _lars_loop(
      leaf,
      g,
      rates,
      decay=0.1,
      momentum=0.8,
      trust=0.3,
      adapt=leaf.ndim > 1,
      clip=clip,
    )

  expected = jax.tree_util.tree_map_with_path(loop, params, *gradients)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), actual, expected
  )


def test_lars_moves_zero_weights_and_holds_at_zero_gradients():
  w = {'kernel': jnp.zeros((2, 2))}
  g = {'kernel': jnp.ones((2, 2))}
  moved, _ = _run(optim.lars(0.5), w, [g])
  np.testing.assert_allclose(moved['kernel'], -0.5)
  still, _ = _run(optim.lars(0.5), g, [w])
  np.testing.assert_array_equal(still['kernel'], g['kernel'])


def test_lars_clip_survives_a_learning_rate_of_zero():
  w = {'kernel': jnp.ones((2, 2))}
  moved, _ = _run(optim.lars(0.0, clip=True), w, [w])
  np.testing.assert_array_equal(moved['kernel'], w['kernel'])


def test_lars_without_params_says_so():
  optimizer = optim.lars(0.1)
  g = {'kernel': jnp.ones((2, 2))}
  with pytest.raises(ValueError, match='needs params'):
    optimizer.update(g, optimizer.init(g))


def test_the_learning_rate_stays_out_of_the_velocity():
  """After the rate falls to zero the parameters stand still at once."""

  def rate(step):
    return jnp.where(step < 1, 1.0, 0.0)

  w, g = {'kernel': jnp.ones((2, 2))}, {'kernel': jnp.ones((2, 2))}
  once, _ = _run(optim.lars(rate), w, [g])
  thrice, _ = _run(optim.lars(rate), w, [g, g, g])
  np.testing.assert_array_equal(once['kernel'], thrice['kernel'])


def test_mask_knows_stacked_layers_and_names():
  params = {
    'block': {'kernel': jnp.ones((2, 3, 3)), 'scale': jnp.ones((2, 3))},
    'bias': jnp.ones((2, 3)),
    'token': jnp.ones(3),
  }
  assert optim.exclude_bias_and_norm(params) == {
    'block': {'kernel': True, 'scale': False},
    'bias': False,
    'token': False,
  }


def test_sgd_equals_its_loop(x64):
  rng = np.random.default_rng(1)
  params, gradients = _tree(rng), [_tree(rng) for _ in range(3)]
  actual, _ = _run(optim.sgd(0.1, weight_decay=0.01), params, gradients)

  def loop(w, *gs):
    v = 0.0
    for g in gs:
      v = 0.9 * v + g + 0.01 * w
      w = w - 0.1 * v
    return w

  expected = jax.tree.map(loop, params, *gradients)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), actual, expected
  )


def test_adamw_equals_its_loop_and_spares_biases(x64):
  rng = np.random.default_rng(2)
  params, gradients = _tree(rng), [_tree(rng) for _ in range(3)]
  actual, _ = _run(optim.adamw(0.1, weight_decay=0.2), params, gradients)

  def loop(w, *gs):
    m = v = 0.0
    decay = 0.2 if w.ndim > 1 else 0.0
    for i, g in enumerate(gs, 1):
      m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
      direction = (m / (1 - 0.9**i)) / (np.sqrt(v / (1 - 0.999**i)) + 1e-8)
      w = w - 0.1 * (direction + decay * w)
    return w

  expected = jax.tree.map(loop, params, *gradients)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), actual, expected
  )


@pytest.mark.parametrize('name', ['lars', 'sgd', 'adamw'])
@pytest.mark.parametrize('dtype', [np.float32, np.float64, jnp.bfloat16])
def test_dtypes_and_state_structure_are_kept(name, dtype, x64):
  rng = np.random.default_rng(3)
  params = jax.tree.map(jnp.asarray, _tree(rng, dtype))
  optimizer = optim.build(
    name,
    learning_rate=0.1,
    batch_size=256,
    num_steps=10,
    warmup_ratio=0.2,
    weight_decay=0.1,
    multipliers={'predictor': 10.0},
    clip_norm=1.0,
  )
  before = optimizer.init(params)
  with jax.numpy_dtype_promotion('standard'):
    updates, after = jax.jit(optimizer.update)(params, before, params)
  assert all(u.dtype == dtype for u in jax.tree.leaves(updates))

  def shapes(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)

  assert shapes(before) == shapes(after)


def test_eight_devices_equal_one(x64):
  rng = np.random.default_rng(4)
  params = {'kernel': rng.normal(size=(16, 4))}
  gradients = [{'kernel': rng.normal(size=(16, 4))} for _ in range(3)]
  optimizer = optim.lars(0.3, weight_decay=0.1)
  one, _ = _run(optimizer, params, gradients)
  rows = NamedSharding(
    Mesh(np.array(jax.devices()), ('fsdp',)), PartitionSpec('fsdp')
  )
  eight, _ = _run(
    optimizer, jax.device_put(params, rows), jax.device_put(gradients, rows)
  )
  assert len(eight['kernel'].sharding.device_set) == 8
  np.testing.assert_allclose(eight['kernel'], one['kernel'], rtol=1e-12)


def test_multipliers_scale_the_learning_rate_of_their_path(x64):
  rng = np.random.default_rng(5)
  params, gradient = _tree(rng), _tree(rng)
  common = {'learning_rate': 0.1, 'batch_size': 256, 'num_steps': 10}
  plain, _ = _run(optim.build('sgd', **common), params, [gradient])
  scaled, _ = _run(
    optim.build('sgd', multipliers={'^predictor': 10.0}, **common),
    params,
    [gradient],
  )

  def moved(tree, k):
    return tree[k]['kernel'] - params[k]['kernel']

  np.testing.assert_allclose(
    moved(scaled, 'predictor'), 10 * moved(plain, 'predictor'), rtol=1e-9
  )
  np.testing.assert_array_equal(
    scaled['encoder']['conv']['kernel'], plain['encoder']['conv']['kernel']
  )


def test_per_part_gives_each_part_its_optimizer(x64):
  rng = np.random.default_rng(6)
  params, gradient = _tree(rng), _tree(rng)
  optimizer = optim.per_part({'predictor': optim.sgd(1.0)}, optim.sgd(0.0))
  moved, _ = _run(optimizer, params, [gradient])
  np.testing.assert_allclose(
    moved['predictor']['kernel'],
    params['predictor']['kernel'] - gradient['predictor']['kernel'],
  )
  np.testing.assert_array_equal(
    moved['encoder']['conv']['kernel'], params['encoder']['conv']['kernel']
  )


@pytest.mark.parametrize(
  'optimizer',
  [
    optim.scale_by_path({'predicter': 10.0}),
    optim.per_part({'predicter': optim.sgd(1.0)}, optim.sgd(0.1)),
  ],
)
def test_a_pattern_without_parameters_is_refused(optimizer):
  with pytest.raises(BadInputError, match=r"'predicter'.*predictor/kernel"):
    optimizer.init(_tree(np.random.default_rng(0)))


def test_schedule_scales_with_the_batch_and_ends_where_said():
  rate = optim.learning_rate_schedule(
    0.2, batch_size=1024, num_steps=100, warmup_ratio=0.1, final_ratio=0.25
  )
  values = [float(rate(step)) for step in (0, 5, 10, 55, 100, 1000)]
  np.testing.assert_allclose(values, [0, 0.4, 0.8, 0.5, 0.2, 0.2], rtol=1e-6)


def test_teacher_momentum_ends_at_one_and_stays():
  momentum = optim.teacher_momentum(0.996, num_steps=10)
  values = np.array([momentum(jnp.int32(i)) for i in range(13)])
  assert (np.diff(values)[:10] > 0).all()
  np.testing.assert_array_equal(values[10:], 1)
  np.testing.assert_allclose(values[[0, 5]], [0.996, 0.998], rtol=1e-6)


def test_ema_keeps_the_teachers_dtypes(x64):
  teacher = {'a': jnp.ones(2, jnp.bfloat16), 'b': jnp.ones(2, jnp.float64)}
  student = {'a': jnp.zeros(2), 'b': jnp.zeros(2, jnp.float32)}
  moved = jax.jit(optim.ema)(teacher, student, jnp.float32(0.75))
  assert moved['a'].dtype == jnp.bfloat16
  assert moved['b'].dtype == jnp.float64
  np.testing.assert_array_equal(moved['b'], 0.75)
  kept = optim.ema(teacher, student, 1.0)
  np.testing.assert_array_equal(kept['b'], teacher['b'])


@pytest.mark.parametrize(
  ('name', 'change', 'message'),
  [
    ('lasr', {}, r"optim\.name is 'lasr'; did you mean 'lars'"),
    (
      'lars',
      {'weight_decy': 0.1},
      r"weight_decy .*did you mean 'weight_decay'",
    ),
    ('sgd', {'trust_coefficient': 1.0}, r'optim\.trust_coefficient .* of sgd'),
    ('sgd', {'num_steps': 0}, 'num_steps is 0'),
    ('sgd', {'batch_size': 0}, 'batch_size is 0'),
    ('sgd', {'learning_rate': -1.0}, r'optim\.learning_rate is -1'),
    ('sgd', {'learning_rate': float('nan')}, r'optim\.learning_rate is nan'),
    ('sgd', {'final_ratio': 2.0}, r'optim\.final_ratio is 2'),
    ('sgd', {'warmup_steps': 11}, r'optim\.warmup_steps is 11'),
    ('sgd', {'warmup_ratio': 1.5}, r'optim\.warmup_ratio is 1.5'),
    ('sgd', {'warmup_steps': 1, 'warmup_ratio': 0.1}, 'give one of the two'),
    ('sgd', {'clip_norm': 0.0}, r'optim\.clip_norm is 0'),
  ],
)
def test_bad_input_is_named(name, change, message):
  common = {'learning_rate': 0.1, 'batch_size': 256, 'num_steps': 10}
  with pytest.raises(BadInputError, match=message):
    optim.build(name, **{**common, **change})


def test_the_learning_rate_drops_at_shares_of_the_run():
  rate = optim.learning_rate_schedule(
    1.0, batch_size=256, num_steps=10, warmup_steps=2, drops=(0.6, 0.8)
  )
  actual = [float(rate(step)) for step in (0, 1, 2, 5, 6, 7, 8, 9)]
  expected = [0, 0.5, 1, 1, 0.1, 0.1, 0.01, 0.01]
  np.testing.assert_allclose(actual, expected, rtol=1e-6)


def _held_and_free(**kwargs):
  """Three steps of AdamW with one parameter held or moving by turns."""
  rng = np.random.default_rng(0)
  params, gradients = _tree(rng), [_tree(rng) for _ in range(3)]
  common = {'batch_size': 256, 'num_steps': 10, 'weight_decay': 0.1}
  tx = optim.build('adamw', learning_rate=0.1, **common, **kwargs)
  return params, gradients, _run(tx, params, gradients)[0]


def test_a_held_parameter_waits_and_then_starts_as_at_step_0(x64):
  params, gradients, moved = _held_and_free(held={'predictor': 2})
  _, _, free = _held_and_free()
  jax.tree.map(np.testing.assert_array_equal, moved['encoder'], free['encoder'])
  w, g = (t['predictor']['kernel'] for t in (params, gradients[2]))
  rate = 0.1 * (np.cos(np.pi * 2 / 10) + 1) / 2
  first = g / (np.abs(g) + 1e-8)  # Adam's first step, whatever the count
  expected = w - rate * (first + 0.1 * w)
  np.testing.assert_allclose(moved['predictor']['kernel'], expected, rtol=1e-9)


def test_a_parameter_held_for_ever_never_moves():
  params, _, moved = _held_and_free(held={'predictor': None})
  np.testing.assert_array_equal(
    moved['predictor']['kernel'], params['predictor']['kernel'].astype('f4')
  )


def test_two_players_move_by_turns(x64):
  params, gradients, _ = _held_and_free()
  one, _ = _run(
    optim.build(
      'sgd', learning_rate=0.1, batch_size=256, num_steps=10,
      in_turns=('encoder', 'predictor'),
    ),
    params, gradients[:1],
  )  # fmt: skip
  same = np.array_equal(
    one['predictor']['kernel'], params['predictor']['kernel']
  )
  moved = np.any(
    one['encoder']['conv']['kernel'] != params['encoder']['conv']['kernel']
  )
  assert same
  assert moved


def test_each_gradient_is_clipped_by_its_own_norm(x64):
  g = {'a': jnp.array([3.0, 4.0]), 'b': jnp.array([0.3])}
  clipped, _ = optim.clip_each(1.0).update(g, optax.EmptyState())
  np.testing.assert_allclose(clipped['a'], [0.6, 0.8], rtol=1e-6)
  np.testing.assert_array_equal(clipped['b'], g['b'])


def test_a_reset_starts_the_moments_of_named_parameters_anew():
  params, gradients, _ = _held_and_free()
  tx = optim.adamw(0.1)
  _, state = _run(tx, params, gradients)
  new = optim.reset(tx, state, params, ('predictor/',))
  moments = new[0].mu
  assert not np.any(moments['predictor']['kernel'])
  assert np.all(moments['encoder']['conv']['kernel'] != 0)
  assert int(new[0].count) == 3
