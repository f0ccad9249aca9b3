"""Sets that TFDS has prepared of videos, sounds, texts and pairs."""

import numpy as np
import pytest

from sslax.data import pipeline, source, tfds, tfds_fields
from sslax.errors import BadInputError
from tests.data.tfds_sets import write_set

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def types():
  import tensorflow_datasets as library

  return library.features


def load(root, name, split='train', image_size=8, **options):
  return source.load(
    name, split=split, image_size=image_size, dir=str(root), **options
  )


def rows(opened):
  return next(pipeline.epoch(opened, batch_size=opened.num_examples))


def clip(level, length, height=20, width=30):
  """A video whose frame t has gray level + t."""
  levels = level + np.arange(length, dtype=np.uint8)
  return np.broadcast_to(
    levels[:, None, None, None], (length, height, width, 3)
  )


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
  root = tmp_path_factory.mktemp('sets')
  f = types()
  films = [
    {'frames': clip(10, 40), 'masks': clip(0, 40)[..., :1], 'label': 1},
    {'frames': clip(100, 9), 'masks': clip(0, 9)[..., :1], 'label': 0},
    {'frames': clip(200, 5), 'masks': clip(0, 5)[..., :1], 'label': 0},
  ]
  film = {
    'masks': f.Sequence(f.Image(shape=(20, None, 1))),
    'frames': f.Sequence(f.Image(shape=(20, None, 3), encoding_format='png')),
    'label': f.ClassLabel(names=['short', 'long']),
  }
  write_set(root, 'films', film, {'validation': films})
  write_set(root, 'split_films', film, {'train': films, 'test': films[1:]})
  clock = np.arange(6, dtype=np.int16)
  write_set(
    root,
    'noises',
    {
      'audio': f.Tensor(shape=(6,), dtype=np.int16, encoding='zlib'),
      'label': f.ClassLabel(names=['low', 'high']),
    },
    {
      'train': [{'audio': clock * s, 'label': int(s > 0)} for s in (-3, 3)],
      'test': [{'audio': clock, 'label': 0}],
    },
  )
  write_set(
    root,
    'speech',
    {'audio': f.Audio(sample_rate=16_000), 'id': f.Text()},
    {
      'train': [{'audio': np.arange(n), 'id': str(n)} for n in (5, 3)],
      'test': [{'audio': np.arange(4), 'id': 'x'}],
    },
  )
  pair = {
    'sentence1': f.Text(),
    'sentence2': f.Text(),
    'label': f.Tensor(shape=(), dtype=np.float32),
  }
  said = [('a cat', 'a dog', 2.5), ('a cat', 'the sun', 0.5)]
  pairs = [dict(zip(pair, example, strict=True)) for example in said]
  write_set(root, 'pairs', pair, {'train': pairs, 'test': pairs[::-1]})
  write_set(
    root,
    'news',
    {'text': f.Text(), 'label': f.ClassLabel(names=['good', 'bad'])},
    {
      'train': [{'text': 'rain all day', 'label': 1}],
      'test': [{'text': 'all sun', 'label': 0}],
    },
  )
  drawing = {
    'image': f.Image(shape=(4, 4, 3)),
    'caption': f.Text(),
    'label': f.ClassLabel(names=['face_smiling', 'flag']),
    'kind': f.ClassLabel(names=['x', 'y', 'z']),
  }
  images = RNG.integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
  drawn = [
    {'image': x, 'caption': f'drawing {i}', 'label': i % 2, 'kind': i % 3}
    for i, x in enumerate(images)
  ]
  write_set(root, 'drawings', drawing, {'train': drawn, 'test': drawn[:2]})
  bare = {'id': f.Text(), 'count': f.Tensor(shape=(), dtype=np.int64)}
  write_set(root, 'bare', bare, {'train': [{'id': 'a', 'count': 1}]})
  return root


def test_videos_of_one_split_are_split_by_time(sets):
  train, test = (
    load(sets, 'films', split, clip_frames=4) for split in ('train', 'test')
  )
  assert train.holds == test.holds == ('video',)
  assert train.fingerprint == 'films train (15 videos)'
  seen = {}
  for split, opened in (('train', train), ('test', test)):
    video = rows(opened)['video']
    assert video.shape[1:] == (4, 8, 8, 3)
    levels = video[:, :, 0, 0, 0].astype(int)
    assert (np.diff(levels) == 1).all()
    assert (video == video[:, :, :1, :1, :1]).all()
    seen[split] = levels
  # Of 40 frames 30 are for training, of 9 the first 5; 5 frames are too few.
  np.testing.assert_array_equal(seen['train'][:, 0], [*range(10, 37, 2), 100])
  np.testing.assert_array_equal(seen['test'][:, 0], [40, 42, 44, 46, 105])
  assert not set(seen['train'].ravel()) & set(seen['test'].ravel())
  np.testing.assert_array_equal(rows(test)['label'], [1, 1, 1, 1, 0])
  assert test.class_names == ('short', 'long')


def test_videos_with_their_own_splits_are_taken_whole(sets):
  test = load(sets, 'split_films', 'test', clip_frames=4)
  levels = rows(test)['video'][:, 0, 0, 0, 0]
  np.testing.assert_array_equal(levels, [100, 102, 104, 200])
  opened = load(sets, 'split_films', clip_frames=5, image_size=16)
  fetched = opened.fetch(np.array([3]))
  assert fetched['video'].shape == (1, 5, 20, 20, 3)  # no larger than they are
  assert fetched['video'].dtype == np.uint8


def test_videos_that_cannot_be_held_are_refused(sets, monkeypatch):
  with pytest.raises(BadInputError, match=r'is 21, but no video .*twice for'):
    load(sets, 'films', clip_frames=21)
  monkeypatch.setattr('sslax.data.tfds_columns._MOST_BYTES', 10)
  with pytest.raises(BadInputError, match=r'smaller views\.size'):
    load(sets, 'films', clip_frames=4)
  with pytest.raises(BadInputError, match='holds videos, but these views'):
    load(sets, 'films', image_size=None)


def test_sounds_are_samples_of_one_length(sets):
  opened = load(sets, 'noises', image_size=None)
  batch = rows(opened)
  np.testing.assert_array_equal(batch['audio'], np.outer([-3, 3], range(6)))
  assert batch['audio'].dtype == np.int16
  np.testing.assert_array_equal(batch['label'], [0, 1])
  assert opened.sample_rate is None
  opened = load(sets, 'speech')
  np.testing.assert_array_equal(
    rows(opened)['audio'], [[0, 1, 2, 3, 4], [0, 1, 2, 0, 0]]
  )
  assert (opened.sample_rate, opened.class_names) == (16_000, None)


def test_pairs_are_a_corpus_for_training_and_pairs_for_testing(sets):
  train = load(sets, 'pairs', image_size=None, text_length=6)
  batch = rows(train)
  assert train.holds == ('text',)
  said = train.tokenizer.decode(batch['text'])
  assert said == ['a cat', 'a dog', 'the sun']  # each once
  test = load(sets, 'pairs', 'test', image_size=None, text_length=6)
  batch = rows(test)
  assert test.holds == ('text', 'text2', 'score')
  assert test.tokenizer.decode(batch['text']) == ['a cat', 'a cat']
  assert test.tokenizer.decode(batch['text2']) == ['the sun', 'a dog']
  np.testing.assert_array_equal(batch['score'], np.float32([0.5, 2.5]))
  np.testing.assert_array_equal(
    train.tokenizer.encode(['a cat']), batch['text'][:1]
  )


def test_texts_have_their_labels(sets):
  opened = load(sets, 'news', 'test', image_size=None)
  batch = rows(opened)
  assert opened.class_names == ('good', 'bad')
  np.testing.assert_array_equal(batch['label'], [0])
  # The tokenizer has only seen the train split: no s.
  assert 1 in batch['text'][0]


@pytest.mark.parametrize('in_memory', [True, False])
def test_captions_come_along_with_images(sets, monkeypatch, in_memory):
  if not in_memory:
    monkeypatch.setattr('sslax.data.source.LARGEST_SIDE_IN_MEMORY', 3)
  opened = load(sets, 'drawings', image_size=4)
  assert (opened.read is None) == in_memory
  assert opened.holds == ('image', 'text')
  assert opened.prompts == (('face smiling',), ('flag',))
  for batch in (
    rows(opened), next(pipeline.batches(opened, batch_size=5, seed=0))
  ):  # fmt: skip
    said = opened.tokenizer.decode(batch['text'])
    assert said == [f'drawing {i}' for i in batch['index']]
    np.testing.assert_array_equal(batch['label'], batch['index'] % 2)


def test_another_class_label_can_be_taken(sets):
  opened = load(sets, 'drawings', labels='kind')
  np.testing.assert_array_equal(rows(opened)['label'], [0, 1, 2, 0, 1])
  assert opened.class_names == ('x', 'y', 'z')
  with pytest.raises(BadInputError, match=r"'kinds', .* mean 'kind'"):
    load(sets, 'drawings', labels='kinds')


def test_labels_can_stand_in_for_captions(sets):
  opened = load(sets, 'films', clip_frames=4, text='labels')
  batch = rows(opened)
  said = opened.tokenizer.decode(batch['text'])
  assert said == [
    f'a photo of a {("short", "long")[i]}' for i in batch['label']
  ]
  assert opened.prompts == (('a photo of a short',), ('a photo of a long',))
  for name, says in (('drawings', 'texts of its own'), ('speech', 'no labels')):
    with pytest.raises(BadInputError, match=says):
      load(sets, name, text='labels')
  with pytest.raises(BadInputError, match="'label'; did you mean 'labels'"):
    load(sets, 'films', text='label')


def test_a_set_with_nothing_to_learn_from_is_refused(sets):
  with pytest.raises(BadInputError, match=r'no image, .*count, id'):
    load(sets, 'bare')


def test_masks_and_gray_images_are_told_apart():
  f = types()
  features = f.FeaturesDict({
    'depth': f.Image(shape=(4, 4, 1)),
    'mask': f.LabeledImage(shape=(4, 4, 1), labels=3),
    'photo': f.Image(shape=(4, 4, 3)),
  })  # fmt: skip
  assert tfds_fields.find(features, 'x').image == 'photo'
  digits = f.FeaturesDict({'image': f.Image(shape=(28, 28, 1))})
  found = tfds_fields.find(digits, 'x')
  assert (found.image, found.kind, found.label) == ('image', 'image', None)


REAL = {  # name: splits' sizes, key, shape
  'davis16_val': ((97, 23), 'video', (16, 32, 32, 3)),
  'esc10': ((320, 80), 'audio', (40_000,)),
  'stsb': ((10_536, 1379), 'text', (32,)),
  'twemoji': ((1499, 374), 'text', (32,)),
}


@pytest.mark.parametrize('name', REAL)
def test_real_sets_open_by_name(shared_data, name):
  if not (shared_data / name).is_dir():
    pytest.skip(f'{name} is absent from {shared_data}')
  counts, key, shape = REAL[name]
  opened = tfds.load(name, split='test', image_size=16, dir=str(shared_data))
  assert opened.num_examples == counts[1]
  batch = next(pipeline.epoch(opened, batch_size=8))
  assert batch[key].shape[1:] == ((16, 16, 16, 3) if key == 'video' else shape)
