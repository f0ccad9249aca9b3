"""Views: what training and evaluation see of a batch."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.data import augment
from sslax.data.view_policy import ViewPolicy, augmented, check, require
from sslax.ops.precision import at_least_float32

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
DTYPES = ('bfloat16', 'float32', 'float64')
_WHOLE = {'crop_scale': (1.0, 1.0), 'crop_ratio': (1.0, 1.0)}


class Views(NamedTuple):
  """What training and evaluation see of a batch.

  Attributes:
    policies: one for each kind of view of images or videos.
    apply: (rng, images [B, H, W, 3] uint8) -> a tuple of normalized views
      [B, size, size, 3], one for each crop, in the order of the policies.
      Row i depends only on rng, the crop and image i. Images cropped on the
      host are a tuple with [B, num_crops, size, size, 3] for each policy. What
      it takes and gives of other modalities is said where they are made.
    evaluate: images [B, H, W, 3] uint8 -> [B, size, size, 3], the center of
      each image at the first policy's size, normalized as views are.
    unnormalize: a view, or what evaluation sees -> uint8 [B, h, w, 3] for
      pictures; None where there is nothing to look at.
    reads: the key of a batch that `apply` and `evaluate` are given.
    restore: a view -> what a source gives under that key, for baselines.
  """

  policies: tuple[ViewPolicy, ...]
  apply: Callable[..., tuple[jax.Array, ...]]
  evaluate: Callable[[jax.Array], jax.Array]
  unnormalize: Callable[[jax.Array], jax.Array] | None
  reads: str = 'image'
  restore: Callable[[jax.Array], jax.Array] | None = None

  @property
  def size(self) -> int | None:
    """Side of what evaluation sees, in pixels; None where there are none."""
    return self.policies[0].size if self.policies else None


def unit_range(images, dtype):
  """Uint8 [..., H, W, 3] -> [0, 1] in the dtype to compute in."""
  shapes.check(images=(images, '... H W 3'))
  if images.dtype != jnp.uint8:
    raise ValueError(f'images have dtype {images.dtype}; expected uint8')
  return images.astype('float64' if dtype == 'float64' else 'float32') / 255


def normalize(x, mean, std, dtype):
  """Pixels [..., 3] in [0, 1] -> (x - mean) / std, in dtype."""
  mean, std = _channels(x, mean, std)
  return ((x - mean) / std).astype(dtype)


def _channels(x, *values):
  one = (1,) * (x.ndim - 1) + (3,)
  return (jnp.asarray(v, x.dtype).reshape(one) for v in values)


def _crops(rng, images, policy):
  """[num_crops, B, size, size, 3]; the crops share one compiled body."""

  def batch(key):
    # A key of split(rng, B) does not depend on B (partitionable threefry).
    keys = jax.random.split(key, images.shape[0])
    view = functools.partial(augmented, policy=policy)
    return jax.vmap(view)(keys, images)

  return jax.vmap(batch)(jax.random.split(rng, policy.num_crops))


def _apply(rng, images, *, policies, mean, std, dtype):
  if isinstance(images, tuple):  # cropped on the host
    return _apply_to_crops(
      rng, images, policies=policies, mean=mean, std=std, dtype=dtype
    )
  images = unit_range(images, dtype)
  views = []
  for i, policy in enumerate(policies):
    crops = _crops(jax.random.fold_in(rng, i), images, policy)
    views += [normalize(crop, mean, std, dtype) for crop in crops]
  return tuple(views)


def _apply_to_crops(rng, images, *, policies, **how):
  """Changes all but the crop."""
  made = [
    (crops[:, i], policy._replace(num_crops=1, **_WHOLE))
    for crops, policy in zip(images, policies, strict=True)
    for i in range(policy.num_crops)
  ]
  views = []
  for i, (crop, policy) in enumerate(made):
    key = jax.random.fold_in(rng, i)
    views += _apply(key, crop, policies=(policy,), **how)
  return tuple(views)


def evaluation(
  images,
  size,
  dtype='float32',
  mean=IMAGENET_MEAN,
  std=IMAGENET_STD,
  center_ratio=1.0,
):
  """The center of each image, resized (bicubic, antialiased) and normalized.

  Args:
    images: [B, H, W, 3] uint8.
    size: side of the result, in pixels.
    dtype: 'float32', 'float64' or 'bfloat16' (computed in float32).
    mean: of each channel, for pixels in [0, 1].
    std: likewise.
    center_ratio: share of the shorter side that is kept; 0.875 is the papers'
      224 out of 256.

  Returns:
    [B, size, size, 3].
  """
  x = unit_range(images, dtype)
  height, width = x.shape[1:3]
  side = max(1, round(center_ratio * min(height, width)))
  box = augment.Box((height - side) // 2, (width - side) // 2, side, side)
  resize = functools.partial(
    augment.resized_crop, box=box, size=size, interpolation='bicubic'
  )
  return normalize(jax.vmap(resize)(x), mean, std, dtype)


def unnormalize(view, mean=IMAGENET_MEAN, std=IMAGENET_STD):
  """A normalized view as a picture.

  Args:
    view: [..., 3], normalized with mean and std.
    mean: of each channel, for pixels in [0, 1].
    std: likewise.

  Returns:
    [..., 3] uint8.
  """
  x = at_least_float32(view)
  mean, std = _channels(x, mean, std)
  return jnp.round(jnp.clip(x * std + mean, 0, 1) * 255).astype(jnp.uint8)


def make(
  policies,
  *,
  mean=IMAGENET_MEAN,
  std=IMAGENET_STD,
  dtype='float32',
  center_ratio=1.0,
) -> Views:
  """Views of some kinds, each by its policy.

  Args:
    policies: ViewPolicy of each kind; the first gives evaluation its size.
    mean: as in `evaluation`.
    std: as in `evaluation`.
    dtype: as in `evaluation`.
    center_ratio: as in `evaluation`.

  Raises:
    BadInputError: a value out of range, naming the key.
  """
  policies = tuple(policies)
  for policy in policies:
    check(policy)
  require(dtype in DTYPES, 'dtype', dtype, f'one of {", ".join(DTYPES)}')
  require(0 < center_ratio <= 1, 'center_ratio', center_ratio, 'in (0, 1]')
  require(len(mean) == 3, 'mean', mean, 'three numbers')
  three = len(std) == 3 and min(std) > 0
  require(three, 'std', std, 'three numbers above 0')
  how = {'mean': tuple(mean), 'std': tuple(std)}
  see = {'size': policies[0].size, 'dtype': dtype, 'center_ratio': center_ratio}
  return Views(
    policies,
    functools.partial(_apply, policies=policies, dtype=dtype, **how),
    functools.partial(evaluation, **see, **how),
    functools.partial(unnormalize, **how),
    restore=functools.partial(unnormalize, **how),
  )
