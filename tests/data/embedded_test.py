"""The sources of other modalities that need no download."""

import sys

import numpy as np
import pytest
from PIL import Image

from sslax.data import (
  captioned_photos,
  photo_clips,
  photos,
  pipeline,
  python_docs,
  sounds,
)
from sslax.data import source as sources
from sslax.errors import BadInputError


@pytest.fixture(autouse=True)
def few(monkeypatch):
  """A few examples of each class are enough here."""
  few = {'train': 3, 'test': 2}
  for module in (photos, photo_clips, sounds):
    monkeypatch.setattr(module, 'COUNTS', few)


def load(name, split='train', **options):
  return sources.load(name, split=split, image_size=32, **options)


def rows(source):
  return next(pipeline.epoch(source, batch_size=source.num_examples))


_SHAPES = {
  'photo_clips': {'video': ((16, 32, 32, 3), np.uint8)},
  'sounds': {'audio': ((16000,), np.int16)},
  'python_docs': {'text': ((32,), np.int32)},
  'captioned_photos': {
    'image': ((32, 32, 3), np.uint8), 'text': ((32,), np.int32)
  },
}  # fmt: skip


@pytest.mark.parametrize('name', _SHAPES)
def test_examples_are_what_a_batch_promises(name):
  source = load(name)
  batch = next(pipeline.batches(source, batch_size=4, seed=0))
  found = {k: (batch[k].shape[1:], batch[k].dtype) for k in source.holds}
  assert found == _SHAPES[name]
  assert set(batch) == {*_SHAPES[name], 'label', 'index'}
  labels = rows(source)['label']
  assert (np.bincount(labels, minlength=len(source.class_names)) > 2).all()


@pytest.mark.parametrize('name', _SHAPES)
def test_train_and_test_differ_and_both_repeat(name):
  key = next(iter(_SHAPES[name]))
  train, again, test = (
    rows(load(name, split))[key] for split in ('train', 'train', 'test')
  )
  np.testing.assert_array_equal(train, again)
  shared = {row.tobytes() for row in train} & {row.tobytes() for row in test}
  # Sentences cut at 32 tokens may begin alike.
  assert len(shared) <= (2 if name == 'python_docs' else 0)


@pytest.mark.parametrize('name', ['photo_clips', 'sounds', 'captioned_photos'])
def test_another_seed_gives_other_examples(name):
  key = next(iter(_SHAPES[name]))
  first, other = (rows(load(name, seed=seed))[key] for seed in (0, 1))
  assert (first != other).any((*range(1, first.ndim),)).all()


def test_the_camera_moves_evenly_and_stays_inside():
  rng = np.random.default_rng(0)
  for first in photos.windows(Image.new('RGB', (150, 110)), 50, rng):
    path = photo_clips.camera((150, 110), first, 8, rng)
    np.testing.assert_array_equal(path[0], first)
    np.testing.assert_allclose(np.diff(path, 2, axis=0), 0, atol=1e-9)
    assert path.min() >= 0
    assert (path[:, :2] + path[:, 2:] <= np.array([150, 110]) + 1e-9).all()
    assert path[-1, 2] / first[2] < 1.5 + 1e-9
    moved = np.abs(path[-1] - path[0])
    assert moved[2] > 0
    assert moved[:2].max() <= 0.75 * first[2] + max(0, path[-1, 2] - first[2])


def test_videos_have_the_frames_asked_for():
  assert rows(load('photo_clips', clip_frames=3))['video'].shape[1] == 3
  with pytest.raises(BadInputError, match=r'data\.clip_frames is 1'):
    load('photo_clips', clip_frames=1)


@pytest.mark.parametrize('kind', sounds.KINDS)
def test_sounds_differ_in_onset_and_loudness(kind):
  rng = np.random.default_rng(0)
  made = np.stack([sounds.make(kind, rng) for _ in range(12)]).astype(float)
  peak = np.abs(made).max(1) / 32767
  assert peak.max() <= 1
  assert peak.min() > 0.09
  assert peak.max() > 2 * peak.min()
  loud = np.abs(made) > 0.3 * np.abs(made).max(1, keepdims=True)
  onset = loud.argmax(1) / sounds.RATE
  assert onset.min() >= 0
  assert onset.max() <= 1.0  # half a second, and up to a gap between clicks
  assert np.ptp(onset) > 0.1


def test_kinds_of_sounds_are_what_their_names_say():
  rng = np.random.default_rng(1)

  def centers(kind):
    """Mean frequency in the first and the last half of the formula, in Hz."""
    x = sounds.KINDS[kind](rng, np.arange(8000) / 8000)
    halves = np.abs(np.fft.rfft(x.reshape(2, -1))) ** 2
    frequency = np.fft.rfftfreq(4000, 1 / 8000)
    return (halves * frequency[None]).sum(1) / halves.sum(1)

  for _ in range(5):
    first, last = centers('rising')
    assert last > 1.2 * first
    first, last = centers('falling')
    assert first > 1.2 * last
    first, last = centers('steady')
    assert abs(first / last - 1) < 0.02
    assert max(centers('rumble')) < 600


def test_sentences_are_prose():
  text = """Truth of things
***************

   Any object can be tested for truth value. It is used in "if" or a
   "while" condition.

   >>> bool(0)
   False

* The empty tuple and the empty list are false. Short one.

if_stmt ::= "if" expression
"""
  assert python_docs.sentences_of(text) == [
    'Any object can be tested for truth value.',
    'It is used in "if" or a "while" condition.',
    'The empty tuple and the empty list are false.',
  ]


def test_a_sentence_belongs_to_the_shortest_topic_that_has_it():
  own = [f'This is sentence {"x" * i} of that small topic.' for i in range(20)]
  more = [f'Only the large topic has words {"y" * i}x.' for i in range(20)]
  topics = {'a': ' '.join(more + own), 'b': ' '.join(own), 'c': own[0]}
  found = python_docs._by_topic(topics)
  # c takes its one sentence from b, and b, now too small, its 19 from a.
  assert found == {'a': more}


def test_a_python_without_its_reference_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'pydoc_data', None)
  with pytest.raises(BadInputError, match=r'pydoc_data\.topics'):
    python_docs.load(split='train')


def test_the_tokenizer_of_test_is_that_of_train():
  for name in ('python_docs', 'captioned_photos'):
    train, test = (
      load(name, split, vocabulary=300) for split in ('train', 'test')
    )
    texts = ['a photo of an astronaut', 'The object is mutable.']
    np.testing.assert_array_equal(
      train.tokenizer.encode(texts), test.tokenizer.encode(texts)
    )
    assert train.tokenizer.vocab_size <= 300


def test_captions_say_what_where_and_which_color():
  rng = np.random.default_rng(0)
  red = np.zeros((4, 4, 3), np.uint8) + np.uint8([200, 40, 40])
  said = {
    captioned_photos.caption('a cat', (150, 5, 40), (200, 120), red, rng)
    for _ in range(40)
  }
  assert said == {
    'a photo of a cat, the upper right, mostly red',
    'a close-up of a cat: red, at the upper right',
    'this is the upper right of a cat in red',
    'mostly red, a close-up of a cat',
  }


def test_pairs_know_how_to_ask_for_their_classes():
  source = load('captioned_photos')
  assert source.class_names == tuple(photos.FILES)
  assert source.prompts[1] == (
    'a photo of a cat', 'a close-up of a cat', 'this is a cat'
  )  # fmt: skip
  batch = rows(source)
  named = captioned_photos.NAMES.values()
  for label, text in zip(
    batch['label'], source.tokenizer.decode(batch['text']), strict=True
  ):
    assert list(named)[label] in text
