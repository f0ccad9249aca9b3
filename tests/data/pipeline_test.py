import itertools

import jax
import numpy as np
import pytest

from sslax.data import arrays, host_crops, pipeline
from sslax.data.source import tensorflow
from sslax.errors import BadInputError

N = 10
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (N, 24, 36, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def source():
  return arrays.load(IMAGES, np.arange(N) % 3, image_size=24)


@pytest.fixture(scope='module')
def read_source(source):
  """The same images, read one by one, half of them as PNG bytes."""
  tf = tensorflow()
  png = tf.constant([tf.io.encode_png(image).numpy() for image in IMAGES])

  def read(i):
    return {'encoded': png[i], 'index': i, 'label': tf.cast(i % 3, 'int32')}

  return source._replace(read=read, fetch=host_crops.fetcher(read, 24))


def take(count, source, **options):
  options = {'batch_size': 4, 'seed': 7} | options
  return list(itertools.islice(pipeline.batches(source, **options), count))


def order(batches):
  return np.concatenate([batch['index'] for batch in batches])


def assert_equal(a, b):
  assert set(a) == set(b)
  jax.tree.map(np.testing.assert_array_equal, a, b)


def test_a_batch_holds_the_rows_of_its_indices(source):
  (batch,) = take(1, source)
  np.testing.assert_array_equal(batch['image'], IMAGES[batch['index']])
  np.testing.assert_array_equal(batch['label'], batch['index'] % 3)
  assert batch['image'].dtype == np.uint8
  assert batch['index'].dtype == np.int64
  assert batch['label'].dtype == np.int32


def test_every_epoch_shows_every_example_once(source):
  indices = order(take(10, source)).reshape(4, N)  # 40 examples, 4 epochs
  for epoch in indices:
    np.testing.assert_array_equal(np.sort(epoch), np.arange(N))
  assert len({tuple(epoch) for epoch in indices}) == 4


def test_the_order_is_the_documented_function(source):
  tf = tensorflow()
  expected = [
    tf.raw_ops.RandomIndexShuffle(
      index=tf.constant(i % N, tf.int64),
      seed=tf.constant([7, i // N, 0], tf.int64),
      max_index=tf.constant(N - 1, tf.int64),
    ).numpy()
    for i in range(24)
  ]
  np.testing.assert_array_equal(order(take(6, source)), expected)


def test_the_order_depends_on_the_seed(source):
  assert (order(take(5, source)) != order(take(5, source, seed=8))).any()


@pytest.mark.parametrize('start', [1, 2, 3, 1000])
def test_a_stream_goes_on_at_any_step(source, start):
  whole = take(5, source, start_step=start - 1)
  for a, b in zip(whole[1:], take(4, source, start_step=start), strict=True):
    assert_equal(a, b)


@pytest.mark.parametrize('count', [2, 4])
@pytest.mark.parametrize('crops', [(), [host_crops.HostCrops(2, 8)]])
def test_processes_share_the_batch_of_one(source, count, crops):
  whole = take(3, source, host_crops=crops)
  parts = [
    take(3, source, host_crops=crops, process_index=p, process_count=count)
    for p in range(count)
  ]
  for step, batch in enumerate(whole):
    for key, value in batch.items():
      of_each = [part[step][key] for part in parts]
      joined = jax.tree.map(lambda *rows: np.concatenate(rows), *of_each)
      jax.tree.map(np.testing.assert_array_equal, joined, value)


def test_reading_one_by_one_gives_the_same_order(source, read_source):
  for a, b in zip(take(4, source), take(4, read_source), strict=True):
    np.testing.assert_array_equal(a['index'], b['index'])
    np.testing.assert_array_equal(a['label'], b['label'])
    assert b['image'].shape == (4, 24, 24, 3)


def test_host_crops_are_a_function_of_seed_and_number(read_source):
  crops = [host_crops.HostCrops(num_views=3, size=8)]
  whole = take(6, read_source, host_crops=crops)
  (late,) = take(1, read_source, host_crops=crops, start_step=5)
  assert_equal(whole[5], late)
  (views,) = late['image']
  assert views.shape == (4, 3, 8, 8, 3)
  views = views.astype(int)
  assert np.abs(views[:, 0] - views[:, 1]).mean() > 5
  first, again = (
    next(b['image'][0][b['index'] == 0] for b in half if 0 in b['index'])
    for half in (whole[:3], whole[3:])
  )
  assert (first != again).any()  # another epoch, another crop


def test_host_crops_of_several_kinds(read_source):
  small = host_crops.HostCrops(3, 8, scale=(0.05, 0.4))
  (batch,) = take(
    1, read_source, host_crops=[host_crops.HostCrops(2, 16), small]
  )
  assert [x.shape[1:] for x in batch['image']] == [(2, 16, 16, 3), (3, 8, 8, 3)]


def test_crops_from_memory_equal_crops_from_files(source, read_source):
  crops = [host_crops.HostCrops(2, 8)]
  a, b = (take(1, s, host_crops=crops)[0] for s in (source, read_source))
  assert_equal(a, b)


def draw_boxes(shape, crops, count=400):
  """Returns tops, lefts, heights and widths of many windows."""
  tf = tensorflow()

  def box(i):
    sides = tf.constant(shape[0]), tf.constant(shape[1])
    key = tf.stack([tf.constant(1, tf.int64), i])
    return tf.stack(host_crops.random_box(*sides, crops, key))

  boxes = tf.data.Dataset.range(count).map(box).batch(count)
  return next(boxes.as_numpy_iterator()).T


def test_area_is_uniform_and_ratio_log_uniform():
  # Every window of at most 0.4 of the area fits, so none is drawn again.
  crops = host_crops.HostCrops(1, 8, scale=(0.08, 0.4))
  top, left, h, w = draw_boxes((600, 900), crops)
  area, ratio = h * w / 540_000, np.log(w / h)
  assert abs(area.mean() - 0.24) < 0.015  # of uniform heights it is 0.22
  assert abs(area.std() - 0.32 / 12**0.5) < 0.01
  assert abs(ratio.mean()) < 0.03
  assert abs(ratio.std() - 2 * np.log(4 / 3) / 12**0.5) < 0.015
  assert abs((top / (600 - h)).mean() - 0.5) < 0.06
  assert abs((left / (900 - w)).mean() - 0.5) < 0.06


@pytest.mark.parametrize('shape', [(60, 90), (3, 200), (200, 3), (1, 1)])
def test_windows_lie_inside(shape):
  top, left, h, w = boxes = draw_boxes(shape, host_crops.HostCrops(1, 8))
  assert boxes.min() >= 0
  assert min(h.min(), w.min()) >= 1
  assert ((top + h <= shape[0]) & (left + w <= shape[1])).all()
  if shape == (60, 90):
    assert top.min() == 0
    assert (top + h).max() == 60


def test_a_crop_of_the_whole_is_the_antialiased_image():
  tf = tensorflow()
  image = np.zeros((64, 64, 3), np.uint8)
  image[:, ::2] = 255  # stripes, which shrink to grey
  crops = host_crops.HostCrops(1, 16, scale=(1.0, 1.0), ratio=(1.0, 1.0))
  key = tf.constant([0, 0], tf.int64)
  out = host_crops.random_crops({'image': image}, [crops], key)[0].numpy()
  assert np.abs(out.astype(int) - 127)[:, 2:-2, 2:-2].max() <= 3


def test_a_jpeg_is_cropped_as_its_pixels_are():
  tf = tensorflow()
  smooth = np.add.outer(np.arange(64), np.arange(96))[..., None]
  image = np.repeat(smooth, 3, -1).astype(np.uint8)
  data = tf.io.encode_jpeg(image, quality=100)
  crops = host_crops.HostCrops(2, 16)
  for i in range(4):
    key = tf.constant([0, i], tf.int64)
    a = host_crops.random_crops({'encoded': data}, [crops], key)[0].numpy()
    b = host_crops.random_crops({'image': image}, [crops], key)[0].numpy()
    assert np.abs(a.astype(int) - b.astype(int)).max() <= 4


@pytest.mark.parametrize('shape', [(8, 8), (5, 3), (400, 2), (30, 50)])
def test_center_square_never_fails(shape):
  image = np.full((*shape, 3), 77, np.uint8)
  out = host_crops.center_square({'image': image}, 8).numpy()
  np.testing.assert_array_equal(out, np.full((8, 8, 3), 77))


def test_center_square_keeps_the_middle():
  image = np.zeros((64, 128, 3), np.uint8)
  image[4:60, 36:92] = 200  # the middle 56 of 64, as 224 of 256
  out = host_crops.center_square({'image': image}, 14).numpy()
  np.testing.assert_array_equal(out, np.full((14, 14, 3), 200))
  many = host_crops.center_squares(tensorflow().constant(image[None]), 14)
  np.testing.assert_array_equal(many[0].numpy(), out)


@pytest.mark.parametrize('kind', ['source', 'read_source'])
@pytest.mark.parametrize('count', [1, 2])
def test_an_epoch_is_in_order_with_a_mask(kind, count, request):
  source = request.getfixturevalue(kind)
  parts = [
    list(
      pipeline.epoch(source, batch_size=4, process_index=p, process_count=count)
    )
    for p in range(count)
  ]
  assert {len(part) for part in parts} == {3}
  rows = [part[step] for step in range(3) for part in parts]
  index, mask, label = (
    np.concatenate([row[key] for row in rows])
    for key in ('index', 'mask', 'label')
  )
  np.testing.assert_array_equal(mask, [True] * N + [False] * 2)
  np.testing.assert_array_equal(index[mask], np.arange(N))
  np.testing.assert_array_equal(label[mask], np.arange(N) % 3)
  assert all(row['image'].shape == (4 // count, 24, 24, 3) for row in rows)


def test_an_epoch_keeps_images_of_the_right_size():
  square = arrays.load(IMAGES[:, :, :24])
  (batch,) = pipeline.epoch(square, batch_size=N)
  np.testing.assert_array_equal(batch['image'], IMAGES[:, :, :24])
  (batch,) = pipeline.epoch(square, batch_size=N, image_size=16)
  assert batch['image'].shape == (N, 16, 16, 3)


def test_videos_are_squared_and_other_columns_kept():
  rng = np.random.default_rng(1)
  columns = {
    'video': rng.integers(0, 256, (N, 3, 24, 36, 3), dtype=np.uint8),
    'audio': rng.integers(-9, 9, (N, 5), dtype=np.int16),
    'text': rng.integers(0, 9, (N, 2), dtype=np.int32),
  }
  source = arrays.of_columns(columns, image_size=16)
  (batch,) = pipeline.epoch(source, batch_size=N)
  for frame in range(3):
    images = arrays.load(columns['video'][:, frame], image_size=16)
    (expected,) = pipeline.epoch(images, batch_size=N)
    np.testing.assert_array_equal(batch['video'][:, frame], expected['image'])
  np.testing.assert_array_equal(batch['audio'], columns['audio'])
  (batch,) = take(1, source)
  for key, column in columns.items():
    np.testing.assert_array_equal(batch[key], column[batch['index']])


def test_a_set_smaller_than_a_batch_is_refused(source):
  with pytest.raises(BadInputError, match=r'is 16, but arrays .* at most 10'):
    pipeline.batches(source, batch_size=16, seed=0)


def test_a_batch_that_processes_cannot_share_is_refused(source):
  with pytest.raises(BadInputError, match=r'3 processes.*: 3 or 6'):
    pipeline.batches(source, batch_size=4, seed=0, process_count=3)
  with pytest.raises(BadInputError, match=r'is 0, .*: 2'):
    pipeline.epoch(source, batch_size=0, process_count=2)


def test_what_a_source_finds_wrong_stays_one_sentence(source):
  tf = tensorflow()

  def fail(i):
    raise BadInputError('data.path is broken: one sentence')

  def read(i):
    image = tf.numpy_function(fail, [i], tf.uint8)
    return {'image': tf.ensure_shape(image, [2, 2, 3]), 'index': i}

  with pytest.raises(
    BadInputError, match=r'^data\.path is broken: one sentence$'
  ):
    take(1, source._replace(read=read))
