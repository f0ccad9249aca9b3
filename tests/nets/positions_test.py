import math

import numpy as np
import pytest

from sslax.nets.positions import interpolate, sincos


def _close(a, b, tolerance=1e-5):
  np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def test_sincos_positions_are_the_formula():
  table = sincos((2, 3), 8)
  for row in range(2):
    for column in range(3):
      want = [
        wave(place * 10000 ** (-k / 2))
        for place in (column, row)
        for wave in (math.sin, math.cos)
        for k in range(2)
      ]
      _close(table[3 * row + column], want, 1e-12)


def test_interpolation_puts_places_where_dino_does():
  rows, columns = np.indices((8, 8)).reshape(2, -1)
  table = np.stack([rows, columns, 0 * rows + 5], 1).astype(np.float32)
  assert interpolate(table, (8, 8), (8, 8)) is table
  got = np.asarray(interpolate(table, (8, 8), (16, 12))).reshape(16, 12, 3)
  _close(got[..., 2], 5)
  for axis, size in enumerate((16, 12)):
    want = (np.arange(size) + 0.5) * 8 / (size + 0.1) - 0.5
    inside = (want > 1) & (want < 6)
    line = got[:, 0, 0] if axis == 0 else got[0, :, 1]
    _close(line[inside], want[inside], 0.06)  # the kernel bends lines so much


@pytest.mark.parametrize('new', [(7, 3), (12, 9), (5, 8)])
def test_interpolation_equals_torch(new):
  torch = pytest.importorskip('torch', reason='torch, the oracle, is absent')
  table = np.random.default_rng(0).normal(size=(5, 5, 3)).astype(np.float32)
  want = torch.nn.functional.interpolate(
    torch.from_numpy(table.transpose(2, 0, 1)[None].copy()),
    scale_factor=tuple((n + 0.1) / 5 for n in new),
    mode='bicubic',
  )
  got = interpolate(table.reshape(25, 3), (5, 5), new)
  _close(got, want[0].numpy().transpose(1, 2, 0).reshape(-1, 3))
