import numpy as np
import pytest

from sslax.data import pipeline, tfrecord
from sslax.data.source import tensorflow
from sslax.errors import BadInputError

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  return tmp_path / 'cache/sslax/records'


def write(path, images, labels=None, keys=('image', 'label')):
  tf = tensorflow()
  with tf.io.TFRecordWriter(str(path)) as writer:
    for i, image in enumerate(images):
      data = tf.io.encode_png(image).numpy()
      fields = {
        keys[0]: tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))
      }
      if labels is not None:
        value = tf.train.Int64List(value=[labels[i]])
        fields[keys[1]] = tf.train.Feature(int64_list=value)
      example = tf.train.Example(features=tf.train.Features(feature=fields))
      writer.write(example.SerializeToString())


def noise(*shapes):
  return [RNG.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]


def load(path, split='train'):
  return tfrecord.load(split=split, image_size=8, path=str(path))


def test_small_records_are_held_in_memory(tmp_path):
  images = noise(*[(6, 6, 3)] * 5)
  write(tmp_path / 'a-train-0.tfrecord', images[:2], [2, 0])
  write(tmp_path / 'a-train-1.tfrecord', images[2:], [1, 1, 0])
  write(tmp_path / 'a-validation-0.tfrecord', images[:1], [3])
  source = load(tmp_path / 'a-{split}-*.tfrecord')
  rows = source.fetch(np.arange(5))
  assert source.read is None
  np.testing.assert_array_equal(rows['image'], images)
  np.testing.assert_array_equal(rows['label'], [2, 0, 1, 1, 0])
  assert source.class_names == ('0', '1', '2')
  assert load(tmp_path / 'a-{split}-*.tfrecord', 'test').num_examples == 1


def test_records_of_different_shapes_are_read_one_by_one(tmp_path):
  images = noise((6, 6, 3), (300, 5, 3), (7, 9, 3))
  path = tmp_path / 'train.tfrecord'
  write(path, images, [1, 0, 4], ('image/encoded', 'image/class/label'))
  source = load(tmp_path / '{split}.tfrecord')
  assert len(source.class_names) == 5
  (batch,) = pipeline.epoch(source, batch_size=3)
  np.testing.assert_array_equal(batch['label'], [1, 0, 4])
  np.testing.assert_array_equal(
    batch['image'], source.fetch(np.arange(3))['image']
  )
  (sized,) = pipeline.epoch(source._replace(image_size=6), batch_size=3)
  np.testing.assert_array_equal(sized['image'][0], images[0])


def test_every_tenth_record_is_held_out(tmp_path):
  write(tmp_path / 'a.tfrecord', noise(*[(4, 4, 3)] * 21), range(21))
  train, test = (load(tmp_path / 'a.tfrecord', s) for s in ('train', 'test'))
  np.testing.assert_array_equal(test.fetch(np.arange(2))['label'], [9, 19])
  assert train.num_examples == 19
  assert 9 not in train.fetch(np.arange(19))['label'].numpy()


def test_any_record_is_one_seek(tmp_path):
  payloads = [b'a' * n for n in (0, 5, 1000, 1)]
  path = str(tmp_path / 'a')
  with tensorflow().io.TFRecordWriter(path) as writer:
    for payload in payloads:
      writer.write(payload)
  for where in (path, f'file://{path}'):  # the second as a remote file is
    records = tfrecord.open_files([where, where])
    assert records.num_records == 8
    for i in (3, 0, 6, 5, 1):
      assert records.get(i) == payloads[i % 4]


def test_the_index_is_cached_until_the_file_changes(tmp_path, cache):
  path = tmp_path / 'a.tfrecord'
  write(path, noise((4, 4, 3)))
  tfrecord.open_files([path])
  (kept,) = cache.iterdir()  # and no temporary file beside it
  again = lambda path: pytest.fail('was scanned again')  # noqa: E731
  offsets = tfrecord.cached(str(path), 'offsets', again)
  np.testing.assert_array_equal(offsets, [0, path.stat().st_size])
  write(path, noise((4, 4, 3), (4, 4, 3)))
  assert tfrecord.open_files([path]).num_records == 2
  kept.write_bytes(b'cut off')
  assert tfrecord.open_files([path]).num_records == 2


def test_no_cache_is_no_obstacle(tmp_path, monkeypatch, caplog):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  write(tmp_path / 'a.tfrecord', noise((4, 4, 3)))
  assert tfrecord.open_files([tmp_path / 'a.tfrecord']).num_records == 1
  assert 'is not cached' in caplog.text


def test_a_truncated_file_is_named(tmp_path):
  path = tmp_path / 'a.tfrecord'
  write(path, noise((4, 4, 3), (4, 4, 3)))
  path.write_bytes(path.read_bytes()[:-1])
  with pytest.raises(
    BadInputError, match=r'a\.tfrecord is truncated.*record 1'
  ):
    load(path)
  path.write_bytes(b'text')
  with pytest.raises(BadInputError, match='is truncated or is not'):
    load(path)


def test_bad_paths_are_refused(tmp_path):
  with pytest.raises(BadInputError, match=r'data\.path is not set'):
    tfrecord.load(split='train', image_size=8, path=None)
  with pytest.raises(BadInputError, match='no file for train'):
    load(tmp_path / '*.tfrecord')
  (tmp_path / 'empty').write_bytes(b'')
  with pytest.raises(BadInputError, match='hold no records'):
    load(tmp_path / 'empty')
  write(tmp_path / 'few', noise((4, 4, 3)))
  with pytest.raises(BadInputError, match='too few to hold out'):
    load(tmp_path / 'few', 'test')
  write(tmp_path / 'other', noise((4, 4, 3)), keys=('picture', ''))
  with pytest.raises(BadInputError, match='they hold picture'):
    load(tmp_path / 'other')
  with tensorflow().io.TFRecordWriter(str(tmp_path / 'text')) as writer:
    writer.write(b'no example')
  with pytest.raises(BadInputError, match=r'not tf\.train\.Examples'):
    load(tmp_path / 'text')
