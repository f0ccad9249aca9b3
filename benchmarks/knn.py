"""Time of the exact kNN against its own matrix product.

`python benchmarks/knn.py --train=50000 --test=10000 --width=512`
"""

import argparse
import os
import time

import jax
import jax.numpy as jnp
import numpy as np

from sslax.evals.knn import neighbors


def _seconds(f):
  jax.block_until_ready(f())
  start = time.perf_counter()
  jax.block_until_ready(f())
  return time.perf_counter() - start


@jax.jit
def _product_only(train, test):
  """The floor: every similarity is made, only the largest is kept."""
  chunks = test.reshape(-1, 250, test.shape[1])
  return jax.lax.map(lambda chunk: jnp.max(chunk @ train.T, -1), chunks)


def main():
  """Prints seconds for k = 20 and 200 beside the floor."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--train', type=int, default=50_000)
  parser.add_argument('--test', type=int, default=10_000)
  parser.add_argument('--width', type=int, default=512)
  args = parser.parse_args()
  rng = np.random.default_rng(0)
  train = jnp.asarray(rng.normal(size=(args.train, args.width)), jnp.float32)
  test = jnp.asarray(rng.normal(size=(args.test, args.width)), jnp.float32)
  print(f'{jax.devices()[0].device_kind}, {os.cpu_count()} cores,', vars(args))
  print(f'load before: {os.getloadavg()[0]:.1f}')
  floor = _seconds(lambda: _product_only(train, test))
  print(f'product and maximum: {floor:.1f} s')
  for k in (20, 200):
    seconds = _seconds(lambda k=k: neighbors(train, test, k=k))
    print(f'neighbors, k={k}: {seconds:.1f} s')


if __name__ == '__main__':
  main()
