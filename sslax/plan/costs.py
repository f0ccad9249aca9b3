"""What each instruction of a compiled program costs: matrix work and memory."""

import itertools
import re
from typing import NamedTuple

from sslax.plan import hlo

# Instructions that move no array by themselves.
_FREE = (
  'parameter', 'constant', 'tuple', 'get-tuple-element', 'bitcast', 'while',
  'conditional', 'call', 'after-all', 'opt-barrier', 'partition-id',
  'replica-id', 'copy-done', 'slice-done', 'async-start', 'async-update',
  'async-done', 'all-reduce-done', 'all-gather-done', 'iota',
  'collective-permute-done', 'send-done', 'recv-done',
)  # fmt: skip
_PARTS = ('dynamic-slice', 'slice', 'gather')  # of the operand they read some
# Passes of the bfloat16 units through which a float32 product goes.
_PASSES = {'highest': 6, 'high': 3}


class Cost(NamedTuple):
  """Of one instruction, as often as it runs.

  Attributes:
    flops: of matrix products and convolutions.
    passes: the same, times the passes of products of high precision.
    memory: bytes read from and written to the chip's main memory.
    cycles: that the compiler expects; 0 where it says nothing.
    times: how often it is started.
    op_name: where it comes from.
  """

  flops: float
  passes: float
  memory: float
  cycles: float
  times: int
  op_name: str


def of(program: hlo.Program) -> list[Cost]:
  """Returns the cost of every instruction that is run by itself.

  Args:
    program: from hlo.parse.
  """
  costs = []
  for name, instruction, times in program.run():
    computation = program.computations[name]
    if instruction.opcode in _FREE or '-done' in instruction.opcode:
      continue
    flops, passes = _matrix(program, computation, instruction)
    memory = _memory(program, computation, instruction)
    said = re.search(r'"estimated_cycles":"(\d+)"', instruction.rest)
    cycles = int(said.group(1)) if said else 0
    costs.append(
      Cost(
        flops * times,
        passes * times,
        memory * times,
        cycles * times,
        times,
        instruction.op_name,
      )
    )
  return costs


def _matrix(program, computation, instruction) -> tuple[float, float]:
  """Returns matrix FLOPs and weighted FLOPs, of what is fused into it too."""
  if instruction.opcode in ('convolution', 'dot'):
    flops = matrix_flops(computation, instruction)
    return flops, flops * _passes(computation, instruction)
  flops = passes = 0.0
  if instruction.opcode == 'fusion':
    for called in instruction.called:
      inside = program.computations.get(called, {})
      for part in inside.values():
        more = _matrix(program, inside, part)
        flops, passes = flops + more[0], passes + more[1]
  return flops, passes


def _passes(computation, instruction) -> int:
  """Returns how often the matrix units go over a product."""
  said = re.search(r'operand_precision=\{(\w+)', instruction.rest)
  shape = _shape(computation, instruction.operands[0])
  if said is None or shape is None or shape.dtype != 'f32':
    return 1
  return _PASSES.get(said.group(1), 1)


def _shape(computation, name) -> hlo.Shape | None:
  found = computation.get(name)
  return found.shapes[0] if found and found.shapes else None


def matrix_flops(computation: hlo.Computation, instruction) -> float:
  """Returns twice the multiplications of a `dot` or `convolution`.

  What falls on padding, or between the elements of a dilated operand, is not
  counted.

  Args:
    computation: that it is in, for the shapes of its operands.
    instruction: to look at.
  """
  out = instruction.shapes[0]
  operands = [_shape(computation, name) for name in instruction.operands[:2]]
  if None in operands:
    return 0.0
  if instruction.opcode == 'dot':
    axes = re.search(r'lhs_contracting_dims=\{([\d,]*)\}', instruction.rest)
    flops = 2.0 * out.size
    for axis in axes.group(1).split(',') if axes else ():
      flops *= operands[0].dims[int(axis)] if axis else 1
    return flops
  labels = re.search(r'dim_labels=(\w+)_(\w+)->(\w+)', instruction.rest)
  lhs, kernel, result = labels.groups()
  flops = 2.0 * operands[1].dims[kernel.index('i')]
  for label in 'bf':
    flops *= out.dims[result.index(label)]
  windows = _windows(instruction.rest, len(kernel) - 2)
  for axis, window in enumerate(windows):
    flops *= pairs(
      operands[0].dims[lhs.index(str(axis))],
      out.dims[result.index(str(axis))],
      **window,
    )
  return flops


def _windows(rest: str, num_axes: int) -> list[dict[str, int]]:
  """Reads `window={size=3x3 stride=2x2 pad=1_1x0_0 ...}`."""
  found = re.search(r'window=\{([^}]*)\}', rest)
  fields = dict(w.split('=') for w in found.group(1).split()) if found else {}

  def column(name, default):
    return fields.get(name, 'x'.join([default] * num_axes)).split('x')

  columns = zip(
    column('size', '1'),
    column('stride', '1'),
    (pad.split('_')[0] for pad in column('pad', '0_0')),
    column('lhs_dilate', '1'),
    column('rhs_dilate', '1'),
    strict=True,
  )
  names = ('size', 'stride', 'low', 'lhs_dilation', 'rhs_dilation')
  return [
    dict(zip(names, map(int, values), strict=True))
    for values in itertools.islice(columns, num_axes)
  ]


def pairs(
  length: int,
  out: int,
  *,
  size: int,
  stride: int = 1,
  low: int = 0,
  lhs_dilation: int = 1,
  rhs_dilation: int = 1,
) -> int:
  """Counts, along one axis, the products of an element with a kernel's weight.

  Args:
    length: of the operand.
    out: of the result.
    size: of the kernel.
    stride: of the window.
    low: padding in front.
    lhs_dilation: of the operand.
    rhs_dilation: of the kernel.

  >>> pairs(4, 4, size=3, low=1)
  10
  """
  last = (length - 1) * lhs_dilation
  count = 0
  for k in range(size):
    offset = k * rhs_dilation - low
    first = max(0, -(-(0 - offset) // stride))
    stop = min(out, (last - offset) // stride + 1)
    if lhs_dilation == 1:
      count += max(0, stop - first)
    else:
      places = range(first * stride + offset, stop * stride + offset, stride)
      count += sum(p % lhs_dilation == 0 for p in places)
  return count


def _memory(program, computation, instruction) -> float:
  """Returns the bytes that an instruction reads and writes in main memory."""
  opcode, shapes = instruction.opcode, instruction.shapes
  if opcode == 'copy-start':
    return sum(shape.memory for shape in shapes[:2])
  if opcode == 'slice-start':  # ((operand), slice, context)
    return max(s.memory or s.bytes for s in shapes[-2:-1])
  written = sum(shape.memory for shape in shapes)
  if opcode in _PARTS:
    return 2 * written
  if opcode == 'dynamic-update-slice':
    changed = _shape(computation, instruction.operands[1])
    return 2 * changed.memory if changed else written
  if opcode == 'fusion':
    return _fused_memory(program, computation, instruction, written)
  return written + sum(_all(computation, n) for n in instruction.operands)


def _all(computation, name) -> int:
  found = computation.get(name)
  return sum(shape.memory for shape in found.shapes) if found else 0


def _fused_memory(program, computation, instruction, written) -> float:
  """Counts of an operand only the part that is read, where it is a part."""
  inside = program.computations.get(instruction.called[0], {})
  names = {i.number: i.name for i in inside.values() if i.number >= 0}
  total = written
  for place, name in enumerate(instruction.operands):
    whole = _all(computation, name)
    read, changed = _part(inside, names[place]) if place in names else (None, 0)
    if changed:  # in place: of operand and result only that is touched
      total -= whole - min(whole, 2 * changed)
    else:
      total += whole if read is None else min(whole, read)
  return max(total, 0)


def _part(inside, name) -> tuple[int | None, int]:
  """Returns the bytes read of a parameter, None for all, and those updated."""
  read = 0
  for user in inside.values():
    if name not in user.operands:
      continue
    first = user.operands[0] == name
    if first and user.opcode in _PARTS:
      read += user.shapes[0].bytes
    elif first and user.opcode == 'dynamic-update-slice':
      changed = _shape(inside, user.operands[1])
      return None, changed.bytes if changed else 0
    else:
      return None, 0
  return read, 0
