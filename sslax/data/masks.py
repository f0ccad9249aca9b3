"""Masks of patches for one image: pure JAX, fixed shapes, one key an example.

A mask is bool [N], 1 = hidden, the patches of a grid row by row; `jax.vmap`
makes batches. `indices` turns masks of a known count into gather indices.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from sslax import shapes

_NUM_TRIES = 10  # BEiT's
_ASPECT = (0.3, 1 / 0.3)


def num_visible(num_patches: int, ratio: float) -> int:
  """How many patches stay visible, rounded down as in the official MAE.

  Args:
    num_patches: N.
    ratio: share that is hidden, in [0, 1].

  >>> num_visible(196, 0.75)
  49
  """
  return int(num_patches * (1 - ratio))


def indices(mask, count: int):
  """Indices that pick the visible patches, and that put all back.

  Args:
    mask: bool [..., N] with exactly `count` visible patches each, 1 = hidden.
    count: number M of visible patches.

  Returns:
    (visible, restore): int32 [..., M], the visible patches in order; and int32
    [..., N], such that the visible patches followed by the hidden ones, taken
    at `restore`, stand in their places again.

  >>> visible, restore = indices(jnp.array([True, False, True, False]), 2)
  >>> visible.tolist(), restore.tolist()
  ([1, 3], [2, 0, 3, 1])
  """
  order = jnp.argsort(mask, axis=-1, stable=True).astype(jnp.int32)
  restore = jnp.argsort(order, axis=-1).astype(jnp.int32)
  return order[..., :count], restore


def exact(rng, mask, count: int):
  """Hides or shows random patches so that `count` are hidden.

  Args:
    rng: key.
    mask: bool [N], 1 = hidden.
    count: number of hidden patches wanted.

  Returns:
    Bool [N]: a random subset of the hidden patches where they are too many, all
    of them and random others where they are too few.
  """
  shapes.check(mask=(mask, 'N'))
  noise = jax.random.uniform(rng, mask.shape, jnp.float32)
  order = jnp.argsort(-(noise + mask.astype(jnp.float32)))
  return jnp.zeros_like(mask).at[order[:count]].set(True)


def random_mask(rng, num_patches: int, ratio: float):
  """Random masking: a uniformly random subset of fixed size.

  Args:
    rng: key.
    num_patches: N.
    ratio: share that is hidden, in [0, 1].

  Returns:
    Bool [N] with exactly `num_visible(num_patches, ratio)` visible patches.

  References:
    He et al., Masked autoencoders are scalable vision learners,
    https://arxiv.org/abs/2111.06377, 2021; random_masking in
    https://github.com/facebookresearch/mae/blob/main/models_mae.py.

  Deviations:
    The official code leaves the visible patches in random order; `indices`
    gives them in the order of the image, which changes nothing that the encoder
    computes.
  """
  count = num_patches - num_visible(num_patches, ratio)
  return exact(rng, jnp.zeros((num_patches,), bool), count)


def block_mask(
  rng,
  grid: tuple[int, int],
  count: int,
  *,
  min_block: int = 16,
  max_block: int | None = None,
  aspect: tuple[float, float] = _ASPECT,
  fill: bool = False,
):
  """Block-wise masking: rectangles until `count` patches are hidden.

  A rectangle has an area uniform between min_block and what is still to be
  hidden, and an aspect ratio log-uniform in `aspect`; it is taken if it hides
  something new and not too much. After ten in a row that are not taken the mask
  stays short of `count`.

  Args:
    rng: key.
    grid: rows and columns of patches.
    count: number of patches to hide.
    min_block: smallest area drawn, in patches.
    max_block: largest number of patches hidden at once; by default `count`.
    aspect: smallest and largest height / width.
    fill: hides random patches where the mask stays short, so that exactly
      `count` are hidden.

  Returns:
    Bool [N] with at most `count` hidden patches, or exactly so with `fill`.

  References:
    Bao et al., BEiT, https://arxiv.org/abs/2106.08254, 2021;
    https://github.com/microsoft/unilm/blob/master/beit/masking_generator.py
    (its recipe has min_block=16 and count=75 of 14x14, as data2vec has).
  """
  blocks, last = jax.random.split(rng)
  most = count if max_block is None else max_block
  mask = _blocks(blocks, grid, jnp.float32(count), min_block, most, aspect)
  return exact(last, mask, count) if fill else mask


def ibot_mask(
  rng,
  grid: tuple[int, int],
  *,
  ratios: Sequence[float] = (0.0, 0.3),
  spreads: Sequence[float] = (0.0, 0.2),
  aspect: tuple[float, float] = _ASPECT,
):
  """Block-wise masking whose share is drawn anew for each image.

  One of the ratios is picked, each as likely; the share is uniform within its
  spread. With the default, half of the images have no hidden patch.

  Args:
    rng: key.
    grid: rows and columns of patches.
    ratios: shares that are hidden, each in [0, 1].
    spreads: for each ratio, how far the share may lie from it.
    aspect: smallest and largest height / width of a rectangle.

  Returns:
    Bool [N]; the number of hidden patches is at most the share drawn.

  References:
    Zhou et al., iBOT, https://arxiv.org/abs/2111.07832, 2021; pred_ratio and
    pred_ratio_var in https://github.com/bytedance/ibot/blob/main/loader.py.
  """
  pick, share, blocks = jax.random.split(rng, 3)
  i = jax.random.randint(pick, (), 0, len(ratios), jnp.int32)
  ratio = jnp.asarray(ratios, jnp.float32)[i]
  spread = jnp.asarray(spreads, jnp.float32)[i]
  share = jax.random.uniform(share, (), jnp.float32, -1, 1) * spread + ratio
  least = float((min(grid) // 3) ** 2)
  num_patches = math.prod(grid)
  target = share * num_patches
  return _blocks(blocks, grid, target, least, num_patches, aspect)


def _blocks(rng, grid, target, least, most, aspect):
  """Hides rectangles until `target` (a float32 scalar) is reached."""

  def unfinished(carry):
    _, mask, failures = carry
    return (_count(mask) < target) & (failures < _NUM_TRIES)

  def step(carry):
    rng, mask, failures = carry
    rng, key = jax.random.split(rng)
    room = jnp.minimum(target - _count(mask), most)
    block, fits = _rectangle(key, grid, least, room, aspect)
    new = _count(block & ~mask)
    taken = fits & (new > 0) & (new <= room)
    mask = jnp.where(taken, mask | block, mask)
    return rng, mask, jnp.where(taken, 0, failures + 1)

  empty = jnp.zeros(grid, bool)
  _, mask, _ = jax.lax.while_loop(unfinished, step, (rng, empty, jnp.int32(0)))
  return mask.reshape(-1)


def _count(mask):
  return mask.sum(dtype=jnp.float32)


def _rectangle(rng, grid, least, room, aspect):
  """(bool [rows, columns], whether it is smaller than the grid)."""
  uniforms = jax.random.uniform(rng, (4,), jnp.float32)
  area = least + (room - least) * uniforms[0]
  low, high = (math.log(a) for a in aspect)
  ratio = jnp.exp(low + (high - low) * uniforms[1])
  height = jnp.round(jnp.sqrt(area * ratio))
  width = jnp.round(jnp.sqrt(area / ratio))
  inside = []
  for n, side, uniform in zip(grid, (height, width), uniforms[2:], strict=True):
    first = jnp.floor(uniform * (n - side + 1))
    place = jnp.arange(n, dtype=jnp.float32)
    inside.append((place >= first) & (place < first + side))
  fits = (height < grid[0]) & (width < grid[1])
  return inside[0][:, None] & inside[1][None], fits


def inverse_block_mask(
  rng,
  grid: tuple[int, int],
  *,
  ratio: float = 0.8,
  block_size: int = 3,
  adjust: float = 0.07,
):
  """Inverse block masking: what stays visible is blocks.

  Square blocks around random centers become visible, about N·(1 - ratio +
  adjust) patches; then random patches are hidden, or shown, until the number is
  exact.

  Args:
    rng: key.
    grid: rows and columns of patches.
    ratio: share that is hidden, in [0, 1].
    block_size: side of a block, in patches.
    adjust: added to the visible share when the blocks are counted, since they
      overlap.

  Returns:
    Bool [N] with exactly `num_visible(N, ratio)` visible patches.

  References:
    Baevski et al., Efficient self-supervised learning with contextualized
    target representations (data2vec 2.0), https://arxiv.org/abs/2212.07525,
    2022; compute_block_mask_2d of fairseq/data/data_utils.py in
    https://github.com/facebookresearch/fairseq, as the images' recipe calls it.
  """
  centers_rng, last = jax.random.split(rng)
  num_patches = math.prod(grid)
  num_blocks = int(num_patches * ((1 - ratio + adjust) / block_size**2))
  centers = jax.random.randint(
    centers_rng, (num_blocks,), 0, num_patches, jnp.int32
  )
  near = [
    _near(places, n, block_size)
    for places, n in zip(jnp.divmod(centers, grid[1]), grid, strict=True)
  ]
  visible = (near[0][:, :, None] & near[1][:, None]).any(0).reshape(-1)
  return ~exact(last, visible, num_visible(num_patches, ratio))


def _near(centers, size, block_size):
  """[K, size]: the places of each center's block along one axis."""
  shift = (
    jnp.arange(size, dtype=jnp.int32)[None] - centers[:, None] + block_size // 2
  )
  return (shift >= 0) & (shift < block_size)
