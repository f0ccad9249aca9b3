"""A plan: all that is said of a step, in plain numbers."""

import collections
import math
import os
from typing import Any

import jax

from sslax import by_path
from sslax.plan import collectives, costs, footprint, hlo, kept, model_flops
from sslax.plan import roofline as roofline_lib
from sslax.plan.program import Step
from sslax.plan.topology import Topology


def plan(step: Step, topology: Topology, compiled: kept.Compiled):
  """Returns the plan as a dict that JSON can hold; bytes, seconds, FLOPs.

  Args:
    step: that was compiled.
    topology: that it was compiled for.
    compiled: what the compiler said.
  """
  config = step.parts.config
  kinds = footprint.by_kind(step.train_state, step.batch)
  made = {
    'method': config.method.name,
    'topology': topology.name,
    'devices': topology.num_devices,
    'batch_size': config.batch_size,
    'num_steps': config.num_steps,
    'fsdp': config.mesh.fsdp,
    'dtype': config.dtype,
    'parameters': _count(step.train_state.params),
    'batch': _batch(step.batch),
    'refusal': compiled.refusal,
    'compile_seconds': compiled.seconds,
    'versions': compiled.versions,
    'splits': [s._asdict() for s in footprint.splits(step.train_state)],
  }
  if compiled.refusal:
    return {**made, 'memory': kinds, 'fits': False, 'limit': _limit(topology)}
  program = hlo.parse(compiled.text)
  exchanged = collectives.of(program, topology.num_devices)
  each = costs.of(program)
  memory = footprint.whole(kinds, compiled.memory)
  flops = model_flops.of_step(step.parts, step.train_state, step.batch)
  made |= {
    'memory': memory,
    'limit': _limit(topology),
    'fits': sum(memory.values()) <= _limit(topology),
    'model_flops': flops,
    'flops': sum(cost.flops for cost in each),
    'passes': sum(cost.passes for cost in each),
    'traffic': sum(cost.memory for cost in each),
    'programs': sum(cost.times for cost in each),
    'collectives': _collectives(step, exchanged),
    'exchanges': _exchanges(exchanged),
    'alarms': alarms(step, program, exchanged),
  }
  if topology.chip:
    times = roofline_lib.times(each, exchanged, topology)
    made['seconds'] = times._asdict()
    made['speed'] = {
      name: _speed(config, flops, getattr(times, name), topology)
      for name in ('roofline', 'compiler')
      if getattr(times, name)
    }
  return made


def _batch(batch) -> dict[str, list[int]]:
  """Returns path -> shape of what the loop feeds."""
  leaves = jax.tree_util.tree_flatten_with_path(batch)[0]
  return {by_path.path_of(keys): [*leaf.shape] for keys, leaf in leaves}


def _count(tree) -> int:
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _limit(topology: Topology) -> float:
  """Bytes that a device has; of CPUs an equal share of this machine's."""
  if topology.chip:
    return topology.chip.memory
  total = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  return total / topology.num_devices


def _speed(config, flops, time, topology) -> dict[str, float]:
  return {
    'seconds': time,
    'images_per_second': config.batch_size / time,
    'hours': config.num_steps * time / 3600,
    'utilization': roofline_lib.utilization(flops, time, topology),
  }


def _collectives(step: Step, exchanged) -> dict[str, Any]:
  """Sums the exchanges by kind and purpose, beside the least possible."""
  params = _parameter_sizes(step)
  sums = collections.Counter()
  counts = collections.Counter()
  for c in exchanged:
    key = c.kind, collectives.purpose(c, params)
    counts[key] += c.times
    sums[key] += c.times * c.bytes
  return {
    'rows': [
      {'kind': kind, 'purpose': why, 'count': n, 'bytes': sums[kind, why]}
      for (kind, why), n in sorted(counts.items(), key=lambda i: -sums[i[0]])
    ],
    'least': least(step),
  }


def _exchanges(exchanged) -> list[dict[str, Any]]:
  """Returns them all, equal ones once, to be timed on other slices."""
  counts = collections.Counter()
  for c in exchanged:
    counts[c.kind, c.bytes, c.group, c.waits] += c.times
  return [
    {'kind': k, 'bytes': size, 'group': group, 'waits': waits, 'times': times}
    for (k, size, group, waits), times in counts.items()
  ]


def _parameter_sizes(step: Step) -> set[int]:
  """Numbers of elements of large parameters, whole and as held."""
  leaves = [x for x in jax.tree.leaves(step.train_state.params) if x.ndim > 1]
  held = [math.prod(x.sharding.shard_shape(x.shape)) for x in leaves]
  return {math.prod(x.shape) for x in leaves} | set(held)


def least(step: Step) -> dict[str, int]:
  """Returns the bytes that data-parallel training exchanges at the least.

  Args:
    step: to look at.

  Returns:
    `gradients`, each once in float32 (the compiler may send them in bfloat16),
    and `embeddings`, one float32 row for each view of each example, which
    methods that compare examples need; with fsdp also `parameters`, once to
    compute with.
  """
  config = step.parts.config
  count = _count(step.train_state.params)
  width = _embedding(config)
  views = sum(p.num_crops for p in step.parts.views.policies) or 1
  views = max(views, len(step.parts.method.towers))
  found = {
    'gradients': 4 * count,
    'embeddings': 4 * config.batch_size * views * width,
  }
  return found | ({'parameters': 4 * count} if config.mesh.fsdp > 1 else {})


def _embedding(config) -> int:
  for name in ('projection_size', 'bottleneck_size'):
    if name in config.method:
      return config.method[name]
  return 0


def alarms(step: Step, program: hlo.Program, exchanged) -> list[str]:
  """Returns what no step should hold: a sentence each.

  Args:
    step: that was compiled.
    program: from hlo.parse.
    exchanged: from collectives.of.
  """
  config, found = step.parts.config, []
  params, size = _parameter_sizes(step), config.batch_size
  for c in exchanged:
    gathered = c.kind == 'all-gather' and c.bytes >= 2**16
    of_params = any(shape.size in params for shape in c.shapes)
    if gathered and of_params and config.mesh.fsdp == 1:
      found.append(f'gathers a parameter: {_shapes(c.shapes)} ({c.op_name})')
  held = {
    (shape, instruction.op_name)
    for _, instruction, _ in program.run()
    for shape in instruction.shapes
    if instruction.op_name  # copies of parts of a parameter have none
    and shape.size not in params
    and _is_square(shape, size)
  }
  for shape, op_name in held:
    found.append(f'holds batch squared: {_shapes([shape])} ({op_name})')
  return sorted(set(found))


def _is_square(shape: hlo.Shape, batch_size: int) -> bool:
  """Whether two axes are as long as the global batch, or a multiple of it."""
  long = [n for n in shape.dims if n >= batch_size and n % batch_size == 0]
  return len(long) > 1 and batch_size >= 64


def _shapes(shapes) -> str:
  return ', '.join(f'{s.dtype}{[*s.dims]}' for s in shapes)
