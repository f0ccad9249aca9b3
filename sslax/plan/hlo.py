"""What a compiled program does, read from its text."""

import collections
import re
from collections.abc import Iterator
from typing import NamedTuple

_BITS = {'pred': 8, 's4': 4, 'u4': 4}  # others say it in their name
_SHAPE = re.compile(r'([a-z]+\d*(?:e\d\w*)?)\[([\d,]*)\](?:\{([^}]*)\})?')
_HEADER = re.compile(r'^(ENTRY )?%?([\w.\-]+) (?:\(.*)?.*\{$')
_NAME = re.compile(r'%([\w.\-]+)')
_CALLED = re.compile(
  r'(?:calls|body|condition|to_apply|true_computation|false_computation)'
  r'=%?([\w.\-]+)'
)
_BRANCHES = re.compile(r'branch_computations=\{([^}]*)\}')
_TRIPS = re.compile(r'known_trip_count"?:\{"?n"?:"?(\d+)')


class Shape(NamedTuple):
  """One array of a program.

  Attributes:
    dtype: as the compiler writes it, such as `bf16`.
    dims: of the array.
    layout: minor to major, tiles and memory space, such as `1,0:T(8,128)S(1)`.
  """

  dtype: str
  dims: tuple[int, ...]
  layout: str = ''

  @property
  def size(self) -> int:
    """Elements."""
    product = 1
    for n in self.dims:
      product *= n
    return product

  @property
  def bits(self) -> int:
    """Of an element."""
    found = re.search(r'\d+', self.dtype)
    return _BITS.get(self.dtype, int(found.group()) if found else 0)

  @property
  def bytes(self) -> int:
    """Of the elements, without padding."""
    return self.size * self.bits // 8

  @property
  def is_on_chip(self) -> bool:
    """Whether it lives in the small memory beside the arithmetic units."""
    return bool(re.search(r'S\([1-9]\d*\)', self.layout))

  @property
  def memory(self) -> int:
    """Bytes in the chip's main memory, padded to tiles; 0 where on chip."""
    if self.is_on_chip:
      return 0
    order, _, rest = self.layout.partition(':')
    tile = re.match(r'T\(([\d,]+)\)', rest)
    if not tile or not self.dims:
      return self.bytes
    dims = [self.dims[int(a)] for a in order.split(',')]  # minor first
    tiles = [int(n) for n in reversed(tile.group(1).split(','))]
    padded = 1
    for i, n in enumerate(dims):
      t = tiles[i] if i < len(tiles) else 1
      padded *= -(-n // t) * t
    return padded * self.bits // 8


class Instruction(NamedTuple):
  """One line of a computation.

  Attributes:
    name: of the instruction.
    opcode: such as `fusion`.
    shapes: of the result; several of a tuple.
    operands: names of the instructions that it reads.
    number: of a parameter, its place; -1 of others.
    rest: attributes, as written.
  """

  name: str
  opcode: str
  shapes: tuple[Shape, ...]
  operands: tuple[str, ...]
  number: int
  rest: str

  @property
  def called(self) -> tuple[str, ...]:
    """Names of the computations that it runs."""
    names = _CALLED.findall(self.rest)
    for branches in _BRANCHES.findall(self.rest):
      names += [n.strip().lstrip('%') for n in branches.split(',')]
    return tuple(names)

  @property
  def op_name(self) -> str:
    """Where it comes from in the traced program."""
    found = re.search(r'op_name="([^"]*)"', self.rest)
    return found.group(1) if found else ''


Computation = dict[str, Instruction]  # name -> instruction, in order


class Program(NamedTuple):
  """A compiled program.

  Attributes:
    computations: name -> its instructions.
    entry: name of the computation that is run.
    times: name -> how often it is run in one run of the program, as part of
      whatever; 0 for what is never reached.
    executed: names of those whose instructions are run one by one, not fused.
  """

  computations: dict[str, Computation]
  entry: str
  times: dict[str, int]
  executed: frozenset[str]

  def run(self) -> Iterator[tuple[str, Instruction, int]]:
    """Yields (computation, instruction, times) of what is run one by one."""
    for name in self.executed:
      for instruction in self.computations[name].values():
        yield name, instruction, self.times[name]


def parse(text: str) -> Program:
  """Reads the text of a compiled program.

  Args:
    text: of `jax.stages.Compiled.as_text()`.
  """
  computations, entry, current = {}, '', None
  for line in text.splitlines():
    if current is not None and line.startswith('}'):
      current = None
    elif current is None:
      header = _HEADER.match(line)
      if header and not line.startswith('HloModule'):
        current = computations.setdefault(header.group(2), {})
        entry = header.group(2) if header.group(1) else entry
    else:
      instruction = read(line)
      if instruction:
        current[instruction.name] = instruction
  return Program(computations, entry, *_reached(computations, entry))


def read(line: str) -> Instruction | None:
  """Reads one line, or returns None where there is no instruction."""
  left, equals, right = line.strip().partition(' = ')
  if not equals:
    return None
  name = left.removeprefix('ROOT ').lstrip('%')
  right = re.sub(r'/\*.*?\*/', '', right)
  end = _closing(right, 0) + 1 if right.startswith('(') else right.find(' ')
  result, right = right[:end], right[end:].lstrip()
  opcode, _, _ = right.partition('(')
  close = _closing(right, len(opcode))
  operands = right[len(opcode) + 1 : close]
  shapes = tuple(
    Shape(dtype, tuple(int(n) for n in dims.split(',') if n), layout or '')
    for dtype, dims, layout in _SHAPE.findall(result)
  )
  return Instruction(
    name,
    opcode,
    shapes,
    tuple(_NAME.findall(operands)),
    int(operands) if opcode == 'parameter' else -1,
    right[close + 1 :],
  )


def _closing(text: str, start: int) -> int:
  """Returns where the parenthesis that opens at or after `start` closes."""
  depth = 0
  for i in range(start, len(text)):
    depth += {'(': 1, ')': -1}.get(text[i], 0)
    if depth == 0 and text[i] == ')':
      return i
  return len(text)


def _reached(computations, entry) -> tuple[dict[str, int], frozenset[str]]:
  """Returns how often each computation is run, and which are not fused."""
  times = collections.defaultdict(int)
  executed = set()

  def visit(name, count, fused):
    times[name] += count
    if not fused:
      executed.add(name)
    for instruction in computations.get(name, {}).values():
      for called in instruction.called:
        inside = fused or instruction.opcode in _FUSING
        visit(called, count * _trips(instruction), inside)

  visit(entry, 1, False)
  return dict(times), frozenset(executed)


# What their computations do is part of what they do.
_FUSING = (
  'fusion', 'reduce', 'reduce-window', 'scatter', 'select-and-scatter', 'sort',
  'map', 'all-reduce', 'all-reduce-start', 'reduce-scatter', 'custom-call',
)  # fmt: skip


def _trips(instruction: Instruction) -> int:
  """Returns the turns of a loop, 1 where they are not known."""
  if instruction.opcode != 'while':
    return 1
  found = _TRIPS.search(instruction.rest)
  return int(found.group(1)) if found else 1
