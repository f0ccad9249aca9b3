"""What every loss keeps: reference, gradient, devices, precision, stability.

Every `tests/losses/*_cases.py` lists its losses in CASES; nothing is
registered here.
"""

import importlib
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.test_util import check_vjp

from tests.losses.case import value

_FILES = sorted(pathlib.Path(__file__).parent.glob('*_cases.py'))
CASES = [
  case
  for file in _FILES
  for case in importlib.import_module(f'tests.losses.{file.stem}').CASES
]


class Compiled(NamedTuple):
  """A case and its one jitted function, shared by all checks."""

  case: Any
  run: Callable  # (differentiated, other) -> (loss, gradients)


@pytest.fixture(scope='module', params=CASES, ids=str)
def compiled(request):
  case = request.param

  def run(differentiated, other):
    return value(case.loss(**differentiated, **other, **case.kwargs))

  return Compiled(case, jax.jit(jax.value_and_grad(run)))


def _inputs(case, dtype, seed=0):
  arrays = case.inputs(np.random.default_rng(seed))
  return {
    k: v.astype(dtype) if np.issubdtype(v.dtype, np.floating) else v
    for k, v in arrays.items()
  }


def _split(case, arrays):
  names = (*case.wrt, *case.frozen)
  differentiated = {k: v for k, v in arrays.items() if k in names}
  return differentiated, {k: v for k, v in arrays.items() if k not in names}


def _on_eight_devices(case, arrays):
  mesh = Mesh(np.array(jax.devices()), ('data',))

  def place(name, array):
    spec = () if name in case.replicated else ('data',)
    return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*spec)))

  return {k: place(k, v) for k, v in arrays.items()}


def _assert_close(actual, expected, relative, floor=1e-30):
  for key in expected:
    a, b = np.asarray(actual[key]), np.asarray(expected[key])
    gap = np.linalg.norm(a - b)
    assert gap <= relative * max(np.linalg.norm(b), floor), (key, gap)


def test_equals_the_loops_of_its_equation(compiled, x64):
  case, run = compiled
  if case.reference is None:
    pytest.skip('another case of this loss carries the reference')
  for seed in range(3):
    arrays = _inputs(case, np.float64, seed)
    expected = case.reference(**arrays, **case.kwargs)
    actual, _ = run(*_split(case, arrays))
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def test_gradient_is_the_derivative(compiled, x64):
  case, run = compiled
  differentiated, other = _split(case, _inputs(case, np.float64))
  _, grads = run(differentiated, other)
  for name in case.frozen:
    assert not np.any(grads[name]), f'{name} must receive no gradient'
  if case.semi_gradient:
    return
  held = {k: differentiated[k] for k in case.frozen}
  free = {k: differentiated[k] for k in case.wrt}

  def with_gradient(inputs):
    loss, grads = run({**inputs, **held}, other)
    return loss, lambda cotangent: (
      {k: cotangent * grads[k] for k in case.wrt},
    )

  check_vjp(
    lambda inputs: with_gradient(inputs)[0],
    with_gradient,
    (free,),
    rtol=1e-5,
    atol=1e-7,
  )


@pytest.mark.parametrize(
  ('dtype', 'relative'), [(np.float64, 1e-9), (np.float32, 1e-5)]
)
def test_eight_devices_equal_one(compiled, dtype, relative):
  case, run = compiled
  with jax.enable_x64(dtype is np.float64):
    arrays = _inputs(case, dtype)
    loss, grads = run(*_split(case, arrays))
    loss8, grads8 = run(*_split(case, _on_eight_devices(case, arrays)))
  _assert_close({'loss': loss8}, {'loss': loss}, relative)
  _assert_close(grads8, grads, relative, floor=1e-3)
  assert loss.dtype == dtype
  assert loss.shape == ()


def test_bfloat16_rises_to_float32(compiled):
  case, run = compiled
  arrays = {
    k: jnp.asarray(v).astype(jnp.bfloat16) if v.dtype == np.float32 else v
    for k, v in _inputs(case, np.float32).items()
  }
  loss, grads = run(*_split(case, arrays))
  assert loss.dtype == jnp.float32
  assert np.isfinite(loss)
  assert all(bool(jnp.isfinite(g).all()) for g in grads.values())


def _hard_inputs(case):
  arrays = _inputs(case, np.float32)
  names = (*case.wrt, *case.frozen)

  def change(f):
    return {k: f(v) if k in names else v for k, v in arrays.items()}

  if not case.constrained:
    yield 'zeros', change(np.zeros_like)
    yield 'equal rows', change(np.ones_like)
    yield 'scaled by 1e4', change(lambda x: x * np.float32(1e4))
  for name, make in case.hard.items():
    yield name, {**arrays, **make()}


def test_stays_finite_on_hard_inputs(compiled):
  case, run = compiled
  for name, arrays in _hard_inputs(case):
    loss, grads = run(*_split(case, arrays))
    assert np.isfinite(loss), name
    for key, grad in grads.items():
      assert np.isfinite(grad).all(), (name, key)


def test_a_wrong_shape_is_named(compiled):
  case, _ = compiled
  arrays = _inputs(case, np.float32)
  name = case.wrt[0]
  with pytest.raises(ValueError, match=name):
    case.loss(**{**arrays, name: arrays[name][None]}, **case.kwargs)
