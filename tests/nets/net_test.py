import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from sslax import nets
from sslax.errors import BadInputError
from sslax.nets import from_linen, from_nnx


class _Linen(nn.Module):
  """A user's backbone of the other kind."""

  @nn.compact
  def __call__(self, inputs, train):
    x = nn.Conv(4, (3, 3))(inputs)
    x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
    x = nn.Dropout(0.5, deterministic=not train)(x.mean((1, 2)))
    return nn.Dense(2)(x)


class _Nnx(nnx.Module):
  """The same in nnx, with a list of layers."""

  def __init__(self, rngs):
    self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
    self.norm = nnx.BatchNorm(4, rngs=rngs)
    self.dropout = nnx.Dropout(0.5, rngs=rngs)
    self.layers = nnx.List([nnx.Linear(4, 4, rngs=rngs) for _ in range(2)])

  def __call__(self, inputs):
    x = nnx.relu(self.norm(self.conv(inputs))).mean((1, 2))
    x = self.dropout(x)
    for layer in self.layers:
      x = layer(x)
    return x


class _NnxPlain(nnx.Module):
  """Nothing random."""

  def __init__(self, rngs):
    self.norm = nnx.BatchNorm(3, rngs=rngs)

  def __call__(self, inputs):
    return self.norm(inputs)


def _images():
  images = np.random.default_rng(0).normal(size=(16, 6, 6, 3))
  return images.astype(np.float32)


_NETS = {'linen': from_linen(_Linen()), 'nnx': from_nnx(_Nnx)}


@pytest.fixture(scope='module', params=_NETS)
def built(request):
  net = _NETS[request.param]
  apply = jax.jit(net.apply, static_argnames='train')
  return apply, *net.init(jax.random.key(1), _images())


def test_same_key_same_output(built):
  apply, params, stats = built
  first, again, other = (
    apply(params, stats, _images(), train=True, rng=jax.random.key(seed))[0]
    for seed in (2, 2, 3)
  )
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()


def test_train_moves_statistics_and_keeps_their_tree(built):
  apply, params, stats = built
  key = jax.random.key(2)
  _, moved = apply(params, stats, _images(), train=True, rng=key)
  like = jax.tree.map(lambda x: (x.shape, x.dtype), stats)
  assert jax.tree.map(lambda x: (x.shape, x.dtype), moved) == like
  for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(stats), strict=True):
    assert (a != b).any()


def test_eval_leaves_statistics_and_needs_no_rng(built):
  apply, params, stats = built
  first, kept = apply(params, stats, _images(), train=False)
  for a, b in zip(jax.tree.leaves(kept), jax.tree.leaves(stats), strict=True):
    np.testing.assert_array_equal(a, b)
  key = jax.random.key(5)
  again, _ = apply(params, stats, _images(), train=False, rng=key)
  np.testing.assert_array_equal(first, again)


def test_trains(built):
  apply, params, stats = built
  tx = optax.adam(3e-2)
  targets = _images().mean((1, 2))[:, 0]

  @jax.jit
  def step(params, stats, moments, key):
    def loss(params):
      outputs, new = apply(params, stats, _images(), train=True, rng=key)
      return jnp.square(outputs[:, 0] - targets).mean(), new

    (value, new), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, moments = tx.update(grads, moments)
    return optax.apply_updates(params, updates), new, moments, value

  def evaluate():
    outputs, _ = apply(params, stats, _images(), train=False)
    return np.square(outputs[:, 0] - targets).mean()

  moments = tx.init(params)
  with jax.numpy_dtype_promotion('standard'):
    for i in range(60):
      key = jax.random.key(i)
      params, stats, moments, _ = step(params, stats, moments, key)
      if i == 29:  # statistics have settled
        halfway = evaluate()
  assert evaluate() < max(halfway, np.var(targets))


def test_dropout_without_a_key_is_refused():
  for net in _NETS.values():
    params, stats = net.init(jax.random.key(1), _images())
    with pytest.raises((ValueError, nn.module.errors.InvalidRngError)):
      net.apply(params, stats, _images(), train=True)


def test_train_without_a_key_where_nothing_is_random():
  net = from_nnx(_NnxPlain)
  params, stats = net.init(jax.random.key(0))
  outputs, _ = net.apply(params, stats, _images(), train=True)
  np.testing.assert_allclose(np.mean(outputs), 0, atol=1e-5)
  net = nets.resnet(width=4, stage_sizes=(1,), stem='small')
  params, stats = net.init(jax.random.key(0), _images())
  outputs, _ = net.apply(params, stats, _images(), train=True)
  assert outputs.shape == (16, 4)


def test_init_depends_on_its_key_alone():
  net = nets.mlp(hidden=(4,), features=2)
  inputs = np.ones((2, 3), np.float32)
  first, _ = net.init(jax.random.key(0), inputs)
  again, _ = net.init(jax.random.key(0), 2 * inputs)
  other, _ = net.init(jax.random.key(1), inputs)
  kernel = first['linear1']['kernel']
  np.testing.assert_array_equal(kernel, again['linear1']['kernel'])
  assert (kernel != other['linear1']['kernel']).any()


def test_build_by_name():
  net = nets.build('mlp', hidden=(4,), features=2)
  params, _ = net.init(jax.random.key(0), np.ones((2, 3), np.float32))
  assert params['linear2']['kernel'].shape == (4, 2)


@pytest.mark.parametrize(
  ('name', 'kwargs', 'message'),
  [
    ('resnt', {}, "net.name.*'resnt'.*'resnet'"),
    ('norm', {}, r"net.name.*'norm'"),  # a module, not a network
    ('chain', {}, r"net.name.*'chain'"),  # takes networks, not values
    ('resnet', {'dept': 50}, "net.dept.*'depth'"),
  ],
)
def test_build_refuses_unknown_names(name, kwargs, message):
  with pytest.raises(BadInputError, match=message):
    nets.build(name, **kwargs)
