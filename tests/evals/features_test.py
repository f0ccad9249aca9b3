import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import sharding
from sslax.data import arrays
from sslax.evals import features

_RNG = np.random.default_rng(0)
_COLUMNS = {
  'image': _RNG.integers(0, 256, (11, 4, 4, 3), dtype=np.uint8),
  'video': _RNG.integers(0, 256, (11, 2, 4, 4, 3), dtype=np.uint8),
  'audio': _RNG.integers(-99, 99, (11, 6), dtype=np.int16),
  'text': _RNG.integers(0, 9, (11, 5), dtype=np.int32),
}
_LABELS = np.arange(11) % 3


@jax.jit
def _sums(examples):
  """Two features of an example, whatever its rank."""
  flat = examples.reshape(len(examples), -1).astype(jnp.float32)
  return jnp.stack([flat.sum(1), flat[:, -1]], 1)


@pytest.mark.parametrize('key', _COLUMNS)
def test_a_source_is_embedded_by_the_key_that_is_read(key):
  source = arrays.of_columns(_COLUMNS, _LABELS, image_size=4)
  extractor = features.Extractor(
    lambda x: x, 4, sharding.make_mesh(1), batch_size=8, reads=key
  )
  found, labels = features.of_source(extractor, _sums, source)
  np.testing.assert_array_equal(found, _sums(_COLUMNS[key]))
  np.testing.assert_array_equal(labels, _LABELS)


def test_another_key_can_be_read():
  source = arrays.of_columns(_COLUMNS, image_size=4)
  extractor = features.Extractor(lambda x: x, 4, sharding.make_mesh(1), 8)
  found, labels = features.of_source(extractor, _sums, source, 'text')
  np.testing.assert_array_equal(found, _sums(_COLUMNS['text']))
  assert labels is None


@pytest.mark.parametrize('key', _COLUMNS)
@pytest.mark.parametrize('count', [1, 8, 11])
def test_an_array_is_embedded_whatever_its_rank(key, count):
  column = _COLUMNS[key][:count]
  found = features.of_array(sharding.make_mesh(1), _sums, column)
  np.testing.assert_array_equal(found, _sums(column))


def test_what_is_embedded_is_what_was_prepared():
  extractor = features.Extractor(
    lambda x: x.astype(jnp.float32) / 2, None, sharding.make_mesh(1)
  )
  embed = extractor.jitted(lambda params, state, x: params * x + state)
  tokens = jnp.asarray(_COLUMNS['text'])
  scale, shift = (jnp.full((1, 1), v, jnp.float32) for v in (3, 1))
  np.testing.assert_allclose(
    embed(scale, shift, tokens), _COLUMNS['text'] * 1.5 + 1
  )
