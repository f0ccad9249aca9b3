import jax
import numpy as np
import pytest

from sslax.data import view_recipes
from sslax.errors import BadInputError

_RNG = np.random.default_rng(0)
# Sample i of every sound is i, so that segments can be read.
_CLOCK = np.tile(np.arange(200, dtype=np.int16), (50, 1))


def _build(**kwargs):
  return view_recipes.build('waveform', **{'sample_rate': 1000, **kwargs})


def test_segments_are_what_was_asked_for_at_every_place():
  made = _build(segment_ms=160)
  assert (made.reads, made.size, made.policies) == ('audio', None, ())
  first, second = jax.jit(made.apply)(jax.random.key(0), _CLOCK)
  starts = []
  for segment in (first, second):
    assert segment.shape == (50, 160)
    assert segment.dtype == np.float32
    samples = np.asarray(made.restore(segment)).astype(int)
    assert (np.diff(samples) == 1).all()
    starts.append(samples[:, 0])
  assert (starts[0] != starts[1]).mean() > 0.8
  together = np.concatenate(starts)
  assert (together.min(), together.max()) == (0, 40)
  assert abs(together.mean() - 20) < 4


def test_samples_lie_between_minus_one_and_one():
  loud = np.array([[-32767, 0, 16384, 32767]] * 2, np.int16)
  loud = np.repeat(loud, 50, 1)
  (seen,) = _build(segment_ms=200, num_views=1).apply(jax.random.key(0), loud)
  np.testing.assert_allclose(
    seen[0, ::50], [-1, 0, 16384 / 32767, 1], rtol=1e-6
  )


def test_a_segment_depends_on_its_sound_and_place_alone():
  run = jax.jit(_build(segment_ms=50).apply)
  sounds = _RNG.integers(-99, 99, (6, 200), dtype=np.int16)
  whole, half = (run(jax.random.key(1), x) for x in (sounds, sounds[:3]))
  for segment, small in zip(whole, half, strict=True):
    np.testing.assert_array_equal(small, segment[:3])


def test_short_sounds_lie_in_the_middle_of_silence():
  (segment,) = _build(segment_ms=206, num_views=1).apply(
    jax.random.key(0), _CLOCK[:2] + 1
  )
  np.testing.assert_array_equal(np.asarray(segment)[:, :3], 0)
  np.testing.assert_array_equal(np.asarray(segment)[:, -3:], 0)
  assert (np.asarray(segment)[:, 3:-3] > 0).all()


def test_evaluation_sees_the_whole_sound_in_segments():
  made = _build(segment_ms=80)
  seen = made.evaluate(_CLOCK)
  assert seen.shape == (50, 3, 80)
  whole = np.asarray(made.restore(seen))
  np.testing.assert_array_equal(whole[:, :200], _CLOCK)
  np.testing.assert_array_equal(whole[:, 200:], 0)


def test_unit_norm_forgets_loudness():
  made = _build(segment_ms=100, unit_norm=True)
  sounds = _RNG.integers(-99, 99, (3, 200), dtype=np.int16)
  for run in (
    lambda x: made.apply(jax.random.key(0), x)[0],
    made.evaluate,
  ):
    np.testing.assert_allclose(run(sounds), run(sounds * 50), rtol=2e-4)
  norm = np.linalg.norm(made.evaluate(sounds * 50), axis=-1)
  np.testing.assert_allclose(norm, 1, rtol=1e-5)


def test_a_picture_shows_pitch_upwards_and_time_to_the_right():
  t = np.arange(8000) / 8000
  pitch = np.where(t < 0.5, 300, 2500)
  sound = (9000 * np.sin(2 * np.pi * pitch * t)).astype(np.int16)[None]
  made = view_recipes.build('waveform', segment_ms=1000)
  drawn = np.asarray(made.unnormalize(made.evaluate(sound)))
  assert drawn.shape == (1, 64, 98, 3)
  assert drawn.dtype == np.uint8
  assert (drawn.min(), drawn.max()) == (0, 255)
  rows = drawn[0, :, :, 0].argmax(0)
  assert (rows[:45] > 45).all()
  assert (rows[52:] < 20).all()


def test_dtypes(x64):
  sounds = _CLOCK[:1]
  assert _build(dtype='float64').evaluate(sounds).dtype == np.float64
  assert _build(dtype='bfloat16').evaluate(sounds).dtype == np.float32


def test_what_cannot_be_heard_is_refused():
  with pytest.raises(BadInputError, match=r'views\.segment_ms is 10'):
    view_recipes.build('waveform', segment_ms=10)
  with pytest.raises(BadInputError, match=r'views\.num_views is 0'):
    view_recipes.build('waveform', num_views=0)
  with pytest.raises(ValueError, match='float32; expected int16'):
    _build().evaluate(_CLOCK.astype(np.float32))
