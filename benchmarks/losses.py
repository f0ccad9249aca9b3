"""Time and peak memory of value and gradient of each loss, as a table.

`python benchmarks/losses.py --batch=4096 --width=256` runs the first case of
each loss in tests/losses/*_cases.py, or the cases that `--only` names, with
batch axes grown to --batch and feature axes to --width (the letters B and D of
the docstring's shapes); other sizes (classes, tokens, a queue's rows) stay as
small as in the case. Each loss runs in a process of its own, held to one core;
`--jobs` of them run side by side. Times are of that core's processor, so that
other work on the machine does not count. Memory is the growth of the largest
resident set from when the inputs stand to when the last repetition ends,
compilation included; a loss that needs more than `--gigabytes`, or `--seconds`
in all, is said to.
"""

import argparse
import concurrent.futures
import datetime
import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import pathlib
import queue
import re
import resource
import signal
import statistics
import subprocess
import sys
import time

_ROOT = pathlib.Path(__file__).parent.parent


def load_cases():
  """Returns every case by name; a name that two files share goes to both."""
  files = sorted((_ROOT / 'tests' / 'losses').glob('*_cases.py'))
  found = {}
  for file in files:
    for case in importlib.import_module(f'tests.losses.{file.stem}').CASES:
      found[str(case)] = case
  return found


def one_each(cases):
  """Returns the names of the first case of each loss."""
  first = {}
  for name, case in cases.items():
    first.setdefault(inspect.unwrap(case.loss), name)
  return list(first.values())


def grow(case, batch, width):
  """Returns the case's inputs at full size.

  Rows and features are repeated with a little noise, features divided by the
  root of the repetition so that norms and dot products stay as in the case.
  """
  import numpy as np

  rng = np.random.default_rng(0)
  arrays, shapes = case.inputs(rng), _documented_shapes(case)
  shapes = {k: v.replace("D'", 'D') for k, v in shapes.items() if v}
  alike = {v.shape: shapes[k] for k, v in arrays.items() if k in shapes}

  def enlarge(name, array):
    # A view of a tuple has the tuple's name and a number.
    documented = shapes.get(re.sub(r'_\d+$', '', name))
    documented = documented or alike.get(array.shape, '')
    letters = documented.strip('[]').split(',')
    if len(letters) != array.ndim:
      letters = ['B' if name not in case.replicated else 'K']
      letters += ['_'] * (array.ndim - 1)
    for axis, letter in enumerate(letters[: array.ndim]):
      size = {'B': batch, '2B': 2 * batch, 'D': width}.get(letter)
      if size is None or (name in case.replicated and letter == 'B'):
        continue
      repeats = size / array.shape[axis]
      array = np.take(array, np.arange(size) % array.shape[axis], axis=axis)
      if letter == 'D' and array.dtype.kind == 'f':  # keeps dot products
        array = array / np.float32(repeats**0.5)
    if array.dtype.kind == 'f' and not case.constrained:
      scale = np.float32(1e-3 * np.abs(array).mean())
      array = array + scale * rng.standard_normal(array.shape, np.float32)
    return array.astype(array.dtype)

  return {k: enlarge(k, v) for k, v in arrays.items()}


def measure(case, batch, width, repeats):
  """Returns CPU seconds a call and to compile, and MB of peak memory."""
  import jax

  from tests.losses.case import value

  inputs = jax.device_put(grow(case, batch, width))
  free = {k: inputs[k] for k in case.wrt}
  held = {k: v for k, v in inputs.items() if k not in case.wrt}

  def loss(free, held):
    return value(case.loss(**free, **held, **case.kwargs))

  before = _peak_megabytes()
  start = time.process_time()
  run = jax.jit(jax.value_and_grad(loss)).lower(free, held).compile()
  compiled = time.process_time() - start
  seconds = []
  for _ in range(repeats):
    start = time.process_time()
    jax.block_until_ready(run(free, held))
    seconds.append(time.process_time() - start)
  return {
    'seconds': statistics.median(seconds),
    'compile': compiled,
    'megabytes': _peak_megabytes() - before,
    'shapes': {k: list(v.shape) for k, v in inputs.items()},
  }


def main():
  """Prints a markdown table, a row for each loss."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--batch', type=int, default=4096)
  parser.add_argument('--width', type=int, default=256)
  parser.add_argument('--repeats', type=int, default=3)
  parser.add_argument('--jobs', type=int, default=1)
  parser.add_argument('--gigabytes', type=int, default=10)
  parser.add_argument('--seconds', type=int, default=120)
  parser.add_argument('--only', default='', help='names of cases, by commas')
  parser.add_argument('--child', default='', help=argparse.SUPPRESS)
  args = parser.parse_args()
  sys.path.insert(0, str(_ROOT))
  if args.child:
    case = load_cases()[args.child]
    print(json.dumps(measure(case, args.batch, args.width, args.repeats)))
    return
  known = load_cases()
  names = args.only.split(',') if args.only else one_each(known)
  unknown = sorted(set(names) - set(known))
  if unknown:
    parser.error(
      f'no case {unknown[0]!r}; there are {", ".join(sorted(known))}'
    )
  print(
    f'CPU, one core a loss, {args.jobs} of {os.cpu_count()} at a time;'
    f' batch {args.batch:,}, width {args.width}, median of {args.repeats};'
    f' jax {importlib.metadata.version("jax")},'
    f' {datetime.date.today():%Y-%m-%d}.'
  )
  print('\n| loss | inputs | CPU ms | compile, CPU s | peak memory, MB |')
  print('|---|---|---:|---:|---:|')
  cores = queue.SimpleQueue()
  for core in sorted(os.sched_getaffinity(0))[: args.jobs]:
    cores.put(core)
  with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
    for row in pool.map(lambda name: _row(name, args, cores), names):
      print(row, flush=True)


def _row(name, args, cores):
  core = cores.get()
  try:
    return _measured(name, args, core)
  finally:
    cores.put(core)


def _measured(name, args, core):
  """Runs a child on one core, and makes its result a row."""
  sizes = [f'--{k}={getattr(args, k)}' for k in ('batch', 'width', 'repeats')]

  def confine():
    os.sched_setaffinity(0, {core})
    limit = args.gigabytes * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (args.seconds, args.seconds))

  done = subprocess.run(
    [sys.executable, __file__, f'--child={name}', *sizes],
    capture_output=True,
    text=True,
    check=False,
    preexec_fn=confine,
  )
  if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
    return f'| {name} | more than {args.seconds} s | | | |'
  if done.returncode:
    if re.search(r'RESOURCE_EXHAUSTED|[Oo]ut of memory|bad_alloc', done.stderr):
      return f'| {name} | more than {args.gigabytes} GiB | | | |'
    said = re.findall(r'^\w*Error: .*$', done.stderr, re.M)
    reason = (said or [str(done.returncode)])[-1]
    return f'| {name} | failed: {reason[:120]} | | | |'
  result = json.loads(done.stdout.splitlines()[-1])
  inputs = ', '.join(
    f'{k} {"x".join(map(str, v)) or "scalar"}'
    for k, v in result['shapes'].items()
  )
  return (
    f'| {name} | {inputs} | {1e3 * result["seconds"]:.1f} |'
    f' {result["compile"]:.1f} | {result["megabytes"]:.0f} |'
  )


def _documented_shapes(case):
  """Argument -> its shape in the docstring of the loss, or of its namesake.

  A case may wrap its loss; then its name, up to a space or hyphen, or what it
  wraps, is the loss's.
  """
  from sslax import losses

  loss = inspect.unwrap(case.loss)
  loss = getattr(losses, re.split(r'[ -]', str(case))[0], loss)
  spec = importlib.util.spec_from_file_location(
    'docs_build', _ROOT / 'docs' / 'build.py'
  )
  build = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(build)
  module = importlib.import_module(loss.__module__)
  if not hasattr(module, '__all__'):
    return {}
  entry = next((e for e in build.entries(module) if e.function is loss), None)
  return build.documented_shapes(entry) if entry else {}


def _peak_megabytes():
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return peak / (2**20 if sys.platform == 'darwin' else 2**10)


if __name__ == '__main__':
  main()
