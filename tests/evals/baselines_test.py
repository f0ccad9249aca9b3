import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfTransformer

from sslax.data import arrays, tokenizer
from sslax.evals import baselines

_RNG = np.random.default_rng(0)


def test_raw_pixels_are_the_pixels_and_those_of_a_video_its_mean_frame():
  images = _RNG.integers(0, 256, (2, 8, 9, 3), dtype=np.uint8)
  flat = baselines.raw_pixels(images)
  np.testing.assert_allclose(flat, images.reshape(2, -1) / 255, rtol=1e-6)
  video = np.stack([images, 255 - images], axis=1)
  np.testing.assert_allclose(baselines.raw_pixels(video), 0.5, rtol=1e-6)
  large = np.full((1, 64, 40, 3), 51, np.uint8)
  small = baselines.raw_pixels(large)
  np.testing.assert_allclose(small, np.full((1, 32 * 32 * 3), 0.2), rtol=1e-6)


def test_log_mel_statistics_are_of_each_band_over_time():
  t = np.arange(4000) / 8000
  quiet, loud = (a * np.sin(2 * np.pi * 1000 * t) for a in (1000, 10_000))
  sounds = np.stack([quiet, loud]).astype(np.int16)
  mean, std, most = np.split(
    np.asarray(baselines.log_mel_statistics(sounds, 8000)), 3, axis=1
  )
  assert mean.shape == (2, 64)
  assert (mean.argmax(1) == mean[0].argmax()).all()
  band = mean[0].argmax()
  np.testing.assert_allclose(np.diff(mean[:, band]), np.log(10), atol=0.01)
  assert std[:, band].max() < 0.05
  assert (most >= mean - 1e-4).all()


def test_mean_word_vector_leaves_special_tokens_out():
  vectors = _RNG.standard_normal((9, 3)).astype(np.float32)
  tokens = np.array([[2, 5, 7, 3, 0], [2, 3, 0, 0, 0]])
  found = baselines.mean_word_vector(tokens, vectors)
  np.testing.assert_allclose(found[0], vectors[[5, 7]].mean(0), rtol=1e-6)
  np.testing.assert_array_equal(found[1], 0)


def test_tf_idf_is_scikit_learns():
  tokens = _RNG.integers(4, 12, (20, 6)).astype(np.int32)
  tokens[:5, 4:] = 0
  counts = np.stack([np.bincount(row, minlength=12) for row in tokens])
  counts[:, :4] = 0
  expected = TfidfTransformer().fit_transform(counts[:, 4:]).toarray()
  idf = baselines.inverse_document_frequency(tokens, 12)
  found = np.asarray(baselines.tf_idf(tokens, idf))
  np.testing.assert_array_equal(found[:, :4], 0)
  np.testing.assert_allclose(found[:, 4:], expected, atol=1e-6)


def test_features_are_centered_and_scaled_by_the_training_split():
  train = _RNG.normal(3, 2, (50, 4)).astype(np.float32)
  test = _RNG.normal(0, 1, (5, 4)).astype(np.float32)
  identity = lambda train: None  # noqa: E731
  centered = baselines.Baseline(identity).fitted(train)(test)
  np.testing.assert_allclose(centered, test - train.mean(0), rtol=1e-6)
  scaled = baselines.Baseline(identity, scale=True).fitted(train)
  np.testing.assert_allclose(scaled(train).std(0), 1, rtol=1e-5)
  as_is = baselines.Baseline(identity, center=False).fitted(train)(test)
  np.testing.assert_array_equal(as_is, test)


_COLUMNS = {
  'image': _RNG.integers(0, 256, (6, 4, 4, 3), dtype=np.uint8),
  'video': _RNG.integers(0, 256, (6, 2, 4, 4, 3), dtype=np.uint8),
  'audio': _RNG.integers(-99, 99, (6, 500), dtype=np.int16),
}


@pytest.mark.parametrize('key', baselines.BASELINES)
def test_every_modality_has_its_baselines(key):
  fields = {}
  if key == 'text':
    words = ['one two', 'two', 'three', 'two three', 'one', 'four']
    fields['tokenizer'] = tokenizer.train(words, length=8)
    column = fields['tokenizer'].encode(words)
  else:
    column = _COLUMNS[key]
  source = arrays.of_columns({key: column}, **fields)
  for baseline in baselines.BASELINES[key].values():
    rows = np.asarray(baseline.make(source)(column))
    assert rows.shape[0] == 6
    assert np.isfinite(rows).all()
    assert len(np.unique(rows, axis=0)) == 6
