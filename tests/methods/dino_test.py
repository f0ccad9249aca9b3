"""DINO: the official steps, the teacher, and what keeps it from collapsing."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sslax import optim
from sslax.methods.dino import DinoState, dino
from sslax.nets import mlp
from tests.golden import steps_replay
from tests.methods import toy


def _recorded():
  """The recording without its constant: the gain of the last layer."""
  arrays = steps_replay.load('dino').arrays
  for name in ('student', 'teacher'):
    gain = arrays[f'{name}.projector.last_layer.gain']
    np.testing.assert_array_equal(gain, np.ones_like(gain))
  return steps_replay.Recording(
    {k: v for k, v in arrays.items() if not k.endswith('.gain')}
  )


def _recorded_method(hyper):
  epoch = hyper('steps_per_epoch')
  encoder = steps_replay.encoder(
    hyper('encoder_features'), hidden=hyper('hidden')
  )
  return dino(
    encoder,
    num_steps=hyper('num_epochs') * epoch,
    num_prototypes=hyper('num_prototypes'),
    hidden_size=hyper('head_hidden'),
    bottleneck_size=hyper('bottleneck'),
    momentum=hyper('momentum'),
    student_temperature=hyper('student_temperature'),
    teacher_temperature=hyper('teacher_temperature'),
    first_teacher_temperature=hyper('warmup_teacher_temperature'),
    temperature_warmup_steps=hyper('warmup_teacher_temperature_epochs') * epoch,
    temperature_every_steps=epoch,
    center_momentum=hyper('center_momentum'),
    frozen_steps=hyper('freeze_last_layer_epochs') * epoch,
    dtype='float64',
  )


def _recorded_optimizer(recorded, held):
  """That of optim.build, but for the official learning rates, step by step."""
  hyper = recorded.hyper
  times = {p: optim.from_step(n) for p, n in held.items()}
  decay = optim.cosine(
    hyper('weight_decay'),
    hyper('final_weight_decay'),
    num_steps=hyper('num_epochs') * hyper('steps_per_epoch'),
  )
  rates = jnp.asarray(recorded['learning_rate'])
  return optax.chain(
    optim.clip_each(hyper('clip_norm')),
    optim.adamw(lambda i: rates[i], weight_decay=decay, times=times),
    optim.when(optax.identity(), times),
  )


def test_five_steps_are_those_of_the_official_code(x64):
  recorded = _recorded()
  method = _recorded_method(recorded.hyper)
  tx = _recorded_optimizer(recorded, method.held)
  none = {'encoder': {}, 'projector': {}}
  state_at = lambda t: DinoState(  # noqa: E731
    none, recorded.tree('teacher', t), none, recorded['center'][t]
  )
  steps = steps_replay.run(method, tx, recorded, lambda _: state_at(0))
  for i, after in enumerate(steps):
    for key in ('loss', 'teacher_temperature'):
      steps_replay.assert_close(after.metrics[key], recorded[key][i])
    steps_replay.assert_close(after.params, recorded.tree('student', i + 1))
    steps_replay.assert_close(after.state, state_at(i + 1))


def _trained(num_steps=200, **arguments):
  """The metrics [num_steps] of a run on noisy observations of points."""
  method = dino(
    mlp(hidden=(32,), features=16),
    num_steps=10**6,
    num_prototypes=64,
    hidden_size=32,
    bottleneck_size=8,
    momentum=0.95,
    **arguments,
  )
  tx = optim.build(
    'adamw', learning_rate=0.01, batch_size=256, num_steps=num_steps
  )

  def step(carry, i):
    params, state, opt_state = carry
    grad = jax.value_and_grad(method.loss, has_aux=True)
    (_, (state, metrics)), grads = grad(
      params, state, {'views': toy.views(toy.key(i))}, rng=None, step=i
    )
    with jax.numpy_dtype_promotion('standard'):
      updates, opt_state = tx.update(grads, opt_state, params)
      params = optax.apply_updates(params, updates)
    params, state = method.update(params, state, step=i)
    return (params, state, opt_state), metrics

  def run(rng):
    params, state = method.init(rng, {'views': toy.views(rng)})
    first = (params, state, tx.init(params))
    return jax.lax.scan(step, first, jnp.arange(num_steps))[1]

  return method, jax.device_get(jax.jit(run)(jax.random.key(0)))


def test_centered_and_sharpened_it_does_not_collapse():
  method, metrics = _trained()
  assert metrics['embedding_std'][-1] > 0.6
  assert toy.said(method, {**metrics, 'loss': metrics['embedding_std']}) is None


@pytest.mark.parametrize(
  ('broken', 'entropy'),
  [
    ({'center_momentum': 1.0}, 0),  # no centering: one output takes all
    ({'teacher_temperature': 0.3, 'first_teacher_temperature': 0.3}, 1),
  ],
  ids=['centering', 'sharpening'],
)
def test_without_one_of_the_two_it_collapses_and_the_monitor_says_so(
  broken, entropy
):
  method, metrics = _trained(**broken)
  np.testing.assert_allclose(metrics['teacher_entropy'][-1], entropy, atol=0.02)
  said = toy.said(method, {**metrics, 'loss': metrics['embedding_std']})
  assert 'centering' in said.sentence
