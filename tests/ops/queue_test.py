"""A queue keeps the newest rows, in order, around its end."""

import doctest
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.ops import queue as fifo


def test_the_examples_of_the_docs_hold():
  result = doctest.testmod(fifo)
  assert result.attempted > 0
  assert result.failed == 0


def _rows(first, count):
  return jnp.arange(first, first + count, dtype=jnp.float32)[:, None]


@pytest.mark.parametrize('batch', [1, 2, 3, 5, 7, 12])
def test_it_holds_the_newest_rows_in_the_order_they_came(batch):
  queue = fifo.Queue(jnp.full((5, 1), -1.0), jnp.int32(0))
  for step in range(4):
    queue = jax.jit(fifo.push)(queue, _rows(step * batch, batch))
    seen = np.arange((step + 1) * batch)
    expected = np.concatenate([np.full(5, -1), seen])[-5:]
    actual = fifo.oldest_first(queue).ravel()
    np.testing.assert_array_equal(actual, expected)


def test_it_starts_with_distinct_unit_rows():
  queue = fifo.init(jax.random.key(0), 6, 3)
  norms = jnp.linalg.norm(queue.rows, axis=1)
  np.testing.assert_allclose(norms, 1, rtol=1e-6)
  assert len(np.unique(np.asarray(queue.rows), axis=0)) == 6
  assert int(queue.cursor) == 0


def test_state_keeps_its_types_and_takes_no_gradient():
  queue = fifo.init(jax.random.key(0), 4, 2, jnp.bfloat16)
  after = fifo.push(queue, jnp.ones((2, 2)))
  types = partial(jax.tree.map, lambda x: (x.shape, x.dtype))
  assert types(after) == types(queue)
  grad = jax.grad(lambda x: fifo.push(queue, x).rows.astype('f4').sum())
  assert not np.any(grad(jnp.ones((2, 2))))


def test_a_row_of_another_width_is_named():
  queue = fifo.init(jax.random.key(0), 4, 2)
  with pytest.raises(ValueError, match='rows'):
    fifo.push(queue, jnp.ones((2, 3)))
