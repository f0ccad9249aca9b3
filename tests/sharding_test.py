"""Meshes, batches and what is split."""

import jax
import numpy as np
import pytest

from sslax import sharding
from sslax.errors import BadInputError


def test_a_batch_that_does_not_divide_is_refused_with_the_nearest_two():
  mesh = sharding.make_mesh()
  sharding.check_batch_size(16, mesh)
  with pytest.raises(BadInputError, match=r'20, which 8 .* 16 or 24'):
    sharding.check_batch_size(20, mesh)
  with pytest.raises(BadInputError, match=r'can: 8$'):
    sharding.check_batch_size(0, mesh)


def test_fsdp_splits_the_largest_axis_of_large_arrays_alone():
  mesh = sharding.make_mesh(4)
  tree = {'large': np.zeros((3, 64, 256)), 'small': np.zeros((64,))}
  shardings = sharding.state_shardings(mesh, tree)
  assert shardings['large'].spec == jax.P(None, None, 'fsdp')
  assert shardings['small'].spec == jax.P()


def test_a_memory_bank_is_split_by_rows_over_all_devices():
  mesh = sharding.make_mesh(2)
  state = {'bank': np.zeros((16, 3)), 'uneven': {'bank': np.zeros((9, 3))}}
  shardings = sharding.state_shardings(mesh, state)
  assert shardings['bank'].spec == jax.P(('data', 'fsdp'))
  assert shardings['uneven']['bank'].spec == jax.P()


def test_feed_keeps_the_order_and_loses_nothing():
  batches = [{'x': np.full((8, 1), i)} for i in range(5)]
  seen = [b['x'] for b in sharding.feed(sharding.make_mesh(), batches)]
  assert [int(x[0, 0]) for x in seen] == list(range(5))
  assert len(seen[0].sharding.device_set) == 8
