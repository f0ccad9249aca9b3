import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from sslax.data import folder, pipeline
from sslax.errors import BadInputError

RNG = np.random.default_rng(0)


def save(path, shape=(20, 30, 3), color=None, **options):
  """Writes a noisy or plain image and returns its pixels."""
  path.parent.mkdir(parents=True, exist_ok=True)
  pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
  if color is not None:
    pixels[:] = color
  Image.fromarray(pixels).save(path, **options)
  return pixels


def load(path, split='train', **options):
  return folder.load(split=split, image_size=8, path=str(path), **options)


def rows(source, batch_size=2):
  batches = list(pipeline.epoch(source, batch_size=batch_size))
  mask = np.concatenate([batch['mask'] for batch in batches])
  return {
    key: np.concatenate([batch[key] for batch in batches])[mask]
    for key in batches[0]
  }


@pytest.fixture
def train(tmp_path):
  """A train folder with all of its images in train: there is a test folder."""
  (tmp_path / 'test').mkdir()
  return tmp_path / 'train'


@pytest.fixture
def pets(tmp_path):
  """Twelve train and three test images of different sizes."""
  for i in range(12):
    save(
      tmp_path / f'train/{"cat" if i % 2 else "dog"}/{i}.png', (9 + i, 12, 3)
    )
  for i, kind in enumerate(('cat', 'owl', 'owl')):
    save(tmp_path / f'test/{kind}/{i}.PNG', (12 + i, 9, 3))
  return tmp_path


def test_labels_are_the_names_of_folders(pets):
  train, test = (load(pets, s, labels='folders') for s in ('train', 'test'))
  assert train.class_names == test.class_names == ('cat', 'dog', 'owl')
  np.testing.assert_array_equal(rows(train)['label'], [0] * 6 + [1] * 6)
  np.testing.assert_array_equal(rows(test)['label'], [0, 2, 2])
  assert list(train.paths) == sorted(map(str, (pets / 'train').rglob('*.png')))
  assert train.fingerprint == f'folder {pets} train (12 images)'


def test_without_labels_there_are_none(pets):
  source = load(pets)
  assert source.class_names is None
  assert 'label' not in rows(source)
  assert source.fetch(np.array([0, 3]))['image'].shape == (2, 8, 8, 3)


def test_one_in_ten_is_held_out_without_a_test_folder(tmp_path):
  for i in range(60):
    save(tmp_path / f'{i}.png', (4, 4 + i % 2, 3))
  train, test = load(tmp_path), load(tmp_path, 'test')
  assert not set(train.paths) & set(test.paths)
  assert len(train.paths) + len(test.paths) == 60
  assert 2 <= test.num_examples <= 12
  save(tmp_path / 'new.png')
  assert set(test.paths) <= set(load(tmp_path, 'test').paths)


def test_two_images_are_one_for_each_split(tmp_path):
  save(tmp_path / 'a.png')
  with pytest.raises(BadInputError, match='at least two'):
    load(tmp_path)
  save(tmp_path / 'b.png')
  sources = [load(tmp_path, split) for split in ('train', 'test')]
  assert [source.num_examples for source in sources] == [1, 1]


def test_small_images_of_one_shape_are_held_in_memory(tmp_path, train):
  pixels = [save(train / f'{i}.png', (6, 6, 3)) for i in range(3)]
  source = load(tmp_path)
  assert source.read is None
  fetched = source.fetch(np.array([2, 0]))['image']
  np.testing.assert_array_equal(fetched, [pixels[2], pixels[0]])
  assert len(source.paths) == 3


def test_host_crops_of_images_smaller_than_the_crop(pets):
  crops = [pipeline.HostCrops(2, 64)]
  batch = next(
    pipeline.batches(load(pets), batch_size=4, seed=0, host_crops=crops)
  )
  assert batch['image'][0].shape == (4, 2, 64, 64, 3)


def test_exif_rotation_is_applied(tmp_path):
  exif = Image.Exif()
  exif[0x0112] = 6  # turn clockwise by a quarter to see it upright
  path = tmp_path / 'a.png'
  pixels = save(path, (4, 6, 3), exif=exif)
  np.testing.assert_array_equal(folder.decode(path), np.rot90(pixels, -1))
  save(tmp_path / 'b.jpg', (4, 6, 3), exif=exif)
  assert folder.decode(tmp_path / 'b.jpg').shape == (6, 4, 3)
  assert folder._size(tmp_path / 'b.jpg') == (6, 4)


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
  values = np.array([[0, 257, 32896, 65535]], np.uint16)
  for name in ('a.png', 'a.tif'):
    Image.fromarray(values).save(tmp_path / name)
    expected = np.repeat([[[0], [1], [128], [255]]], 3, axis=-1)
    np.testing.assert_array_equal(folder.decode(tmp_path / name), expected)


def test_floats_are_scaled(tmp_path):
  Image.fromarray(np.array([[0, 0.5, 1]], np.float32)).save(tmp_path / 'a.tif')
  decoded = folder.decode(tmp_path / 'a.tif')
  np.testing.assert_array_equal(decoded[0, :, 0], [0, 128, 255])


def test_grey_becomes_three_equal_channels(tmp_path):
  pixels = save(tmp_path / 'a.png', (4, 6))
  decoded = folder.decode(tmp_path / 'a.png')
  np.testing.assert_array_equal(decoded, np.stack([pixels] * 3, axis=-1))


def test_what_is_transparent_is_laid_on_white(tmp_path):
  save(tmp_path / 'a.png', (4, 6, 4), color=(10, 20, 30, 0))
  assert (folder.decode(tmp_path / 'a.png') == 255).all()
  save(tmp_path / 'b.png', (4, 6, 4), color=(10, 20, 30, 255))
  assert (folder.decode(tmp_path / 'b.png') == [10, 20, 30]).all()
  save(tmp_path / 'c.png', (4, 6, 4), color=(0, 0, 0, 51))
  assert (folder.decode(tmp_path / 'c.png') == 204).all()


def test_palettes_cmyk_and_animations_become_rgb(tmp_path):
  plain = Image.new('RGB', (6, 4), (255, 0, 0))
  plain.convert('P', palette=Image.Palette.ADAPTIVE).save(tmp_path / 'a.png')
  plain.convert('CMYK').save(tmp_path / 'b.tif')
  blue = Image.new('RGB', (6, 4), (0, 0, 255))
  plain.save(tmp_path / 'c.gif', save_all=True, append_images=[blue])
  for name in ('a.png', 'b.tif', 'c.gif'):
    decoded = folder.decode(tmp_path / name)
    np.testing.assert_array_equal(decoded, np.asarray(plain))


def test_a_file_that_is_no_image_is_named_and_skipped(pets, caplog):
  (pets / 'train/cat/5.png').write_text('not an image')
  source = load(pets, labels='folders')
  assert source.num_examples == 11
  assert not any(path.endswith('/5.png') for path in source.paths)
  assert 'train/cat/5.png' in caplog.text
  assert '1 so far, at most 10' in caplog.text
  np.testing.assert_array_equal(rows(source)['label'], [0] * 5 + [1] * 6)


def test_other_files_are_named_and_ignored(pets, caplog):
  (pets / 'train/notes.txt').write_text('hello')
  (pets / 'train/.hidden.png').write_text('hello')
  assert load(pets).num_examples == 12
  assert caplog.text.count('ignored 1 files') == 1
  assert 'notes.txt' in caplog.text


def test_too_many_bad_files_are_an_error(tmp_path, train):
  save(train / 'good.png')
  for i in range(11):
    (train / f'{i:02}.jpg').write_text('no')
  with pytest.raises(BadInputError, match=r'11 of 12 files .* 10 allowed'):
    load(tmp_path)


def truncate(path):
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_truncated_file_is_replaced_by_the_next_good_one(
  tmp_path, train, caplog
):
  for i in range(4):
    save(train / f'{"ab"[i // 2]}/{i}.jpg', (40 + i, 40, 3))
  truncate(train / 'a/1.jpg')
  save(tmp_path / 'test/a/0.jpg')
  source = load(tmp_path, labels='folders')
  for _ in range(2):
    got = rows(source)
    np.testing.assert_array_equal(got['index'], [0, 2, 2, 3])
    np.testing.assert_array_equal(got['label'], [0, 1, 1, 1])
    np.testing.assert_array_equal(got['image'][1], got['image'][2])
  assert caplog.text.count('skipped') == 1


def test_a_truncated_file_is_left_out_of_memory(tmp_path, train):
  for i in range(3):
    save(train / f'{i}.jpg', (40, 40, 3))
  truncate(train / '1.jpg')
  source = load(tmp_path)
  assert source.num_examples == 2
  assert [pathlib.Path(path).name for path in source.paths] == [
    '0.jpg',
    '2.jpg',
  ]


def test_too_many_truncated_files_are_one_sentence(tmp_path, train):
  for i in range(13):
    save(train / f'{i}.jpg', (40 + i, 40, 3))
    if i < 12:
      truncate(train / f'{i}.jpg')
  with pytest.raises(BadInputError, match=r'^data\.path is .* 11 of 13 files'):
    rows(load(tmp_path))


@pytest.mark.parametrize(
  ('where', 'options', 'says'),
  [
    ('', {'path': None}, 'data.path is not set'),
    ('none', {}, 'which is missing'),
    ('a.png', {}, 'which is a file'),
    ('empty', {}, 'holds no images'),
    ('', {'labels': 'folder'}, "mean 'folders'"),
    ('', {'labels': 'folders'}, r'a\.png lies in no sub-folder'),
    ('', {'split': 'val'}, "split is 'val'"),
  ],
)
def test_bad_folders_are_refused(tmp_path, where, options, says):
  save(tmp_path / 'a.png')
  (tmp_path / 'empty').mkdir()
  options = {'path': str(tmp_path / where), 'split': 'train'} | options
  with pytest.raises(BadInputError, match=says):
    folder.load(image_size=8, **options)


def test_an_unreadable_folder_is_refused(pets, monkeypatch):
  def deny(path):
    raise PermissionError(13, 'Permission denied', str(path))

  monkeypatch.setattr(os, 'scandir', deny)
  with pytest.raises(BadInputError, match=r'cannot be read \(Permission'):
    load(pets)
