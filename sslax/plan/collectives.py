"""What chips say to each other in a compiled program."""

import math
import re
from typing import NamedTuple

from sslax.plan import hlo

KINDS = (
  'all-reduce', 'all-gather', 'reduce-scatter', 'all-to-all',
  'ragged-all-to-all', 'collective-permute', 'collective-broadcast',
)  # fmt: skip
# How often the array crosses the axes of a torus:
# https://jax-ml.github.io/scaling-book/sharding.
_CROSSINGS = {'all-reduce': 2.0, 'all-to-all': 0.25, 'ragged-all-to-all': 0.25}


class Collective(NamedTuple):
  """One exchange between chips.

  Attributes:
    kind: of KINDS.
    shapes: of what a chip ends up with, or of an all-reduce has put in.
    bytes: of the whole array, over the group.
    group: chips that take part.
    times: how often in a step.
    waits: whether computing stops for it.
    op_name: where it comes from.
  """

  kind: str
  shapes: tuple[hlo.Shape, ...]
  bytes: int
  group: int
  times: int
  waits: bool
  op_name: str


def of(program: hlo.Program, num_devices: int) -> list[Collective]:
  """Returns the exchanges of a program.

  Args:
    program: from hlo.parse.
    num_devices: that it was compiled for.
  """
  found = []
  for name, times in program.times.items():
    computation = program.computations.get(name, {})
    for instruction in computation.values():
      kind = instruction.opcode.removesuffix('-start')
      if kind not in KINDS:
        continue
      if kind == 'all-reduce' and 'reduce-scatter' in name:
        kind = 'reduce-scatter'  # written as both, and a slice, fused
      shapes = _operands(computation, instruction)
      group = _group(instruction.rest, num_devices)
      size = sum(shape.bytes for shape in shapes)
      if kind in ('all-gather', 'all-to-all', 'ragged-all-to-all'):
        size *= group
      waits = not instruction.opcode.endswith('-start')
      found.append(
        Collective(kind, _results(kind, shapes, group, instruction), size,
                   group, times, waits, instruction.op_name)
      )  # fmt: skip
  return [c for c in found if c.group > 1 and c.times]


def _operands(computation, instruction) -> tuple[hlo.Shape, ...]:
  return tuple(
    shape
    for name in instruction.operands
    if name in computation
    for shape in computation[name].shapes
  )


def _results(kind, operands, group, instruction) -> tuple[hlo.Shape, ...]:
  if kind != 'all-gather':
    return operands
  sizes = {shape.size * group for shape in operands}
  return tuple(s for s in instruction.shapes if s.size in sizes) or operands


def _group(rest: str, num_devices: int) -> int:
  """Reads how many chips a group has, in each way that it is written."""
  if 'source_target_pairs' in rest:
    return num_devices
  mesh = re.search(r'replica_groups=mesh\[([^\]]*)\] *\{([^}]*)\}', rest)
  if mesh:
    sizes = dict(re.findall(r"'([^']+)'=(\d+)", mesh.group(1)))
    axes = re.findall(r"'([^']+)'(?::\(\d+\)(\d+))?", mesh.group(2))
    return math.prod(int(part or sizes[axis]) for axis, part in axes)
  counted = re.search(r'replica_groups=\[(\d+),(\d+)\]', rest)
  if counted:
    return int(counted.group(2))
  listed = re.search(r'replica_groups=\{\{([\d,]*)\}', rest)
  return len(listed.group(1).split(',')) if listed else num_devices


def seconds(collective: Collective, topology) -> float:
  """Returns the time of one exchange, by bandwidth or by latency.

  A group of all chips uses all axes of the torus, a smaller one a single axis.

  Args:
    collective: to look at.
    topology: of TPUs, from topology.parse.
  """
  group, chip = collective.group, topology.chip
  whole = group == topology.num_devices
  ways = sum(2 if ring else 1 for ring in topology.rings) / len(topology.shape)
  bandwidth = topology.bandwidth if whole else chip.link_bandwidth * ways
  crossings = _CROSSINGS.get(collective.kind, 1.0)
  if collective.kind == 'collective-permute':
    return max(1e-6, collective.bytes / chip.link_bandwidth)
  share = (group - 1) / group
  hops = topology.latency if whole else topology.latency / len(topology.shape)
  passes = 2 if collective.kind == 'all-reduce' else 1
  return max(passes * hops, crossings * collective.bytes * share / bandwidth)


def purpose(collective: Collective, params: set[int]) -> str:
  """Returns what an exchange is for, as its largest array tells.

  Args:
    collective: to look at.
    params: numbers of elements of the parameters of two axes or more, and of
      the parts of them that a device holds.
  """
  largest = max(collective.shapes, key=lambda s: s.size, default=None)
  if largest is None or largest.size <= 1:
    return 'numbers'
  tables = [s for s in collective.shapes if sum(n > 1 for n in s.dims) > 1]
  if any(shape.size in params for shape in tables):
    gathered = collective.kind in ('all-gather', 'collective-permute')
    return 'parameters' if gathered else 'gradients'
  return 'arrays' if tables else 'vectors'
