import numpy as np
import pytest

from sslax.data import pipeline, tfds
from sslax.data.source import tensorflow
from sslax.errors import BadInputError
from tests.data import tfds_sets

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 5, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture(scope='module', params=['tfrecord', 'array_record'])
def prepared(request, tmp_path_factory):
  """A directory with the set `pets` 1.0.0 and 1.10.0, in either format."""
  return prepare(tmp_path_factory.mktemp(request.param), request.param)


def prepare(root, file_format):
  import tensorflow_datasets as library

  features = {
    'image': library.features.Image(shape=(5, 5, 3)),
    'label': library.features.ClassLabel(names=['cat', 'dog']),
    'note': library.features.Text(),
  }
  rows = [
    {'image': x, 'label': i % 2, 'note': 'x'} for i, x in enumerate(IMAGES)
  ]
  for version, count in (('1.0.0', 2), ('1.10.0', 6), ('1.9.0', 3)):
    splits = {'train': rows[:count], 'validation': rows[:1]}
    tfds_sets.write_set(root, 'pets', features, splits, version=version,
                        file_format=file_format)  # fmt: skip
  return root


def load(name, dir, split='train', image_size=5):
  dir = None if dir is None else str(dir)
  return tfds.load(name, split=split, image_size=image_size, dir=dir)


def test_both_formats_give_every_row(prepared):
  source = load('pets', prepared)  # the newest version
  rows = source.fetch(np.array([5, 0, 3]))
  np.testing.assert_array_equal(rows['image'], IMAGES[[5, 0, 3]])
  np.testing.assert_array_equal(rows['label'], [1, 0, 1])
  assert source.class_names == ('cat', 'dog')
  assert source.fingerprint == 'pets train (6 images)'


def test_names_versions_and_directories(prepared, monkeypatch):
  assert load('tfds:pets:1.9.0', prepared).num_examples == 3
  assert load('pets', prepared / 'pets/1.0.0').num_examples == 2
  assert load('pets', prepared, 'test').num_examples == 1  # its validation
  monkeypatch.setenv('TFDS_DATA_DIR', str(prepared))
  assert load('pets', None).num_examples == 6


def test_large_images_are_read_by_record(prepared, monkeypatch):
  monkeypatch.setattr('sslax.data.source.LARGEST_SIDE_IN_MEMORY', 4)
  source = load('pets', prepared)
  assert source.read is not None
  (batch,) = pipeline.epoch(source, batch_size=6)
  np.testing.assert_array_equal(batch['image'], IMAGES)
  np.testing.assert_array_equal(batch['label'], np.arange(6) % 2)


@pytest.mark.parametrize(
  ('name', 'says'),
  [
    ('pet', "neither a source nor a set .* mean 'pets'"),
    ('cifar10', 'not prepared .*tfds build cifar10 --data_dir='),
    ('pets:2.0.0', 'no such prepared version; it holds 1.0.0, 1.10.0'),
  ],
)
def test_what_is_not_there_is_said(prepared, name, says):
  with pytest.raises(BadInputError, match=says):
    load(name, prepared)


def test_a_missing_directory_is_named(tmp_path, prepared):
  with pytest.raises(BadInputError, match=r'data\.dir=.*none does not exist'):
    load('pets', tmp_path / 'none')
  with pytest.raises(BadInputError, match='folder of another set'):
    load('cifar10', prepared / 'pets/1.0.0')


def test_the_environment_names_the_directory(tmp_path, monkeypatch):
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'none'))
  with pytest.raises(
    BadInputError, match=r'TFDS_DATA_DIR .*none does not exist'
  ):
    load('cifar10', None)
  with pytest.raises(BadInputError, match="no source; did you mean 'cifar10'"):
    load('cifar1O', None)


def real(shared_data, name):
  if not (shared_data / name).is_dir():
    pytest.skip(f'{name} is absent from {shared_data}')
  return shared_data


def test_cifar10(shared_data):
  source = load('cifar10', real(shared_data, 'cifar10'), 'test', 32)
  assert source.num_examples == 10_000
  assert source.read is None
  labels = source.fetch(np.arange(10_000))['label'].numpy()
  np.testing.assert_array_equal(np.bincount(labels), [1000] * 10)
  assert source.class_names[0] == 'airplane'


def test_tiny_imagenet_has_validation_for_test(shared_data):
  source = load('tiny_imagenet', real(shared_data, 'tiny_imagenet'), 'test', 32)
  assert (source.num_examples, len(source.class_names)) == (2500, 50)
  batch = next(pipeline.batches(source, batch_size=8, seed=0))
  assert batch['image'].shape == (8, 64, 64, 3)
  batch = next(pipeline.epoch(source, batch_size=8))
  assert batch['image'].shape == (8, 32, 32, 3)


def test_camvid_has_no_label(shared_data):
  import tensorflow_datasets as library

  source = load('camvid', real(shared_data, 'camvid'), 'train', 64)
  assert source.class_names is None
  crops = [pipeline.HostCrops(2, 48)]
  batches = pipeline.batches(source, batch_size=4, seed=0, host_crops=crops)
  batch = next(batches)
  assert batch['image'][0].shape == (4, 2, 48, 48, 3)
  assert set(batch) == {'image', 'index'}
  # The same pixels as TFDS's own reader gives, in the files' order.
  builder = library.builder_from_directory(shared_data / 'camvid/1.0.0')
  rows = builder.as_dataset(split='train', shuffle_files=False)
  first = next(rows.take(1).as_numpy_iterator())['image']
  encoded = source.read(np.int64(0))['encoded']
  decoded = tensorflow().io.decode_image(encoded).numpy()
  np.testing.assert_array_equal(decoded, first)
