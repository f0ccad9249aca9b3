"""Time and memory of contrastive losses with the matrix of pairs, and without.

`python benchmarks/contrastive.py --loss=ntxent --batch=16384` runs value and
gradient of the loss in both forms, turn by turn, each time in a process of its
own, and prints a markdown table. Times are of the processor, of the fastest of
`--repeats` runs in each process, so that other work on the machine counts
little. Memory is the growth of the largest resident set from when the inputs
stand, so it includes compilation, gradients and the program itself.
`--forms=streamed` leaves the dense form out, for batches that it has no memory
for; `--devices=8` splits the batch over simulated devices, which take turns on
the machine's cores: a ring.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import resource
import statistics
import subprocess
import sys
import time

LOSSES = (
  'ntxent',
  'info_nce',
  'clip',
  'siglip',
  'supcon',
  'uniformity',
  'spectral',
)
_NO_LIMIT = 2**62  # pairs


def _loss(name):
  """The loss as a function of two views [B, D] of unit rows."""
  import jax.numpy as jnp

  from sslax import losses

  def supcon(x, y):
    labels = jnp.arange(len(x)) % 1000
    return losses.supcon(jnp.stack([x, y], 1), labels, temperature=0.1)

  return {
    'ntxent': lambda x, y: losses.ntxent(x, y, temperature=0.1),
    'info_nce': lambda x, y: losses.info_nce(x, y, temperature=0.1),
    'clip': lambda x, y: losses.clip(x, y, 10.0),
    'siglip': lambda x, y: losses.siglip(x, y, 10.0, -10.0),
    'supcon': supcon,
    'uniformity': lambda x, y: losses.uniformity(x) + losses.uniformity(y),
    'spectral': losses.spectral,
  }[name]


def _views(batch, width, devices):
  import jax
  import numpy as np

  from sslax import sharding

  rng = np.random.default_rng(0)
  x = rng.standard_normal((2, batch, width), np.float32)
  x[1] += x[0]
  x /= np.linalg.norm(x, axis=-1, keepdims=True)
  if devices == 1:
    return jax.device_put(tuple(x))
  return jax.device_put(tuple(x), sharding.split_rows(sharding.make_mesh()))


def measure(args, form):
  """Returns processor seconds, MB of memory and the loss of one form."""
  import jax

  from sslax.ops import pair_sums

  pair_sums._DENSE_PAIRS = _NO_LIMIT if form == 'dense' else 0
  views = jax.block_until_ready(_views(args.batch, args.width, args.devices))
  before = _peak_megabytes()
  run = jax.jit(jax.value_and_grad(_loss(args.loss), argnums=(0, 1)))
  run = run.lower(*views).compile()
  seconds = []
  for _ in range(args.repeats):
    start = time.process_time()
    loss, _ = jax.block_until_ready(run(*views))
    seconds.append(time.process_time() - start)
  return {
    'seconds': min(seconds),
    'megabytes': _peak_megabytes() - before,
    'process': _peak_megabytes(),
    'loss': float(loss),
    'temporaries': run.memory_analysis().temp_size_in_bytes / 2**20,
  }


def _peak_megabytes():
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return peak / (2**20 if sys.platform == 'darwin' else 2**10)


def _in_own_process(args, form):
  flags = f'--xla_force_host_platform_device_count={args.devices}'
  sizes = ('loss', 'batch', 'width', 'devices', 'repeats')
  words = [f'--{name}={getattr(args, name)}' for name in sizes]
  done = subprocess.run(
    [sys.executable, __file__, f'--child={form}', *words],
    env={**os.environ, 'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': flags},
    stdout=subprocess.PIPE,
    text=True,
    check=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def _row(args, form, found):
  seconds = [f['seconds'] for f in found]
  return (
    f'| {args.loss} | {args.batch:,} x {args.width} | {args.devices} | {form} |'
    f' {statistics.median(seconds):.2f} ({min(seconds):.2f} to'
    f' {max(seconds):.2f}) | {max(f["megabytes"] for f in found):,.0f} |'
    f' {max(f["process"] for f in found):,.0f} |'
    f' {found[0]["temporaries"]:,.0f} | {found[0]["loss"]:.6f} |'
  )


def main():
  """Prints a row for each form, and their ratios."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--loss', choices=LOSSES, default='ntxent')
  parser.add_argument('--batch', type=int, default=16384)
  parser.add_argument('--width', type=int, default=128)
  parser.add_argument('--devices', type=int, default=1)
  parser.add_argument('--repeats', type=int, default=2)
  parser.add_argument('--turns', type=int, default=2)
  parser.add_argument('--forms', default='dense,streamed')
  parser.add_argument('--child', default='', help=argparse.SUPPRESS)
  args = parser.parse_args()
  if args.child:
    print(json.dumps(measure(args, args.child)))
    return
  forms = args.forms.split(',')
  print(
    f'jax {importlib.metadata.version("jax")}, {os.cpu_count()} cores, load'
    f' {os.getloadavg()[0]:.0f}, {datetime.date.today():%Y-%m-%d}\n\n'
    '| loss | batch | devices | form | CPU s | memory, MB |'
    ' of the process, MB | temporaries of XLA, MB | value |\n'
    '|---|---|---:|---|---:|---:|---:|---:|---:|'
  )
  turns = [[_in_own_process(args, f) for f in forms] for _ in range(args.turns)]
  found = dict(zip(forms, zip(*turns, strict=True), strict=True))
  for form in forms:
    print(_row(args, form, found[form]))
  if len(forms) == 2:
    first, second = (found[f] for f in forms)
    pairs = list(zip(first, second, strict=True))
    seconds = [b['seconds'] / a['seconds'] for a, b in pairs]
    memory = [b['megabytes'] / a['megabytes'] for a, b in pairs]
    said = ', '.join(f'{x:.2f} of the time' for x in seconds)
    print(f'\n{forms[1]} / {forms[0]}: {said}; {max(memory):.3f} of the memory')


if __name__ == '__main__':
  main()
