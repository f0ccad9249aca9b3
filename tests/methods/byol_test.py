"""BYOL: the teacher is an average, and what keeps it from collapsing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import health, sharding, train
from sslax.data import photos, pipeline, view_recipes
from sslax.methods import byol as byol_module
from sslax.nets import Net, resnet
from sslax.optim import build

# A batch norm takes away what the bias before it adds.
WITHOUT_GRADIENT = ("['hidden1']['bias']", "['linear1']['bias']")
_STEPS = 200
_BATCH = 32


def _identity():
  return Net(
    lambda rng, x: ({}, {}), lambda p, s, x, *, train, rng=None: (x, s)
  )


def _method(**kwargs):
  encoder = resnet(width=8, stem='small_stride2', stage_sizes=(1, 1))
  return byol_module.byol(
    encoder,
    num_steps=_STEPS,
    hidden_size=64,
    projection_size=16,
    momentum=0.97,
    **kwargs,
  )


def _without_predictor(monkeypatch):
  """The second head that the factory makes, the predictor, is the identity."""
  made = []
  head = byol_module.mlp

  def mlp(**kwargs):
    made.append(kwargs)
    return head(**kwargs) if len(made) == 1 else _identity()

  monkeypatch.setattr(byol_module, 'mlp', mlp)
  return _method()


def _as_its_own_teacher(monkeypatch):
  """Gradients flow through both sides, and the teacher is the student."""
  monkeypatch.setattr(
    byol_module.losses,
    'byol',
    lambda p, z: jnp.mean(jnp.sum((_unit(p) - _unit(z)) ** 2, -1)),
  )
  method = _without_predictor(monkeypatch)

  def loss(params, state, batch, *, rng, step):
    teacher = {k: params[k] for k in state.teacher}
    value, (new, metrics) = method.loss(
      params, state._replace(teacher=teacher), batch, rng=rng, step=step
    )
    return value, (new._replace(teacher=state.teacher), metrics)

  return method._replace(loss=loss)


def _unit(x):
  return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def _train_until_sick(method, seed):
  """Returns what the health monitor says, or None after all steps."""
  source = photos.load(split='train', image_size=32, seed=seed)
  recipe = (
    method,
    build(
      'adamw',
      learning_rate=8e-3,
      batch_size=_BATCH,
      num_steps=_STEPS,
      weight_decay=1e-4,
      warmup_ratio=0.1,
    ),
    view_recipes.build('byol', size=16, crop_scale=(0.2, 1.0), blur_prob=0.0),
  )
  mesh = sharding.make_mesh(1, jax.devices()[:1])
  batches = pipeline.batches(source, batch_size=_BATCH, seed=seed)
  first = sharding.place(mesh, next(batches))
  state = train.make_init(*recipe, first, seed=seed, mesh=mesh)(first)
  step = train.compile_step(train.make_step(*recipe, seed=seed), state, mesh)
  observe = health.monitor(method.safeguard)
  for i in range(_STEPS):
    state, metrics = step(state, sharding.place(mesh, next(batches)))
    row = {k: v.item() for k, v in jax.device_get(metrics).items()}
    if sick := observe([{'step': i, **row}]):
      return sick
  return None


@pytest.mark.parametrize(
  'broken', [_without_predictor, _as_its_own_teacher], ids=lambda f: f.__name__
)
def test_collapses_without_its_safeguard_and_the_monitor_says_so(
  broken, monkeypatch
):
  sick = _train_until_sick(broken(monkeypatch), seed=0)
  assert sick is not None
  assert 'collapsed' in sick.sentence
  assert 'the predictor' in sick.sentence


def test_the_monitor_is_silent_on_a_healthy_run():
  assert _train_until_sick(_method(), seed=0) is None


def test_the_teacher_is_the_average_that_the_cosine_schedule_gives():
  method = _method()
  rng = np.random.default_rng(0)
  view = jnp.asarray(rng.normal(size=(4, 32, 32, 3)), jnp.float32)
  params, state = method.init(jax.random.key(0), {'views': (view, view)})
  moved = jax.tree.map(lambda x: x + 1, params)
  for step in (0, 50, _STEPS):
    keep = 1 - 0.03 * (np.cos(np.pi * step / _STEPS) + 1) / 2
    _, after = method.update(moved, state, step=jnp.int32(step))
    for old, new in zip(
      jax.tree.leaves(state.teacher),
      jax.tree.leaves(after.teacher),
      strict=True,
    ):
      np.testing.assert_allclose(new, old + (1 - keep), atol=2e-6)


def test_no_gradient_reaches_the_teacher():
  method = _method()
  rng = np.random.default_rng(0)
  images = [
    jnp.asarray(rng.normal(size=(8, 32, 32, 3)), jnp.float32) for _ in range(2)
  ]
  params, state = method.init(jax.random.key(0), {'views': images})

  def loss(teacher):
    return method.loss(
      params,
      state._replace(teacher=teacher),
      {'views': tuple(images)},
      rng=jax.random.key(1),
      step=jnp.int32(0),
    )[0]

  grads = jax.jit(jax.grad(loss))(state.teacher)
  assert not any(np.any(g) for g in jax.tree.leaves(grads))
