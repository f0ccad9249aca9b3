import numpy as np
import pytest
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

from sslax.data import photos
from sslax.data.source import tensorflow
from sslax.errors import BadInputError


def everything(split, seed=0):
  source = photos.load(split=split, image_size=32, seed=seed)
  rows = source.fetch(tensorflow().range(source.num_examples, dtype='int64'))
  return source, rows['image'].numpy(), rows['label'].numpy()


def test_every_photograph_has_its_crops():
  source, images, labels = everything('test')
  assert images.shape == (7 * 128, 32, 32, 3)
  assert images.dtype == np.uint8
  np.testing.assert_array_equal(np.bincount(labels), [128] * 7)
  assert source.class_names[0] == 'astronaut'
  assert source.num_examples == 896
  assert photos.load(split='train', image_size=32).num_examples == 3584


def test_crops_are_a_function_of_seed_and_split():
  first, again, other = (everything('test', seed)[1] for seed in (0, 0, 1))
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()


def test_no_pixel_is_in_both_splits(tmp_path):
  # Columns carry their number: 0 to 199 in the red channel.
  columns = np.tile(np.arange(200, dtype=np.uint8)[None, :, None], (120, 1, 3))
  Image.fromarray(columns).save(tmp_path / 'a.png')
  train, test = (photos._part(tmp_path / 'a.png', s) for s in ('train', 'test'))
  assert np.max(_crops(train)) <= 149
  test = test.resize((100, 120), Image.Resampling.NEAREST)
  assert np.min(_crops(test)) >= 150


def _crops(image):
  rng = np.random.default_rng(0)
  return [photos.cut(image, w) for w in photos.windows(image, 100, rng)]


def test_raw_pixels_leave_room_to_learn():
  _, train, labels = everything('train')
  _, test, truth = everything('test')
  mean = train.mean(axis=0, keepdims=True)
  flat = lambda x: (x - mean).reshape(len(x), -1) / 255  # noqa: E731
  knn = KNeighborsClassifier(20).fit(flat(train), labels)
  assert 0.5 < (knn.predict(flat(test)) == truth).mean() < 0.75


def test_photographs_that_are_absent_are_named(monkeypatch, tmp_path):
  monkeypatch.setattr(photos, '_folder', lambda: tmp_path)
  with pytest.raises(BadInputError, match=r'astronaut\.png cannot be read'):
    photos.load(split='train', image_size=32)
