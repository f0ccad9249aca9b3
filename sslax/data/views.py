"""Recipes of views: which augmentations, how strong, how often.

A factory (`byol`, `simclr`, `multi_crop`, `plain`) is found by its name with
`build` and takes numbers and tuples only, so that a config can set them all.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sslax import lookup, shapes
from sslax.data import augment
from sslax.data.view_policy import ViewPolicy, augmented, check, require

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_DTYPES = ('bfloat16', 'float32', 'float64')
_WHOLE = {'crop_scale': (1.0, 1.0), 'crop_ratio': (1.0, 1.0)}


class Views(NamedTuple):
  """What training and evaluation see of a batch of images.

  Attributes:
    policies: one for each kind of view.
    apply: (rng, images [B, H, W, 3] uint8) -> a tuple of normalized views
      [B, size, size, 3], one for each crop, in the order of the policies.
      Row i depends only on rng, the crop and image i. Images cropped on the
      host are [B, V, H, W, 3], and view i is made of [:, i].
    evaluate: images [B, H, W, 3] uint8 -> [B, size, size, 3], the center of
      each image at the first policy's size, normalized as views are.
    unnormalize: a view -> uint8 for pictures.
  """

  policies: tuple[ViewPolicy, ...]
  apply: Callable[..., tuple[jax.Array, ...]]
  evaluate: Callable[[jax.Array], jax.Array]
  unnormalize: Callable[[jax.Array], jax.Array]


def _unit_range(images, dtype):
  """Uint8 -> [0, 1] in the dtype to compute in."""
  shapes.check(images=(images, 'B H W 3'))
  if images.dtype != jnp.uint8:
    raise ValueError(f'images have dtype {images.dtype}; expected uint8')
  return images.astype('float64' if dtype == 'float64' else 'float32') / 255


def _normalize(x, mean, std, dtype):
  mean, std = (jnp.asarray(v, x.dtype)[None, None, None] for v in (mean, std))
  return ((x - mean) / std).astype(dtype)


def _crops(rng, images, policy):
  """[num_crops, B, size, size, 3]; the crops share one compiled body."""

  def batch(key):
    # A key of split(rng, B) does not depend on B (partitionable threefry).
    keys = jax.random.split(key, images.shape[0])
    view = functools.partial(augmented, policy=policy)
    return jax.vmap(view)(keys, images)

  return jax.vmap(batch)(jax.random.split(rng, policy.num_crops))


def _apply(rng, images, *, policies, mean, std, dtype):
  if images.ndim == 5:  # cropped on the host
    return _apply_to_crops(
      rng, images, policies=policies, mean=mean, std=std, dtype=dtype
    )
  images = _unit_range(images, dtype)
  views = []
  for i, policy in enumerate(policies):
    crops = _crops(jax.random.fold_in(rng, i), images, policy)
    views += [_normalize(crop, mean, std, dtype) for crop in crops]
  return tuple(views)


def _apply_to_crops(rng, images, *, policies, **how):
  """Changes all but the crop: view i is made of images[:, i]."""
  one_each = [p._replace(num_crops=1, **_WHOLE)
              for p in policies for _ in range(p.num_crops)]  # fmt: skip
  views = []
  for i, policy in enumerate(one_each):
    key = jax.random.fold_in(rng, i)
    views += _apply(key, images[:, i], policies=(policy,), **how)
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
  x = _unit_range(images, dtype)
  height, width = x.shape[1:3]
  side = max(1, round(center_ratio * min(height, width)))
  box = augment.Box((height - side) // 2, (width - side) // 2, side, side)
  resize = functools.partial(
    augment.resized_crop, box=box, size=size, interpolation='bicubic'
  )
  return _normalize(jax.vmap(resize)(x), mean, std, dtype)


def unnormalize(view, mean=IMAGENET_MEAN, std=IMAGENET_STD):
  """A normalized view as a picture.

  Args:
    view: [..., 3], normalized with mean and std.
    mean: of each channel, for pixels in [0, 1].
    std: likewise.

  Returns:
    [..., 3] uint8.
  """
  x = view.astype(jnp.promote_types(view.dtype, jnp.float32))
  one = (1,) * (x.ndim - 1) + (3,)
  mean, std = (jnp.asarray(v, x.dtype).reshape(one) for v in (mean, std))
  return jnp.round(jnp.clip(x * std + mean, 0, 1) * 255).astype(jnp.uint8)


def _views(policies, mean, std, dtype, center_ratio, parts=('', '')) -> Views:
  for policy, part in zip(policies, parts, strict=False):
    check(policy, part)
  require(dtype in _DTYPES, 'dtype', dtype, f'one of {", ".join(_DTYPES)}')
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
  )


def _each(key, value, num):
  """One value for each kind of view, from one for all or a tuple."""
  values = (value,) * num if isinstance(value, (int, float)) else tuple(value)
  require(len(values) == num, key, value, f'one number or {num}')
  return values


def byol(
  size=224,
  crop_scale=(0.08, 1.0),
  crop_ratio=(3 / 4, 4 / 3),
  interpolation='bicubic',
  flip_prob=0.5,
  jitter_prob=0.8,
  brightness=0.4,
  contrast=0.4,
  saturation=0.2,
  hue=0.1,
  grayscale_prob=0.2,
  blur_prob=(1.0, 0.1),
  blur_sigma=(0.1, 2.0),
  solarize_prob=(0.0, 0.2),
  mean=IMAGENET_MEAN,
  std=IMAGENET_STD,
  dtype='float32',
  center_ratio=1.0,
) -> Views:
  """BYOL's two views, which differ in blur and solarization.

  The arguments are those of ViewPolicy and `evaluation`; `blur_prob` and
  `solarize_prob` hold one number for each view.

  References:
    Grill et al., Bootstrap your own latent, https://arxiv.org/abs/2006.07733,
    2020, appendix B and table 6.

  Deviations:
    Those of `augment.color_jitter` and `augment.blur`.
  """
  policies = tuple(
    ViewPolicy(
      size,
      1,
      crop_scale,
      crop_ratio,
      interpolation,
      flip_prob,
      jitter_prob,
      brightness,
      contrast,
      saturation,
      hue,
      grayscale_prob,
      blur,
      blur_sigma,
      solarize,
    )
    for blur, solarize in zip(
      _each('blur_prob', blur_prob, 2),
      _each('solarize_prob', solarize_prob, 2),
      strict=True,
    )
  )
  return _views(policies, mean, std, dtype, center_ratio)


def simclr(
  size=224,
  strength=1.0,
  crop_scale=(0.08, 1.0),
  crop_ratio=(3 / 4, 4 / 3),
  interpolation='bicubic',
  flip_prob=0.5,
  jitter_prob=0.8,
  grayscale_prob=0.2,
  blur_prob=0.5,
  blur_sigma=(0.1, 2.0),
  mean=IMAGENET_MEAN,
  std=IMAGENET_STD,
  dtype='float32',
  center_ratio=1.0,
) -> Views:
  """SimCLR's two views, of one kind.

  Args are those of ViewPolicy and `evaluation`, and `strength` in [0, 2.5]:
  0.8 · strength of brightness, contrast and saturation, 0.2 · strength of hue.

  References:
    Chen et al., A simple framework for contrastive learning of visual
    representations, https://arxiv.org/abs/2002.05709, 2020; its official
    code, data_util.py.

  Deviations:
    Those of `augment.color_jitter` and `augment.blur`.
  """
  require(0 <= strength <= 2.5, 'strength', strength, 'in [0, 2.5]')
  color, hue = 0.8 * strength, 0.2 * strength
  policy = ViewPolicy(
    size,
    2,
    crop_scale,
    crop_ratio,
    interpolation,
    flip_prob,
    jitter_prob,
    color,
    color,
    color,
    hue,
    grayscale_prob,
    blur_prob,
    blur_sigma,
  )
  return _views((policy,), mean, std, dtype, center_ratio)


def multi_crop(
  global_size=224,
  local_size=96,
  num_local=8,
  global_crop_scale=(0.4, 1.0),
  local_crop_scale=(0.05, 0.4),
  crop_ratio=(3 / 4, 4 / 3),
  interpolation='bicubic',
  flip_prob=0.5,
  jitter_prob=0.8,
  brightness=0.4,
  contrast=0.4,
  saturation=0.2,
  hue=0.1,
  grayscale_prob=0.2,
  blur_prob=(1.0, 0.1, 0.5),
  blur_sigma=(0.1, 2.0),
  solarize_prob=(0.0, 0.2, 0.0),
  mean=IMAGENET_MEAN,
  std=IMAGENET_STD,
  dtype='float32',
  center_ratio=1.0,
) -> Views:
  """Two global crops, then `num_local` local ones; the defaults are DINO's.

  `blur_prob` and `solarize_prob` hold one number for each global crop and one
  for the local ones; the rest is as in ViewPolicy and `evaluation`. SwAV's
  recipe is num_local=6, crop scales (0.14, 1) and (0.05, 0.14), bilinear,
  jitter 0.8, 0.8, 0.8, 0.2, blur_prob=0.5, solarize_prob=0.

  References:
    Caron et al., Unsupervised learning of visual features by contrasting
    cluster assignments, https://arxiv.org/abs/2006.09882, 2020, and Emerging
    properties in self-supervised vision transformers,
    https://arxiv.org/abs/2104.14294, 2021; their official codes.

  Deviations:
    The official codes blur with Pillow, whose kernel has no fixed width.
  """
  whole = isinstance(num_local, int) and num_local >= 0
  require(whole, 'num_local', num_local, 'a whole number of at least 0')
  kinds = [(global_size, 1, global_crop_scale)] * 2
  kinds += [(local_size, num_local, local_crop_scale)] * (num_local > 0)
  policies = tuple(
    ViewPolicy(
      *kind,
      crop_ratio,
      interpolation,
      flip_prob,
      jitter_prob,
      brightness,
      contrast,
      saturation,
      hue,
      grayscale_prob,
      blur,
      blur_sigma,
      solarize,
    )
    for kind, blur, solarize in zip(
      kinds,
      _each('blur_prob', blur_prob, 3),
      _each('solarize_prob', solarize_prob, 3),
      strict=False,
    )
  )
  parts = ('global_', 'global_', 'local_')
  return _views(policies, mean, std, dtype, center_ratio, parts)


def plain(
  size=224,
  mean=IMAGENET_MEAN,
  std=IMAGENET_STD,
  dtype='float32',
  center_ratio=1.0,
) -> Views:
  """One view without chance: what `evaluate` gives.

  Args:
    size: side of the view, in pixels.
    mean: as in `evaluation`.
    std: as in `evaluation`.
    dtype: as in `evaluation`.
    center_ratio: as in `evaluation`.
  """
  square = ViewPolicy(
    size,
    crop_scale=(1.0, 1.0),
    crop_ratio=(1.0, 1.0),
    flip_prob=0.0,
    jitter_prob=0.0,
    grayscale_prob=0.0,
    blur_prob=0.0,
  )
  views = _views((square,), mean, std, dtype, center_ratio)
  return views._replace(apply=lambda rng, images: (views.evaluate(images),))


_RECIPES = {f.__name__: f for f in (byol, simclr, multi_crop, plain)}


def factory(name: str) -> Callable[..., Views]:
  """Returns the function that makes the recipe of that name.

  Args:
    name: byol, simclr, multi_crop or plain.

  Raises:
    BadInputError: no such recipe, with the nearest valid name.
  """
  lookup.choose('views', name, _RECIPES)
  return _RECIPES[name]


def build(name: str, **kwargs) -> Views:
  """The recipe of that name.

  Args:
    name: byol, simclr, multi_crop or plain.
    **kwargs: the factory's arguments.

  Raises:
    BadInputError: no such recipe or argument, with the nearest valid name, or
      a value out of range.
  """
  return lookup.call('views', factory(name), **kwargs)
