"""The real step of a config, built as shapes and compiled."""

import time
from typing import Any, NamedTuple

import jax

from sslax import build, sharding, train
from sslax.errors import BadInputError
from sslax.plan import batches, kept
from sslax.plan.topology import Topology


class Step(NamedTuple):
  """A step as the loop would compile it; nothing in it is an array.

  Attributes:
    parts: from sslax.build, on the mesh of the devices to compile for.
    train_state: shapes and shardings of the state.
    batch: of a global batch.
  """

  parts: build.Parts
  train_state: train.TrainState
  batch: dict[str, Any]


def step_of(config, devices) -> Step:
  """Builds the step's parts and the shapes that it takes.

  Args:
    config: complete ConfigDict.
    devices: from topology.devices.

  Raises:
    BadInputError: a value that cannot work.
  """
  mesh = sharding.make_mesh(config.mesh.fsdp, devices)
  sharding.check_batch_size(config.batch_size, mesh)
  here = config.copy_and_resolve_references()  # whose one CPU builds the parts
  here.mesh.fsdp = 1
  here.data.num_examples = batches.num_examples(config)
  parts = build.build(here)._replace(config=config, mesh=mesh)
  batch = batches.shapes(config, parts, mesh)
  train_state = train.init_shapes(
    parts.method, parts.tx, parts.views, batch, mesh=mesh
  )
  return Step(parts, train_state, batch)


def compiled(
  step: Step, topology: Topology, *, fresh: bool = False
) -> kept.Compiled:
  """Compiles the step, or reads what was kept of doing so.

  Args:
    step: from `step_of`.
    topology: of its devices.
    fresh: compiles even so.
  """
  file = kept.path(step.parts.config, topology.name)
  found = None if fresh else kept.read(file)
  if found is None:
    found = _compile(step)
    kept.write(file, found)
  return found


def compile_apart(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
  """Compiles, and leaves jax's own cache of compiled programs alone.

  It would keep what only the chips can read, and warn ever after.

  Args:
    lowered: for devices that are not there.
  """
  name = 'jax_persistent_cache_min_compile_time_secs'
  before = jax.config.jax_persistent_cache_min_compile_time_secs
  jax.config.update(name, float(2**31))
  try:
    return lowered.compile()
  finally:
    jax.config.update(name, before)


def _compile(step: Step) -> kept.Compiled:
  parts, start = step.parts, time.process_time()
  function = train.make_step(
    parts.method, parts.tx, parts.views, seed=parts.config.seed
  )
  jitted = train.compile_step(function, step.train_state, parts.mesh)
  lowered = jitted.lower(step.train_state, step.batch)
  text, memory, refusal = '', {}, ''
  try:
    here = parts.mesh.devices.flat[0].platform == 'cpu'
    done = lowered.compile() if here else compile_apart(lowered)
    text, stats = done.as_text(), done.memory_analysis()
    memory = {
      name.removesuffix('_in_bytes'): getattr(stats, name)
      for name in dir(stats)
      if name.endswith('_in_bytes')
    }
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    refusal = ' '.join(str(error).split('\n')[0].split())
  seconds = time.process_time() - start
  return kept.Compiled(text, memory, refusal, seconds, kept.versions())


def largest(size: int, fits, *, unit: int, most: int = 2**20) -> int:
  """Returns the largest multiple of the unit that fits, to one part in 16.

  Doubles while it fits, then halves the gap.

  Args:
    size: to begin with, a multiple of the unit.
    fits: batch size -> whether it does.
    unit: by which sizes must divide.
    most: where to stop.

  Raises:
    BadInputError: not even one unit fits.

  >>> largest(64, lambda n: n <= 1000, unit=8)
  992
  """
  low, high = (size, 2 * size) if fits(size) else (0, size)
  while low and high <= most and fits(high):
    low, high = high, 2 * high
  while high - low > max(unit, low // 16):
    middle = (low + high) // 2 // unit * unit
    low, high = (middle, high) if fits(middle) else (low, middle)
  if not low:
    raise BadInputError(
      f'--find-batch: not even a batch of {unit}, one example a device, fits'
    )
  return low
