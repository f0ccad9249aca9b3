import math
import random
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.data import masks

_GRID = (14, 14)


def _many(draw, count=256, seed=0):
  keys = jax.random.split(jax.random.key(seed), count)
  return np.asarray(jax.jit(jax.vmap(draw))(keys))


@pytest.mark.parametrize(
  ('num_patches', 'ratio', 'visible'),
  [(196, 0.75, 49), (196, 0.6, 78), (64, 0.75, 16), (16, 0.0, 16)],
)
def test_random_mask_is_exact_and_uniform(num_patches, ratio, visible):
  got = _many(lambda key: masks.random_mask(key, num_patches, ratio))
  assert got.dtype == bool
  assert masks.num_visible(num_patches, ratio) == visible
  np.testing.assert_array_equal((~got).sum(1), visible)
  share = 1 - visible / num_patches
  deviation = math.sqrt(share * (1 - share) / len(got))
  np.testing.assert_allclose(got.mean(0), share, atol=5 * deviation)
  assert len(np.unique(got, axis=0)) == (len(got) if ratio else 1)


def test_indices_gather_and_restore():
  mask = _many(lambda key: masks.random_mask(key, 12, 0.5), 5)
  visible, restore = masks.indices(mask, 6)
  assert (visible.dtype, restore.dtype) == (jnp.int32, jnp.int32)
  patches = np.arange(12)
  for row in range(5):
    np.testing.assert_array_equal(visible[row], patches[~mask[row]])
    hidden = patches[mask[row]]
    both = np.concatenate([visible[row], hidden])
    np.testing.assert_array_equal(both[restore[row]], patches)


def test_same_key_same_mask_whatever_the_precision(x64):
  draws = (
    lambda key: masks.random_mask(key, 16, 0.5),
    partial(masks.block_mask, grid=(6, 6), count=12, min_block=4, fill=True),
    partial(masks.ibot_mask, grid=(6, 6)),
    partial(masks.inverse_block_mask, grid=(6, 6)),
  )
  for draw in draws:
    wide = _many(draw, 4)
    with jax.enable_x64(False):
      np.testing.assert_array_equal(wide, _many(draw, 4))


def _official_blocks(rng, grid, target, least):
  """BEiT's and iBOT's loop, in plain Python."""
  height, width = grid
  mask, failures = np.zeros(grid, bool), 0
  while mask.sum() < target and failures < 10:
    room = target - mask.sum()
    area = rng.uniform(least, room)
    aspect = math.exp(rng.uniform(math.log(0.3), math.log(1 / 0.3)))
    h = round(math.sqrt(area * aspect))
    w = round(math.sqrt(area / aspect))
    failures += 1
    if w < width and h < height:
      top, left = rng.randint(0, height - h), rng.randint(0, width - w)
      part = mask[top : top + h, left : left + w]
      if 0 < h * w - part.sum() <= room:
        part[:] = True
        failures = 0
  return mask


def _statistics(mask):
  """Count, and how often a hidden patch has a hidden right neighbor."""
  count = mask.sum((1, 2))
  pairs = (mask[:, :, 1:] & mask[:, :, :-1]).sum() / mask.sum()
  return count.mean(), count.std(), pairs, mask.mean(0)


def _assert_alike(got, want):
  got, want = _statistics(got), _statistics(want)
  assert got[0] == pytest.approx(want[0], rel=0.03, abs=0.5)
  assert got[1] == pytest.approx(want[1], rel=0.25, abs=0.5)
  assert got[2] == pytest.approx(want[2], rel=0.05)
  np.testing.assert_allclose(got[3], want[3], atol=0.12)


def test_block_mask_is_beits():
  draw = partial(masks.block_mask, grid=_GRID, count=75, min_block=16)
  got = _many(draw, 1000).reshape(-1, *_GRID)
  assert got.sum((1, 2)).max() <= 75
  rng = random.Random(0)
  want = [_official_blocks(rng, _GRID, 75, 16) for _ in range(1000)]
  _assert_alike(got, np.stack(want))


def test_block_mask_fills_to_the_exact_count():
  draw = partial(masks.block_mask, grid=(8, 6), count=20, min_block=4)
  short, full = _many(draw), _many(partial(draw, fill=True))
  assert short.sum(1).min() < 20
  np.testing.assert_array_equal(full.sum(1), 20)
  assert (full | ~short).all()  # what the blocks hide stays hidden


def test_max_block_limits_what_is_hidden_at_once():
  one = partial(masks.block_mask, grid=_GRID, count=40, min_block=16)
  got = _many(partial(one, max_block=4), 32)
  # no drawn rectangle is as small as 4 patches, so few fit
  assert got.sum(1).mean() < _many(one, 32).sum(1).mean()


def test_ibot_mask_is_ibots():
  got = _many(partial(masks.ibot_mask, grid=_GRID), 1000).reshape(-1, *_GRID)
  assert (got.sum((1, 2)) == 0).mean() == pytest.approx(0.5, abs=0.06)
  rng = random.Random(0)
  want = []
  for _ in range(1000):
    share = rng.choice([0.0, rng.uniform(0.1, 0.5)])
    want.append(_official_blocks(rng, _GRID, share * 196, 16))
  _assert_alike(got, np.stack(want))


def test_ibot_share_is_one_of_the_ratios():
  draw = partial(masks.ibot_mask, grid=_GRID, ratios=(0.3,), spreads=(0.0,))
  count = _many(draw).sum(1)
  assert count.max() <= 0.3 * 196
  assert count.min() > 0


@pytest.mark.parametrize(('grid', 'ratio'), [(_GRID, 0.8), ((8, 12), 0.5)])
def test_inverse_block_mask_is_exact(grid, ratio):
  got = _many(partial(masks.inverse_block_mask, grid=grid, ratio=ratio))
  num_patches = math.prod(grid)
  np.testing.assert_array_equal((~got).sum(1), int(num_patches * (1 - ratio)))
  assert len(np.unique(got, axis=0)) == len(got)


def _official_inverse(rng, d=14, ratio=0.8, length=3, adjust=0.07):
  """data2vec 2.0's, in plain numpy; returns what is hidden."""
  keep = np.zeros((d, d), bool)
  for _ in range(int(d * d * ((1 - ratio + adjust) / length**2))):
    row, column = divmod(rng.integers(d * d), d)
    for i in range(length):
      for j in range(length):
        places = row + i - length // 2, column + j - length // 2
        keep[tuple(np.clip(places, 0, d - 1))] = True
  keep, count = keep.reshape(-1), int(d * d * (1 - ratio))
  extra = int(keep.sum()) - count
  pool = np.flatnonzero(keep if extra > 0 else ~keep)
  keep[rng.choice(pool, abs(extra), replace=False)] = extra < 0
  return ~keep.reshape(d, d)


def test_inverse_block_mask_is_data2vecs():
  got = _many(partial(masks.inverse_block_mask, grid=_GRID), 1000)
  rng = np.random.default_rng(0)
  want = np.stack([_official_inverse(rng) for _ in range(1000)])
  _assert_alike(~got.reshape(-1, *_GRID), ~want)


def test_exact_keeps_what_it_can():
  mask = np.arange(10) < 4
  more = _many(lambda key: masks.exact(key, mask, 7), 50)
  fewer = _many(lambda key: masks.exact(key, mask, 2), 50)
  assert more[:, :4].all()
  assert not fewer[:, 4:].any()
  assert (more.sum(1) == 7).all()
  assert (fewer.sum(1) == 2).all()
  assert len(np.unique(more, axis=0)) > 5
  assert len(np.unique(fewer, axis=0)) > 3
