"""What every loss keeps: reference, gradient, devices, precision, stability.

Every `tests/losses/*_cases.py` lists its losses in CASES; nothing is
registered here.
"""

import importlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun, jaxprs_in_params
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.test_util import check_vjp

from tests.losses.case import value

_FILES = sorted(pathlib.Path(__file__).parent.glob('*_cases.py'))
CASES = [
  case
  for file in _FILES
  for case in importlib.import_module(f'tests.losses.{file.stem}').CASES
]


# What moves numbers, and computes nothing with them.
_MOVES = {
  'broadcast_in_dim',
  'concatenate',
  'convert_element_type',
  'gather',
  'reshape',
  'slice',
  'stack',
  'squeeze',
  'stop_gradient',
  'transpose',
}


class Compiled:
  """A case and its one function, shared by all checks.

  Attributes:
    case: from `tests/losses/*_cases.py`.
    run: (differentiated, other) -> (loss, gradients), jitted.
  """

  def __init__(self, case):
    def run(differentiated, other):
      return value(case.loss(**differentiated, **other, **case.kwargs))

    self.case = case
    self.run = jax.jit(jax.value_and_grad(run))

  def on_eight_devices(self, arrays):
    """Runs on arrays split by rows what one device was traced to run."""
    traced = self.run.trace(*_split(self.case, arrays))
    again = jax.jit(jaxpr_as_fun(traced.jaxpr))
    placed = _split(self.case, _on_eight_devices(self.case, arrays))
    return jax.tree.unflatten(
      jax.tree.structure(traced.out_info), again(*jax.tree.leaves(placed))
    )


@pytest.fixture(scope='module', params=CASES, ids=str)
def compiled(request):
  return Compiled(request.param)


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
  case, run = compiled.case, compiled.run
  if case.reference is None:
    pytest.skip('another case of this loss carries the reference')
  for seed in range(3):
    arrays = _inputs(case, np.float64, seed)
    expected = case.reference(**arrays, **case.kwargs)
    actual, _ = run(*_split(case, arrays))
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12)


def test_gradient_is_the_derivative(compiled, x64):
  case, run = compiled.case, compiled.run
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
  case, run = compiled.case, compiled.run
  with jax.enable_x64(dtype is np.float64):
    arrays = _inputs(case, dtype)
    loss, grads = run(*_split(case, arrays))
    loss8, grads8 = compiled.on_eight_devices(arrays)
  _assert_close({'loss': loss8}, {'loss': loss}, relative)
  _assert_close(grads8, grads, relative, floor=1e-3)
  assert loss.dtype == dtype
  assert loss.shape == ()


def test_bfloat16_rises_to_float32(compiled):
  """Before anything is computed; so what is finite in float32 is finite."""
  case, run = compiled.case, compiled.run
  arrays = _inputs(case, np.float32)
  low = {
    k: jnp.asarray(v, jnp.bfloat16 if v.dtype == np.float32 else None)
    for k, v in arrays.items()
  }
  jaxpr = jax.make_jaxpr(
    lambda arrays: value(case.loss(**arrays, **case.kwargs))
  )(low)
  assert jaxpr.out_avals[0].dtype == jnp.float32
  assert set(_primitives(jaxpr.jaxpr, jnp.bfloat16)) <= _MOVES
  rounded = {
    k: v if v.dtype != np.float32 else np.asarray(low[k].astype(np.float32))
    for k, v in arrays.items()
  }
  loss, grads = run(*_split(case, rounded))
  assert np.isfinite(loss)
  assert all(np.isfinite(g).all() for g in grads.values())


def _primitives(jaxpr, dtype):
  """Names of the primitives that take or give a dtype."""
  for eqn in jaxpr.eqns:
    inner = list(jaxprs_in_params(eqn.params))
    for part in inner:
      yield from _primitives(part, dtype)
    arrays = [v.aval for v in (*eqn.invars, *eqn.outvars)]
    if not inner and any(getattr(a, 'dtype', None) == dtype for a in arrays):
      yield eqn.primitive.name


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
  case, run = compiled.case, compiled.run
  for name, arrays in _hard_inputs(case):
    loss, grads = run(*_split(case, arrays))
    assert np.isfinite(loss), name
    for key, grad in grads.items():
      assert np.isfinite(grad).all(), (name, key)


def test_a_wrong_shape_is_named(compiled):
  case = compiled.case
  arrays = _inputs(case, np.float32)
  name = case.wrt[0]
  with pytest.raises(ValueError, match=name):
    case.loss(**{**arrays, name: arrays[name][None]}, **case.kwargs)
