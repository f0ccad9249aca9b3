"""Losses that compare all pairs, made to do so without the matrix of pairs."""

import jax
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from sslax import build, losses, sharding, train
from sslax import config as config_lib
from sslax.ops import pair_blocks, pair_sums
from tests.losses import (
  contrastive_cases,
  hypersphere_cases,
  multimodal_cases,
  supervised_cases,
)
from tests.losses.case import Case, value
from tests.losses.contrastive_cases import views

# One case of each way to the sums; other losses share these.
_NAMES = {
  'clip_convirt',
  'decoupled_weighted',
  'info_nce-own-negatives-and-batch',
  'info_nce-symmetric',
  'macl',
  'mocov3',
  'ntxent',
  'ntxent-cold',
  'siglip',
  'supcon-in-one',
  'supcon-lonely',
  'uniformity',
}
_MODULES = (
  contrastive_cases,
  hypersphere_cases,
  multimodal_cases,
  supervised_cases,
)
CASES = [c for m in _MODULES for c in m.CASES if str(c) in _NAMES] + [
  Case(
    losses.supcon,
    lambda rng: {'features': supervised_cases._features(rng)['features']},
    None,
    wrt=('features',),
    kwargs={'contrast_mode': 'one'},
    name='supcon-one-without-labels',
  ),
  Case(
    losses.spectral,
    lambda rng: views(rng, dim=3),  # fewer features than half of the rows
    None,
    wrt=('z1', 'z2'),
    kwargs={'mu': 0.5},
    name='spectral',
  ),
]


def test_every_case_is_there():
  assert {str(c) for c in CASES} >= _NAMES


def _function(case, monkeypatch, most_pairs):
  """value_and_grad of a loss that makes the matrix up to so many pairs."""

  def loss(free, held):
    return value(case.loss(**free, **held, **case.kwargs))

  def run(free, held):
    with monkeypatch.context() as patch:
      patch.setattr(pair_sums, '_DENSE_PAIRS', most_pairs)
      patch.setattr(pair_blocks, '_BLOCK_ROWS', 3)
      return jax.value_and_grad(loss)(free, held)

  return jax.jit(run)


def _inputs(case, dtype=np.float32, repeats=1):
  arrays = case.inputs(np.random.default_rng(0))
  for name, x in arrays.items():
    if x.ndim and name not in case.replicated:
      arrays[name] = np.repeat(x, repeats, 0)
    if x.dtype.kind == 'f':
      arrays[name] = arrays[name].astype(dtype)
  free = {k: v for k, v in arrays.items() if k in (*case.wrt, *case.frozen)}
  return free, {k: v for k, v in arrays.items() if k not in free}


def _assert_close(actual, expected, tolerance):
  arrays = (jax.tree.leaves(jax.device_get(x)) for x in (actual, expected))
  for a, b in zip(*arrays, strict=True):
    gap = np.linalg.norm(a - b)
    assert gap <= tolerance * max(np.linalg.norm(b), 1e-3), gap


each_case = pytest.mark.parametrize('case', CASES, ids=str)


@each_case
def test_equals_the_loss_of_the_matrix(case, monkeypatch):
  streamed = _function(case, monkeypatch, 0)
  free, held = _inputs(case)
  with jax.enable_x64(True):
    exact = _inputs(case, np.float64)
    expected = _function(case, monkeypatch, 10**9)(*exact)
    _assert_close(streamed(*exact), expected, 1e-12)
  # A logit of 100, of a temperature of 0.01, has a rounding of 4e-6 itself.
  cold = 10 if case.kwargs.get('temperature', 1) < 0.05 else 1
  _assert_close(streamed(free, held), expected, cold * 1e-6)
  for fill in (np.zeros_like, np.ones_like):
    found = streamed(jax.tree.map(fill, free), held)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(found))
  mesh = sharding.make_mesh(2)

  def place(name, x):
    whole = name in case.replicated or not x.ndim
    spread = sharding.replicated if whole else sharding.split_rows
    return jax.device_put(x, spread(mesh))

  shared = [{k: place(k, v) for k, v in part.items()} for part in (free, held)]
  _assert_close(streamed(*shared), expected, cold * 1e-6)


def _sizes(jaxpr):
  """Number of elements of all that is computed, inside of loops too."""
  for eqn in jaxpr.eqns:
    for inner in jaxprs_in_params(eqn.params):
      yield from _sizes(inner)
    yield from (v.aval.size for v in eqn.outvars)


@each_case
def test_makes_nothing_of_the_size_of_all_pairs(case, monkeypatch):
  inputs = _inputs(case, repeats=16)
  num = next(iter(inputs[0].values())).shape[0]
  most = {
    pairs: max(
      _sizes(_function(case, monkeypatch, pairs).trace(*inputs).jaxpr.jaxpr)
    )
    for pairs in (0, 10**9)
  }
  assert most[0] < num**2
  assert most[10**9] >= num**2 or case.loss is losses.spectral


def test_a_training_step_over_a_mesh_sends_keys_round(monkeypatch):
  """The loss is told of no devices: its arrays know them."""
  monkeypatch.setattr(pair_sums, '_DENSE_PAIRS', 0)
  parts = build.build(config_lib.override(config_lib.load('simclr:smoke'), []))
  image = jax.ShapeDtypeStruct(
    (16, 32, 32, 3), np.uint8, sharding=sharding.split_rows(parts.mesh)
  )
  batch = {parts.views.reads: image}
  arguments = parts.method, parts.tx, parts.views
  state = train.init_shapes(*arguments, batch, mesh=parts.mesh)
  step = train.make_step(*arguments, seed=0)
  jaxpr = train.compile_step(step, state, parts.mesh).trace(state, batch).jaxpr
  assert 'ppermute' in str(jaxpr)
