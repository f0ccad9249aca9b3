import numpy as np
import pytest

from sslax.data import arrays
from sslax.data.source import tensorflow
from sslax.errors import BadInputError

IMAGES = np.arange(5 * 2 * 2 * 3, dtype=np.uint8).reshape(5, 2, 2, 3)
LABELS = np.array([0, 1, 0, 2, 1])


def fetch(source, indices):
  rows = source.fetch(tensorflow().constant(indices, 'int64'))
  return {key: value.numpy() for key, value in rows.items()}


def test_rows_are_the_images_asked_for():
  source = arrays.load(IMAGES, LABELS)
  rows = fetch(source, [3, 0, 3])
  np.testing.assert_array_equal(rows['image'], IMAGES[[3, 0, 3]])
  np.testing.assert_array_equal(rows['label'], [2, 0, 2])
  np.testing.assert_array_equal(rows['index'], [3, 0, 3])
  assert rows['label'].dtype == np.int32
  assert source.class_names == ('0', '1', '2')
  assert source.image_size == 2
  assert source.fingerprint == 'arrays train (5 images)'


@pytest.mark.parametrize(
  ('key', 'column', 'words'),
  [
    ('video', np.zeros((5, 4, 2, 2, 3), np.uint8), '5 videos'),
    ('audio', np.zeros((5, 16), np.int16), '5 sounds'),
    ('text', np.zeros((5, 6), np.int32), '5 texts'),
  ],
)
def test_columns_of_every_modality_become_a_source(key, column, words):
  column[2] = 7
  source = arrays.of_columns({key: column}, LABELS, sample_rate=8)
  rows = fetch(source, [2, 1])
  np.testing.assert_array_equal(rows[key], column[[2, 1]])
  assert rows[key].dtype == column.dtype
  np.testing.assert_array_equal(rows['label'], [0, 1])
  assert source.holds == (key,)
  assert source.fingerprint == f'arrays train ({words})'
  assert source.sample_rate == 8


def test_labels_are_optional():
  source = arrays.load(IMAGES)
  assert source.class_names is None
  assert set(fetch(source, [1])) == {'image', 'index'}


@pytest.mark.parametrize(
  ('images', 'labels', 'names', 'says'),
  [
    (IMAGES / 255, None, None, 'float64; uint8'),
    (IMAGES[:0], None, None, 'no images'),
    (IMAGES, LABELS / 2, None, 'integers from 0'),
    (IMAGES, LABELS - 2, None, 'least value -2'),
    (IMAGES, LABELS, ('a', 'b'), 'largest label is 2'),
  ],
)
def test_bad_arrays_are_refused(images, labels, names, says):
  with pytest.raises(BadInputError, match=says):
    arrays.load(images, labels, class_names=names)


def test_shapes_are_checked():
  with pytest.raises(ValueError, match=r'labels has shape \[4\]'):
    arrays.load(IMAGES, LABELS[:4])
  with pytest.raises(ValueError, match='images has shape'):
    arrays.load(IMAGES[..., 0])
