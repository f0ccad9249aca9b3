import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.nets.mlp import mlp


def _inputs(shape=(6, 5)):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _run(net, inputs, train=True):
  params, stats = net.init(jax.random.key(0), inputs)
  outputs, moved = net.apply(params, stats, inputs, train=train)
  return params, stats, outputs, moved


def _batch_norm(x):
  return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)


def test_is_linear_norm_relu_linear():
  net = mlp(hidden=(8,), features=3)
  params, _, outputs, _ = _run(net, _inputs())
  p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
  x = _inputs() @ p['linear1']['kernel'] + p['linear1']['bias']
  x = np.maximum(_batch_norm(x), 0)
  want = x @ p['linear2']['kernel'] + p['linear2']['bias']
  np.testing.assert_allclose(outputs, want, rtol=1e-4, atol=1e-5)


def test_byol_official_head_has_no_final_bias():
  params, *_ = _run(mlp(hidden=(8,), features=3, final_bias=False), _inputs())
  shapes = {k: set(v) for k, v in params.items()}
  assert shapes == {
    'linear1': {'kernel', 'bias'},
    'norm1': {'scale', 'bias'},
    'linear2': {'kernel'},
  }


def test_hidden_bias_can_be_left_out():
  params, *_ = _run(
    mlp(hidden=(8, 8), features=3, hidden_bias=False), _inputs()
  )
  biased = {k for k, v in params.items() if 'bias' in v}
  assert biased == {'norm1', 'norm2', 'linear3'}


def test_final_norm_standardizes_the_output():
  net = mlp(hidden=(8,), features=3, final_norm=True)
  params, _, outputs, _ = _run(net, _inputs((64, 5)))
  assert 'norm2' not in params
  np.testing.assert_allclose(np.mean(outputs, 0), 0, atol=1e-5)
  np.testing.assert_allclose(np.std(outputs, 0), 1, rtol=1e-3)


@pytest.mark.parametrize('norm', ['none', 'layer', 'group'])
def test_examples_do_not_meet_without_batch_norm(norm):
  net = mlp(hidden=(64,), features=3, norm=norm)
  params, stats, outputs, moved = _run(net, _inputs())
  assert stats == moved == {}
  one, _ = net.apply(params, stats, _inputs()[:1], train=True)
  np.testing.assert_allclose(one, outputs[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(('norm', 'groups'), [('layer', 1), ('group', 32)])
def test_example_norms_standardize_each_group(norm, groups):
  size = 64
  net = mlp(hidden=(), features=size, norm=norm, final_norm=True)
  _, _, outputs, _ = _run(net, _inputs())
  grouped = np.asarray(outputs).reshape(6, groups, size // groups)
  np.testing.assert_allclose(grouped.mean(-1), 0, atol=1e-5)
  _, _, plain, _ = _run(mlp(hidden=(), features=size, norm='none'), _inputs())
  plain = np.asarray(plain).reshape(grouped.shape)
  want = plain.var(-1) / (plain.var(-1) + 1e-5)
  np.testing.assert_allclose(grouped.var(-1), want, rtol=1e-3)


def test_group_norm_takes_any_size():
  _, _, outputs, _ = _run(
    mlp(hidden=(48,), features=3, norm='group'), _inputs()
  )
  assert np.isfinite(outputs).all()


def test_batch_norm_of_a_collapsed_batch_stays_small():
  # mean² = 1e6 · var: a one-pass variance in float32 would be noise.
  net = mlp(hidden=(), features=4, final_norm=True, final_bias=False)
  inputs = 100 + 0.1 * _inputs((64, 4))
  params, stats = net.init(jax.random.key(0), inputs)
  params = {'linear1': {'kernel': jnp.eye(4)}}
  outputs, _ = net.apply(params, stats, inputs, train=True)
  want = _batch_norm(inputs.astype(np.float64))
  np.testing.assert_allclose(outputs, want, atol=1e-2)


def test_eval_uses_running_statistics():
  net = mlp(hidden=(8,), features=3)
  params, stats, _, moved = _run(net, _inputs())
  one, kept = net.apply(params, moved, _inputs()[:1], train=False)
  many, _ = net.apply(params, moved, _inputs(), train=False)
  np.testing.assert_allclose(one, many[:1], rtol=1e-5, atol=1e-6)
  assert kept is moved
  assert jax.tree.structure(stats) == jax.tree.structure(moved)


@pytest.mark.parametrize('norm', ['batch', 'layer', 'group', 'none'])
def test_bfloat16(norm):
  net = mlp(hidden=(8,), features=3, norm=norm, dtype='bfloat16')
  params, _, outputs, moved = _run(net, _inputs())
  assert outputs.dtype == jnp.bfloat16
  dtypes = {x.dtype.name for x in jax.tree.leaves((params, moved))}
  assert dtypes == {'float32'}


@pytest.mark.parametrize('norm', ['batch', 'layer'])
def test_float64_stays(x64, norm):
  net = mlp(hidden=(8,), features=3, norm=norm, dtype='float64')
  params, _, outputs, moved = _run(net, _inputs())
  leaves = jax.tree.leaves((params, moved, outputs))
  assert {x.dtype.name for x in leaves} == {'float64'}


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'norm': 'bach'}, "net.norm='bach' .*'batch'"),
    ({'norm': 'none', 'final_norm': True}, 'net.final_norm'),
    ({'hidden': (8, 0)}, r'net.hidden=\(8, 0\)'),
    ({'features': -1}, 'net.features=-1'),
  ],
)
def test_bad_input(kwargs, message):
  with pytest.raises(BadInputError, match=message):
    mlp(**kwargs)
