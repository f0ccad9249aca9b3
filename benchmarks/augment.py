"""Measures views per second of BYOL's two views, from uint8 images.

  python benchmarks/augment.py --sizes 32 224

Each row leaves one augmentation out of both views, so that the difference to
the first row is what that augmentation costs. On a shared machine read the
CPU time: wall time holds the work of others too.
"""

import argparse
import time

import jax
import numpy as np

from sslax.data import view_recipes

_ROWS = {
  'all': {},
  'no jitter': {'jitter_prob': 0.0},
  'no blur': {'blur_prob': 0.0},
  'no gray, no solarize': {'grayscale_prob': 0.0, 'solarize_prob': 0.0},
  'no flip': {'flip_prob': 0.0},
  'bilinear': {'interpolation': 'bilinear'},
}


def _images(size, batch_size):
  side = size if size <= 64 else 256
  shape = (batch_size, side, side, 3)
  return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _seconds(run, *args, repeats):
  """The least wall and CPU time of a call, after one that warms up."""
  jax.block_until_ready(run(*args))
  times = []
  for _ in range(repeats):
    wall, cpu = time.perf_counter(), time.process_time()
    jax.block_until_ready(run(*args))
    times.append((time.perf_counter() - wall, time.process_time() - cpu))
  return [min(t) for t in zip(*times, strict=True)]


def main():
  """Prints a table."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--sizes', type=int, nargs='+', default=[32, 224])
  parser.add_argument('--batch-size', type=int, default=256)
  parser.add_argument('--repeats', type=int, default=5)
  parser.add_argument('--rows', nargs='+', choices=_ROWS, default=[*_ROWS])
  args = parser.parse_args()
  print(f'{"size":>4} {"policy":22} {"views/s":>9} {"CPU us/view":>12}')
  for size in args.sizes:
    images = jax.device_put(_images(size, args.batch_size))
    for name in args.rows:
      run = jax.jit(view_recipes.build('byol', size=size, **_ROWS[name]).apply)
      key = jax.random.key(0)
      wall, cpu = _seconds(run, key, images, repeats=args.repeats)
      num = 2 * args.batch_size
      rate, cost = num / wall, cpu / num * 1e6
      print(f'{size:4} {name:22} {rate:9.0f} {cost:12.1f}', flush=True)


if __name__ == '__main__':
  main()
