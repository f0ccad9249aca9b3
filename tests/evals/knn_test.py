"""Exact kNN against a numpy loop, over chunks, blocks and devices."""

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sslax.evals import knn as module
from sslax.evals.knn import knn, knn_accuracy, neighbors


def test_docstring_examples():
  assert doctest.testmod(module).failed == 0


def _data(seed=0, n=48, m=13, d=6, num_classes=4, dtype=np.float64):
  rng = np.random.default_rng(seed)
  return {
    'train': rng.normal(size=(n, d)).astype(dtype) + 1,
    'train_labels': rng.integers(0, num_classes, n),
    'test': rng.normal(size=(m, d)).astype(dtype) + 1,
  }


def _loop(train, train_labels, test, *, num_classes, k, temperature, distance):
  scores = np.zeros((len(test), num_classes))
  for i, row in enumerate(test):
    if distance == 'euclidean':
      far = np.linalg.norm(train - row, axis=1)
      weights = 1 / (far + 1e-5)
    else:
      far = -(train @ row)
      if distance == 'cosine':
        far = far / np.linalg.norm(train, axis=1) / np.linalg.norm(row)
      weights = np.exp(-far / temperature)
    for j in np.argsort(far, kind='stable')[:k]:
      scores[i, train_labels[j]] += weights[j]
  return scores


@pytest.mark.parametrize('distance', ['cosine', 'dot', 'euclidean'])
@pytest.mark.parametrize('chunk_size', [1, 5, 64])
def test_equals_the_loop(distance, chunk_size, x64):
  data = _data()
  kwargs = {
    'num_classes': 4,
    'k': 7,
    'temperature': 0.5,
    'distance': distance,
  }
  np.testing.assert_allclose(
    knn(**data, **kwargs, chunk_size=chunk_size),
    _loop(**data, **kwargs),
    rtol=1e-9,
  )


@pytest.mark.parametrize('distance', ['cosine', 'euclidean'])
@pytest.mark.parametrize('block_size', [5, 20, 48])
def test_blocks_of_the_bank_change_nothing(
  distance, block_size, monkeypatch, x64
):
  data = _data(1)
  expected = neighbors(data['train'], data['test'], k=9, distance=distance)
  monkeypatch.setattr(module, '_BLOCK_SIZE', block_size)
  module._neighbors.clear_cache()
  actual = neighbors(data['train'], data['test'], k=9, distance=distance)
  module._neighbors.clear_cache()
  np.testing.assert_array_equal(actual[1], expected[1])
  np.testing.assert_allclose(actual[0], expected[0], rtol=1e-9)


@pytest.mark.parametrize('k', [3, 20])
@pytest.mark.parametrize('distance', ['cosine', 'euclidean'])
def test_eight_devices_equal_one(k, distance, x64):
  data = _data(2)
  mesh = Mesh(np.array(jax.devices()).reshape(4, 2), ('data', 'fsdp'))
  rows = NamedSharding(mesh, PartitionSpec(('data', 'fsdp')))
  train = jax.device_put(data['train'], rows)
  kwargs = {'k': k, 'distance': distance, 'chunk_size': 4}
  actual = neighbors(train, data['test'], **kwargs)
  expected = neighbors(data['train'], data['test'], **kwargs)
  np.testing.assert_array_equal(actual[1], expected[1])
  np.testing.assert_allclose(actual[0], expected[0], rtol=1e-9)


def test_no_device_sees_all_similarities():
  """Of a split bank only [M, devices · k] values are gathered."""
  mesh = Mesh(np.array(jax.devices()), ('data',))
  rows = NamedSharding(mesh, PartitionSpec('data'))
  train = jax.device_put(np.ones((4096, 8), np.float32), rows)
  compiled = module._neighbors.lower(
    train,
    jnp.ones((16, 8)),
    k=2,
    distance='cosine',
    chunk_size=16,
    split=module._split_of(train),
  ).compile()
  gathers = [
    line for line in compiled.as_text().splitlines() if ' all-gather(' in line
  ]
  assert gathers
  assert not any('4096' in line or '512]' in line for line in gathers)


def test_equal_rows_come_in_order():
  train = np.ones((40, 3), np.float32)
  mesh = Mesh(np.array(jax.devices()), ('data',))
  split = jax.device_put(train, NamedSharding(mesh, PartitionSpec('data')))
  for bank in (train, split):
    _, indices = neighbors(bank, train[:2], k=12)
    np.testing.assert_array_equal(indices, np.tile(np.arange(12), (2, 1)))


def test_compiles_once():
  data = _data(3, dtype=np.float32)
  knn(**data, num_classes=4, k=3)
  before = module._neighbors._cache_size()
  data = _data(4, dtype=np.float32)
  knn(**data, num_classes=4, k=3)
  assert module._neighbors._cache_size() == before


def test_k_beyond_the_bank_takes_all_of_it(x64):
  data = _data(5, n=4)
  kwargs = {'num_classes': 4, 'temperature': 1.0, 'distance': 'cosine'}
  np.testing.assert_allclose(
    knn(**data, **kwargs, k=200), _loop(**data, **kwargs, k=4), rtol=1e-9
  )


def test_accuracy_counts_ranks():
  x = np.eye(8, dtype=np.float32)
  y = np.arange(8)
  assert knn_accuracy(x, y, x, y, num_classes=8, k=1) == {
    'top1': 1.0,
    'top5': 1.0,
  }
  wrong = (y + 1) % 8  # equal votes for all but the own class: lower first
  result = knn_accuracy(x, y, x, wrong, num_classes=8, k=8)
  assert result == {'top1': 0.0, 'top5': 5 / 8}


def test_accuracy_survives_a_tiny_temperature():
  data = _data(6, dtype=np.float32)
  labels = np.asarray(
    jnp.argmax(knn(**data, num_classes=4, k=1, temperature=1.0), -1)
  )
  result = knn_accuracy(
    **data, test_labels=labels, num_classes=4, k=5, temperature=1e-3
  )
  assert result['top1'] == 1.0


def test_zero_and_bfloat16_rows_stay_finite():
  data = _data(7, dtype=np.float32)
  data['test'][0] = 0
  data = {k: jnp.asarray(v) for k, v in data.items()}
  data['train'] = data['train'].astype(jnp.bfloat16)
  scores = knn(**data, num_classes=4, k=5)
  assert scores.dtype == jnp.float32
  assert bool(jnp.isfinite(scores).all())


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'distance': 'cosin'}, "did you mean 'cosine'"),
    ({'k': 0}, 'k=0'),
    ({'train_labels': np.arange(48)}, 'num_classes=4'),
    ({'train_labels': np.zeros(3, int)}, 'labels has shape'),
    ({'test': np.zeros((2, 3))}, 'test has shape'),
  ],
)
def test_bad_input_is_named(change, message):
  with pytest.raises(ValueError, match=message):
    knn(**{**_data(), 'num_classes': 4, 'k': 3, **change})
