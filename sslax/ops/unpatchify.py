"""Images put together again from their patches."""

from sslax import shapes


def unpatchify(patches, grid: tuple[int, int], patch_size: int):
  """Undoes `ops.patches.patchify`.

  Args:
    patches: [B, N, D], row by row; D = patch_size²·C, the pixels of a patch row
      by row, channels last.
    grid: rows and columns of patches; N is their product.
    patch_size: side of a patch in pixels.

  Returns:
    [B, H, W, C].

  Raises:
    ValueError: the shape is wrong.

  >>> import numpy as np
  >>> unpatchify(np.arange(4).reshape(1, 4, 1), (2, 2), 1)[0, :, :, 0].tolist()
  [[0, 1], [2, 3]]
  """
  rows, columns = grid
  sizes = shapes.check(patches=(patches, f'B {rows * columns} D'))
  side = patch_size
  cut = patches.reshape(sizes['B'], rows, columns, side, side, -1)
  return cut.swapaxes(2, 3).reshape(sizes['B'], rows * side, columns * side, -1)
