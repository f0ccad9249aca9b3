"""Losses, gradients and states recorded from the authors' own code.

`pytest tests/golden_test.py --golden-dir=DIR` runs every .npz of DIR through
the adapter named by the part of its file name before `__`. The files' format
and origin: tests/golden/MANIFEST.md.

An adapter is a function (x, hp, form) -> dict in an ADAPTERS table of some
`tests/golden_adapters/*.py`: x holds the `in_*` arrays, hp the `hp_*` scalars,
form is the part of the file name after `__`. It returns the `loss` and each
`out_*`, computed by library functions; an output that sslax does not define
stands in the module's UNDEFINED table with the reason.
"""

import importlib
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

_MODULES = [
  importlib.import_module(f'tests.golden_adapters.{file.stem}')
  for file in sorted(pathlib.Path(__file__).parent.glob('golden_adapters/*.py'))
]
ADAPTERS = {k: v for m in _MODULES for k, v in m.ADAPTERS.items()}
UNDEFINED = {
  k: v for m in _MODULES for k, v in getattr(m, 'UNDEFINED', {}).items()
}
# A peer's own rounding may cancel by luck: 32 roundings are always allowed.
_FLOAT32_FLOOR = 32 * float(np.finfo(np.float32).eps)


def pytest_generate_tests(metafunc):
  if 'golden' in metafunc.fixturenames:
    folder = pathlib.Path(metafunc.config.getoption('--golden-dir'))
    files = sorted(folder.glob('*.npz'))
    metafunc.parametrize('golden', files, ids=[f.stem for f in files])


def _part(arrays, prefix):
  n = len(prefix)
  return {k[n:]: v for k, v in arrays.items() if k.startswith(prefix)}


def _cast(x, dtype):
  return {
    k: jnp.asarray(v, dtype if np.issubdtype(v.dtype, np.floating) else None)
    for k, v in x.items()
  }


def _run(adapter, x, hp, form, wrt):
  """Returns the adapter's outputs, and gradients of its loss by name."""

  def outputs_and_grads(x):
    if not wrt:
      return adapter(x, hp, form), {}

    def loss(differentiated):
      outputs = adapter({**x, **differentiated}, hp, form)
      return outputs['loss'], outputs

    grads, outputs = jax.grad(loss, has_aux=True)({k: x[k] for k in wrt})
    return outputs, grads

  try:
    return jax.jit(outputs_and_grads)(x)  # one program compiles sooner
  except jax.errors.JAXTypeError:  # this adapter needs numbers on the host
    return outputs_and_grads(x)


def _assert_close(actual, expected, relative, what):
  actual, expected = np.asarray(actual), np.asarray(expected)
  actual = np.reshape(actual, expected.shape)
  if expected.dtype.kind in 'ib':
    np.testing.assert_array_equal(actual, expected, err_msg=what)
    return
  scale = max(np.max(np.abs(expected), initial=0), 1e-12)
  np.testing.assert_allclose(
    actual, expected, rtol=relative, atol=relative * scale, err_msg=what
  )


def test_the_directory_holds_cases(request):
  folder = pathlib.Path(request.config.getoption('--golden-dir'))
  assert list(folder.glob('*.npz')), f'no .npz file in {folder}'


def test_agrees_with_the_authors_code(golden):
  name, form = golden.stem.split('__', 1)
  assert name in ADAPTERS, f'{golden.name}: no adapter for {name!r}'
  with np.load(golden, allow_pickle=False) as file:
    arrays = dict(file)
  # A scalar, or the list of a hyper-parameter that has several numbers.
  hp = {k: v.tolist() for k, v in _part(arrays, 'hp_').items()}
  x, grads = _part(arrays, 'in_'), _part(arrays, 'grad_')
  expected = _part(arrays, 'out_')
  if 'loss' in arrays:
    expected['loss'] = arrays['loss']

  with jax.enable_x64(True):
    outputs, actual = _run(
      ADAPTERS[name], _cast(x, np.float64), hp, form, list(grads)
    )
    for key, value in expected.items():
      if key in UNDEFINED.get(name, {}):
        continue
      assert key in outputs, f'{golden.name}: the adapter gives no {key!r}'
      _assert_close(outputs[key], value, 1e-9, f'{golden.name} {key}')
    for key, value in grads.items():
      _assert_close(actual[key], value, 1e-9, f'{golden.name} gradient {key}')

  if 'loss_f32' in arrays:
    outputs, _ = _run(ADAPTERS[name], _cast(x, np.float32), hp, form, [])
    loss, loss_f32, actual = (
      np.squeeze(np.asarray(value, np.float64))  # some peers give shape [1]
      for value in (arrays['loss'], arrays['loss_f32'], outputs['loss'])
    )
    tolerance = max(10 * abs(loss_f32 - loss), _FLOAT32_FLOOR * abs(loss))
    assert abs(actual - loss) <= tolerance
