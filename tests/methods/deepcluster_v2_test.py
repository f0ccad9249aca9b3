"""DeepCluster v2: banks, clusterings of them, and clusters left empty."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.methods.deepcluster_v2 import deepcluster_v2
from sslax.nets import mlp
from tests.methods import toy

# A batch norm takes away what the bias before it adds.
WITHOUT_GRADIENT = ("['projector']['linear1']['bias']",)
_NUM = 64  # examples


def _method(**kwargs):
  return deepcluster_v2(
    mlp(hidden=(16,), features=8),
    num_examples=_NUM,
    num_prototypes=(6, 4, 5),
    hidden_size=16,
    projection_size=4,
    **kwargs,
  )


@pytest.fixture(scope='module')
def method():
  return _method()


@pytest.fixture(scope='module')
def start(method):
  return jax.jit(method.init)(
    jax.random.key(0), {'views': toy.views(jax.random.key(1))}
  )


class _Dataset:
  """Returns unit rows; may be asked once."""

  num_examples = _NUM

  def __init__(self, rows):
    self.rows = [rows]

  def map(self, function, params, state):
    del function, params, state
    return self.rows.pop()


def _unit(seed, num=_NUM):
  x = np.random.default_rng(seed).normal(size=(num, 4)).astype(np.float32)
  return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_banks_hold_the_last_embeddings_of_the_first_views(method, start):
  params, state = start
  views = (*toy.views(jax.random.key(1), 4), *toy.views(jax.random.key(2), 4))
  index = jnp.array([9, 3, 9, 60])
  batch = {'views': views, 'index': index}
  run = jax.jit(method.loss)
  _, (new, _) = run(params, state, batch, rng=jax.random.key(0), step=0)
  assert len(new.bank) == 2
  for rows in new.bank:
    written = np.flatnonzero(np.any(rows, axis=1))
    assert set(written) == {3, 9, 60}
    norms = np.linalg.norm(rows[written], axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-5)
  assert not np.allclose(new.bank[0][3], new.bank[1][3])
  # What is written is what the loss compares with the prototypes.
  _, (after, _) = run(params, new, batch, rng=jax.random.key(0), step=1)
  jax.tree.map(np.testing.assert_array_equal, after.bank, new.bank)


def test_clusterings_start_from_the_data_set_then_from_banks(method, start):
  params, state = start
  run = method.refresh.run
  how = {'rng': jax.random.key(3)}
  rows = _unit(0)
  _, first = run(params, state, _Dataset(rows), step=0, **how)
  for bank in first.bank:
    np.testing.assert_array_equal(bank[:_NUM], rows)
  nobody = _Dataset(None)
  nobody.rows = []  # is not asked any more
  filled = np.concatenate([_unit(1), first.bank[1][_NUM:]])
  state = first._replace(bank=(first.bank[0], filled))
  _, second = run(params, state, nobody, step=312, **how)
  for i, (labels, prototypes) in enumerate(
    zip(second.labels, second.prototypes, strict=True)
  ):
    nearest = np.argmax(state.bank[i % 2][:_NUM] @ prototypes.T, -1)
    np.testing.assert_array_equal(labels, nearest)
    assert len(np.unique(labels)) == len(prototypes) == (6, 4, 5)[i]
  np.testing.assert_array_equal(second.labels[0], first.labels[0])
  assert (second.labels[1] != first.labels[1]).any()


def _points(i):
  """Always the same points, seen through other noise."""
  points = toy.views(jax.random.key(5), noise=0.0)[0]
  rngs = jax.random.split(toy.key(i), 2)
  views = tuple(
    points + 0.3 * jax.random.normal(k, points.shape, jnp.float32) for k in rngs
  )
  return {'views': views, 'index': jnp.arange(_NUM)}


def _in_one_cluster(method):
  def init(rng, batch):
    params, state = method.init(rng, batch)
    return params, state._replace(
      labels=jax.tree.map(jnp.zeros_like, state.labels)
    )

  return method._replace(init=init)


def test_collapses_where_all_clusters_but_one_are_empty(method):
  alike = _in_one_cluster(method)
  sick = toy.said(alike, toy.trained(alike, 140, 0.02, _points))
  assert sick is not None
  assert 'no cluster may stay empty' in sick.sentence
  assert toy.said(method, toy.trained(method, 140, 0.02, _points)) is None
