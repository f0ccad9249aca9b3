"""Protocols on sources of every modality, with features that are inputs."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import config as config_lib
from sslax import sharding
from sslax.data import arrays, captions, tokenizer, view_recipes
from sslax.errors import BadInputError
from sslax.evals import baselines, protocols, runner
from sslax.evals.features import Extractor
from sslax.method import Method

_RNG = np.random.default_rng(0)
_LABELS = np.arange(24) % 3
_LEVELS = 40 + 80 * _LABELS  # what tells the classes apart
_NOISE = _RNG.integers(0, 30, (24, 5, 8, 8, 3))
_WORDS = ('red', 'green', 'blue')


def flat(params, state, inputs):
  """Features that are the inputs, with a scale from params."""
  del state
  return params * inputs.reshape(len(inputs), -1).astype(jnp.float32)


def parts_of(views_name, *, towers=None, names=('rankme',), **views):
  config = config_lib.default()
  config.eval.protocols = config.eval.final = names
  made = view_recipes.build(views_name, **views)
  mesh = sharding.make_mesh(1)
  extractor = Extractor(made.evaluate, made.size, mesh, 8, made.reads)
  method = Method(None, None, None, flat, towers=towers or {})
  return types.SimpleNamespace(
    config=config, extractor=extractor, views=made, method=method
  )


def source(key, column, labels=_LABELS, **fields):
  names = None if labels is None else _WORDS
  return arrays.of_columns(
    {key: column}, labels, class_names=names, image_size=8, **fields
  )


def scores(parts, made, names):
  run = runner.make(parts, made, made)
  one = jnp.ones((1, 1), jnp.float32)
  return run.encoder(names, one, None), run.beside(names)


_SEEN = {
  'image': ('simclr', {'size': 8}),
  'video': ('cvrl', {'size': 8, 'num_frames': 3, 'frame_stride': 1}),
  'audio': ('waveform', {'sample_rate': 8000, 'segment_ms': 50}),
  'text': ('tokens', {}),
}


def columns(key):
  """A source of 24 examples of three classes that its inputs tell apart."""
  if key == 'text':
    said = [f'{_WORDS[k]} {_WORDS[k]} thing {i}' for i, k in enumerate(_LABELS)]
    tokens = tokenizer.train(said, length=10)
    return source('text', tokens.encode(said), tokenizer=tokens)
  if key == 'audio':
    t = np.arange(800) / 8000
    pitch = np.array([300, 900, 2500])[_LABELS][:, None]
    loud = _RNG.uniform(3000, 9000, (24, 1))
    tone = loud * np.sin(2 * np.pi * pitch * t[None])
    return source('audio', tone.astype(np.int16), sample_rate=8000)
  video = (_LEVELS[:, None, None, None, None] + _NOISE).astype(np.uint8)
  return source(key, video if key == 'video' else video[:, 0])


@pytest.mark.parametrize('key', _SEEN)
def test_every_modality_is_scored_beside_its_own_baselines(key):
  name, views = _SEEN[key]
  parts = parts_of(name, **views)
  parts.config.eval.num_neighbors = 3
  found, beside = scores(parts, columns(key), ('knn', 'rankme'))
  assert set(found) == set(beside) == {'knn', 'rankme'}
  for values in beside.values():
    assert set(values) == set(baselines.BASELINES[key])
  # The classes are there to be seen.
  assert min(beside['knn'].values()) == 1
  if key in ('image', 'video'):
    assert found['knn'] == 1


@pytest.mark.parametrize('key', ['image', 'video', 'audio'])
def test_the_two_views_of_an_example_find_each_other(key):
  # Views that differ little from one another.
  still = {
    'image': {'crop_scale': (0.9, 1.0), 'jitter_prob': 0.0, 'blur_prob': 0.0,
              'grayscale_prob': 0.0, 'flip_prob': 0.0},
    'audio': {'segment_ms': 99},
  }  # fmt: skip
  still['video'] = {**still['image'], 'solarize_prob': 0.0}
  name, views = _SEEN[key]
  made = columns(key)
  if key != 'audio':
    pixels = _RNG.integers(0, 256, (24, 3, 3, 3), dtype=np.uint8)
    pixels = pixels.repeat(3, 1).repeat(3, 2)
    pixels = np.repeat(pixels[:, None], 4, 1) if key == 'video' else pixels
    made = source(key, pixels)
  parts = parts_of(name, **{**views, **still[key]})
  found, beside = scores(parts, made, ('retrieval',))
  least = 0.1 if key == 'audio' else 0.8  # tones of a class are much alike
  assert found['retrieval'] >= least
  assert min(beside['retrieval'].values()) >= least


def test_pairs_of_texts_are_compared_with_their_scores():
  said = ['one two three', 'four five six', 'seven eight nine', 'one five nine']
  tokens = tokenizer.train(said, length=8)
  encoded = tokens.encode(said)
  columns = {
    'text': encoded,
    'text2': tokens.encode([said[0], 'four five nine', 'one two six', 'seven']),
    'score': np.float32([5, 3, 1, 0]),
  }
  test = arrays.of_columns(columns, tokenizer=tokens)
  run = runner.make(
    parts_of('tokens', names=('sts',)), source('text', encoded, None,
                                               tokenizer=tokens), test
  )  # fmt: skip
  assert run.names(('knn',)) == ('sts', 'rankme')
  one = jnp.ones((1, 1), jnp.float32)
  assert run.encoder(('sts',), one, None)['sts'] > 0
  beside = run.beside(('sts',))['sts']
  assert beside['tf_idf'] > 0.7
  assert set(beside) == {'word_vectors', 'tf_idf'}


def _pairs():
  images = columns('image')
  return captions.of_labels(images, length=9)


def _towers(right):
  """Towers that know the classes, or take each for the next."""

  def image(params, state, inputs):
    level = inputs.reshape(len(inputs), -1).mean(1)
    return params * jax.nn.one_hot(
      jnp.digitize(level, jnp.array([-0.6, 0.7])), 3
    )

  def text(params, state, tokens):
    words = jnp.asarray(_pairs().tokenizer.encode(
      [f'a photo of a {w}' for w in _WORDS]))  # fmt: skip
    same = (tokens[:, None] == words[None]).all(2).astype(jnp.float32)
    return params * (same if right else jnp.roll(same, 1, axis=1))

  return {'image': image, 'text': text}


@pytest.mark.parametrize('right', [True, False])
def test_towers_are_compared_in_their_common_space(right):
  names = ('zero_shot', 'text_retrieval')
  parts = parts_of('clip', size=8, towers=_towers(right), names=names)
  found, beside = scores(parts, _pairs(), names)
  assert found == dict.fromkeys(names, float(right))
  assert beside == {name: {'chance': pytest.approx(1 / 3)} for name in names}


def test_the_probe_of_a_wide_baseline_sees_its_leading_components():
  rows = _RNG.standard_normal((400, 2)) @ _RNG.standard_normal((2, 300))
  data = protocols.Features(train=rows, test=rows[:5])
  seen = runner._leading(data)
  assert seen.train.shape == (400, 256)
  norms = np.linalg.norm(rows, axis=1)
  np.testing.assert_allclose(np.linalg.norm(seen.train, axis=1), norms)
  np.testing.assert_allclose(seen.test, seen.train[:5])
  narrow = data._replace(train=rows[:, :9])
  assert runner._leading(narrow) is narrow


def test_a_prompt_is_the_mean_of_its_templates():
  embed = lambda rows: rows.astype(float)  # noqa: E731
  prompts = [np.array([[3, 0], [0, 5]]), np.array([[2, 2]])]
  found = runner._class_means(embed, lambda f, rows: f(rows), prompts)
  np.testing.assert_allclose(found, [[0.5, 0.5], [0.5**0.5, 0.5**0.5]])


def test_what_is_there_is_known():
  def has(name, made, towers=None, **views):
    parts = parts_of(name, towers=towers, **views)
    return runner.available(parts, made, made)

  assert has('simclr', columns('image'), size=8) == {'labels', 'two views'}
  assert has('crop_flip', columns('image'), size=8) == {'labels'}
  assert has('tokens', columns('text'), num_views=2) == {'labels'}
  unlabeled = source('audio', np.zeros((9, 800), np.int16), None)
  assert has('waveform', unlabeled) == {'two views'}
  assert has('clip', _pairs(), _towers(True), size=8) == {
    'labels', 'prompts', 'captions', 'towers'
  }  # fmt: skip


def test_a_protocol_of_the_config_that_cannot_run_is_refused_at_once():
  parts = parts_of('simclr', size=8, names=('knn', 'zero_shot'))
  made = columns('image')
  with pytest.raises(BadInputError, match=r'zero_shot.*this method does not'):
    runner.make(parts, made, made)
