import functools

import jax
import numpy as np
import pytest

from sslax.data import video_views, view_recipes, views
from sslax.errors import BadInputError

_RNG = np.random.default_rng(0)
_LENGTH = 13
# Frame t of every video is one gray of level 10 t, so that clips can be read.
_CLOCK = np.broadcast_to(
  10 * np.arange(_LENGTH, dtype=np.uint8)[None, :, None, None, None],
  (6, _LENGTH, 10, 12, 3),
)
_STILL = {
  'crop_scale': (1.0, 1.0), 'crop_ratio': (1.0, 1.0), 'flip_prob': 0.0,
  'jitter_prob': 0.0, 'grayscale_prob': 0.0, 'blur_prob': 0.0,
  'solarize_prob': 0.0,
}  # fmt: skip


def _times(made, clips):
  """Frame numbers of clips of _CLOCK."""
  gray = np.asarray(made.restore(clips)).astype(int)
  assert (gray == gray[:, :, :1, :1, :1]).all()
  return gray[:, :, 0, 0, 0] // 10


def test_the_recipe_is_the_official_codes():
  made = view_recipes.build('cvrl')
  first, second = made.policies
  assert (first.size, first.num_crops) == (224, 1)
  assert (first.crop_scale, first.crop_ratio) == ((0.3, 1.0), (0.5, 2.0))
  assert first[6:11] == (0.8, 0.8, 0.8, 0.8, 0.2)
  assert (first.blur_prob, first.solarize_prob) == (1.0, 0.0)
  assert second == first._replace(blur_prob=0.1, solarize_prob=0.2)
  assert made.reads == 'video'


def test_clips_are_frames_at_a_stride():
  made = view_recipes.build('cvrl', size=4, num_frames=4, frame_stride=3,
                            **_STILL)  # fmt: skip
  clips = jax.jit(made.apply)(jax.random.key(0), _CLOCK)
  assert [clip.shape for clip in clips] == [(6, 4, 4, 4, 3)] * 2
  for clip in clips:
    times = _times(made, clip)
    assert (np.diff(times) == 3).all()
    assert len(set(times[:, 0])) > 1  # each video has its own draw
  (evaluated,) = {tuple(t) for t in _times(made, made.evaluate(_CLOCK))}
  assert evaluated == (1, 4, 7, 10)  # the middle


def test_all_frames_of_a_clip_are_changed_alike():
  frame = _RNG.integers(0, 256, (3, 1, 12, 14, 3), dtype=np.uint8)
  videos = np.tile(frame, (1, 5, 1, 1, 1))
  made = view_recipes.build(
    'cvrl', size=10, num_frames=3, frame_stride=2, solarize_prob=(0.0, 1.0)
  )
  first, second = jax.jit(made.apply)(jax.random.key(0), videos)
  for clip in (first, second):
    assert (np.asarray(clip) == np.asarray(clip)[:, :1]).all()
    assert np.asarray(clip).std((2, 3, 4)).min() > 0.02
  assert np.abs(first - second).max((1, 2, 3, 4)).min() > 0.1


def test_a_clip_depends_on_its_video_and_place_alone():
  made = view_recipes.build('cvrl', size=4, num_frames=2, jitter_prob=0.0,
                            blur_prob=0.0)  # fmt: skip
  videos = _RNG.integers(0, 256, (4, 6, 8, 8, 3), dtype=np.uint8)
  run = jax.jit(made.apply)
  changed = videos.copy()
  changed[1] = 255 - changed[1]
  whole, other = (run(jax.random.key(0), x) for x in (videos, changed))
  for clip, after in zip(whole, other, strict=True):
    same = (np.asarray(clip) == np.asarray(after)).all((1, 2, 3, 4))
    np.testing.assert_array_equal(same, [True, False, True, True])


def test_starts_have_the_falling_density_of_the_paper():
  uniforms = jax.random.uniform(jax.random.key(0), (40_000, 3))
  draw = jax.vmap(functools.partial(video_views.clip_starts, num_starts=8))
  first, second = np.asarray(draw(uniforms)).T
  assert min(first.min(), second.min()) == 0
  assert max(first.max(), second.max()) == 7
  distance = np.abs(first - second)
  # F(k) = 1 - (1 - k / M)^2, the official code's at power 1.
  edges = 1 - (1 - np.arange(9) / 8) ** 2
  found = np.bincount(distance, minlength=8) / len(distance)
  np.testing.assert_allclose(found, np.diff(edges), atol=0.008)
  assert abs((first < second)[distance > 0].mean() - 0.5) < 0.01
  early = np.minimum(first, second)[distance == 3]
  np.testing.assert_allclose(np.bincount(early) / len(early), 0.2, atol=0.02)


def test_a_video_of_one_clip_gives_it_twice():
  uniforms = jax.random.uniform(jax.random.key(0), (100, 3))
  draw = jax.vmap(functools.partial(video_views.clip_starts, num_starts=1))
  assert not np.asarray(draw(uniforms)).any()


def test_evaluation_sees_frames_as_images():
  made = view_recipes.build('cvrl', size=6, num_frames=3, frame_stride=1)
  videos = _RNG.integers(0, 256, (2, 5, 9, 12, 3), dtype=np.uint8)
  seen = made.evaluate(videos)
  half = {'mean': (0.5,) * 3, 'std': (0.5,) * 3}
  for t in range(3):
    expected = views.evaluation(videos[:, 1 + t], 6, **half)
    np.testing.assert_allclose(seen[:, t], expected, atol=1e-6)


def test_a_picture_is_four_frames_in_a_row():
  made = view_recipes.build('cvrl', size=10, num_frames=7, frame_stride=1,
                            **_STILL)  # fmt: skip
  clips = made.evaluate(_CLOCK)
  drawn = np.asarray(made.unnormalize(clips))
  assert drawn.shape == (6, 10, 40, 3)
  assert drawn.dtype == np.uint8
  np.testing.assert_array_equal(drawn[0, 0, ::10, 0], [30, 50, 70, 90])


def test_what_cannot_be_cut_is_refused():
  made = view_recipes.build('cvrl', size=4, num_frames=8, frame_stride=2)
  with pytest.raises(BadInputError, match=r'15 frames.*at most the 13 frames'):
    made.evaluate(_CLOCK)
  for key, value in (('num_frames', 0), ('frame_stride', 0.5)):
    with pytest.raises(BadInputError, match=rf'views\.{key} is'):
      view_recipes.build('cvrl', **{key: value})
  with pytest.raises(BadInputError, match=r'num_crops is 4; .* 2 clips'):
    view_recipes.build('cvrl', num_crops=2)
  with pytest.raises(BadInputError, match="did you mean 'num_frames'"):
    view_recipes.build('cvrl', num_frame=2)
