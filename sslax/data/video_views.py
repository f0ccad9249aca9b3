"""Views of videos: two clips of each, every frame of a clip changed alike."""

import functools

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.data import views
from sslax.data.view_policy import augmented, require

_NUM_CLIPS = 2
_NUM_SHOWN = 4  # frames of a clip in its picture


def make(
  policies,
  *,
  num_frames: int = 16,
  frame_stride: int = 2,
  mean=(0.5, 0.5, 0.5),
  std=(0.5, 0.5, 0.5),
  dtype='float32',
  center_ratio=1.0,
) -> views.Views:
  """Two clips of each video, close in time more often than far apart.

  `apply` takes videos [B, T, H, W, 3] uint8 and gives two clips
  [B, num_frames, size, size, 3]. One draw is made for a clip: all its frames
  have the same crop, flip, colors and blur. `evaluate` takes the middle clip
  and the center of its frames. A picture is a row of four frames.

  Args:
    policies: ViewPolicy of each kind, of two clips together.
    num_frames: of a clip.
    frame_stride: from one frame of a clip to its next, in frames of the video.
    mean: of each channel, for pixels in [0, 1].
    std: likewise.
    dtype: 'float32', 'float64' or 'bfloat16' (computed in float32).
    center_ratio: share of the shorter side that evaluation keeps.

  Raises:
    BadInputError: a value out of range, naming the key.

  References:
    Qian et al., Spatiotemporal contrastive video representation learning,
    https://arxiv.org/abs/2008.03800, 2020, and the official
    video_ssl_preprocess_ops.py of
    https://github.com/tensorflow/models/tree/master/official/projects/video_ssl.

  Deviations:
    Contrast turns about the mean gray of each frame; in the official code,
    about that of the whole clip. A video shorter than a clip is refused; the
    official code repeats it. Pixels are centered, to [-1, 1] unless told
    otherwise; there they stay in [0, 1].
  """
  image_views = views.make(
    policies, mean=mean, std=std, dtype=dtype, center_ratio=center_ratio
  )
  for key, value in (('num_frames', num_frames),
                     ('frame_stride', frame_stride)):  # fmt: skip
    whole = isinstance(value, int) and value >= 1
    require(whole, key, value, 'a whole number of at least 1')
  count = sum(policy.num_crops for policy in image_views.policies)
  two = count == _NUM_CLIPS
  require(two, 'num_crops', count, f'{_NUM_CLIPS} clips in all')
  cut = functools.partial(_cut, num_frames=num_frames, stride=frame_stride)
  how = {'mean': tuple(mean), 'std': tuple(std), 'dtype': dtype}
  span = (num_frames - 1) * frame_stride + 1
  apply = functools.partial(
    _apply, policies=image_views.policies, cut=cut, span=span, **how
  )
  evaluate = functools.partial(
    _evaluate, image_views=image_views, cut=cut, span=span
  )
  return image_views._replace(
    apply=apply,
    evaluate=evaluate,
    unnormalize=lambda clips: picture(image_views.unnormalize(clips)),
  )


def clip_starts(uniforms, num_starts: int):
  """Where two clips begin: their distance has a linearly falling density.

  P(t) = 2 (1 - t / M) / M on [0, M): the distance is M (1 - √(1 - u)), rounded
  down; the earlier clip begins anywhere that leaves room for the later one, and
  either may be the first.

  Args:
    uniforms: [3] in [0, 1).
    num_starts: M, places at which a clip fits into the video.

  Returns:
    [2] int32 in [0, M).
  """
  shapes.check(uniforms=(uniforms, '3'))
  distance = jnp.floor(num_starts * (1 - jnp.sqrt(1 - uniforms[0])))
  early = jnp.floor(uniforms[1] * (num_starts - distance))
  # Rounding up to a whole number must not leave the video.
  early = jnp.minimum(early, num_starts - 1 - distance)
  pair = jnp.stack([early, early + distance]).astype(jnp.int32)
  return jnp.where(uniforms[2] < 0.5, pair, pair[::-1])


def picture(clips):
  """Puts four frames, evenly spaced, side by side.

  Args:
    clips: [B, T, H, W, 3].

  Returns:
    [B, H, 4 W, 3].
  """
  shapes.check(clips=(clips, 'B T H W 3'))
  length = clips.shape[1]
  rows = [round(i * (length - 1) / (_NUM_SHOWN - 1)) for i in range(_NUM_SHOWN)]
  return jnp.concatenate([clips[:, row] for row in rows], axis=2)


def _cut(videos, starts, *, num_frames, stride):
  """Takes a clip of each video [B, T, H, W, 3], from starts [B] on."""
  frames = starts[:, None] + stride * jnp.arange(num_frames)[None]
  return jnp.take_along_axis(videos, frames[:, :, None, None, None], axis=1)


def _num_starts(videos, span):
  length = shapes.check(videos=(videos, 'B T H W 3'))['T']
  fits = length >= span
  right = f'clips of at most the {length} frames of a video'
  require(fits, 'num_frames and frame_stride', f'{span} frames', right)
  return length - span + 1


def _apply(rng, videos, *, policies, cut, span, mean, std, dtype):
  num_starts = _num_starts(videos, span)
  rng_time, rng_space = jax.random.split(rng)
  # A key of split(rng, B) does not depend on B (partitionable threefry).
  keys = jax.random.split(rng_time, len(videos))
  draw = lambda key: jax.random.uniform(key, (3,), jnp.float32)  # noqa: E731
  starts = jax.vmap(clip_starts, (0, None))(jax.vmap(draw)(keys), num_starts)
  one_each = [p for p in policies for _ in range(p.num_crops)]
  clips = []
  for i, policy in enumerate(one_each):
    clip = views.unit_range(cut(videos, starts[:, i]), dtype)
    keys = jax.random.split(jax.random.fold_in(rng_space, i), len(videos))
    view = functools.partial(augmented, policy=policy)
    by_frame = jax.vmap(view, (None, 0))
    clip = jax.vmap(by_frame)(keys, clip)
    clips.append(views.normalize(clip, mean, std, dtype))
  return tuple(clips)


def _evaluate(videos, *, image_views, cut, span):
  middle = (_num_starts(videos, span) - 1) // 2
  clips = cut(videos, jnp.full((len(videos),), middle, jnp.int32))
  frames = image_views.evaluate(clips.reshape(-1, *clips.shape[2:]))
  return frames.reshape(*clips.shape[:2], *frames.shape[1:])
