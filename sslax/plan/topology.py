"""Chips, slices of them, and devices to compile for where there are none."""

import contextlib
import importlib.util
import math
import os
import re
from typing import NamedTuple

import jax

from sslax.errors import BadInputError, nearest

_GIB = 2**30
# One hop over a link, whatever its load: 'typically around 1us',
# https://jax-ml.github.io/scaling-book/sharding.
HOP_SECONDS = 1e-6


class Chip(NamedTuple):
  """What is published of a chip.

  Attributes:
    name: as in `--topology`.
    matrix_flops: bfloat16 operations a second, of the matrix units.
    memory: bytes that the compiler lets a program use, as it says when one
      uses more; the page says the whole, which is a little more.
    memory_bandwidth: bytes a second.
    link_bandwidth: bytes a second over one link, one way.
    num_axes: of the torus, two links each.
    ring: an axis is a ring where its length is a multiple of this.
    clock: cycles a second, to read the compiler's own estimate: at it the
      matrix units reach the published peak.
    source: the page of the figures.
  """

  name: str
  matrix_flops: float
  memory: float
  memory_bandwidth: float
  link_bandwidth: float
  num_axes: int
  ring: int
  clock: float
  source: str


# The page says what a chip sends and takes over all links; of that a link has
# a half one way: v5e 400 GB/s = 2 ways x 4 links x 50 GB/s. v4's page is silent
# on links; they are 45 GB/s in https://jax-ml.github.io/scaling-book/tpus, as
# is which axes are rings. Clocks are peak / (2 x multipliers): v5e 197e12 /
# (2 x 4 x 128^2); that of v6e, on whose number of units pages differ, is v5p's.
_PAGE = 'https://docs.cloud.google.com/tpu/docs/'
CHIPS = {
  'v4': Chip('v4', 275e12, 30.75 * _GIB, 1200e9, 45e9, 3, 4, 1.05e9,
             _PAGE + 'v4'),
  'v5e': Chip('v5e', 197e12, 15.75 * _GIB, 819e9, 50e9, 2, 16, 1.5e9,
              _PAGE + 'v5e'),
  'v5p': Chip('v5p', 459e12, 95.74 * _GIB, 2765e9, 100e9, 3, 4, 1.75e9,
              _PAGE + 'v5p'),
  'v6e': Chip('v6e', 918e12, 31.25 * _GIB, 1638e9, 100e9, 2, 16, 1.75e9,
              _PAGE + 'v6e'),
}  # fmt: skip
_FLAT = ('1x1', '2x2', '2x4', '4x4', '4x8', '8x8', '8x16', '16x16')
_DEEP = ('2x2x1', '2x2x2', '2x2x4', '2x4x4')  # larger ones: multiples of 4
_LARGEST = {'v4': 4096, 'v5p': 6144}  # chips that one job can have
_MOST_CPUS = 4096
# libtpu asks a metadata server who it is, locks a file against a second
# process, and logs that it found no chips, unless it is told all this.
_ALONE = {
  'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
  'TPU_SKIP_MDS_QUERY': '1',
  'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
  'TPU_WORKER_HOSTNAMES': 'localhost',
  'TPU_WORKER_ID': '0',
}


class Topology(NamedTuple):
  """A slice of chips.

  Attributes:
    name: such as `v5e:16x16`, or `cpu:8`.
    chip: its figures; None for CPUs, which have none to compare with.
    shape: chips along each axis.
  """

  name: str
  chip: Chip | None
  shape: tuple[int, ...]

  @property
  def num_devices(self) -> int:
    """How many chips, or simulated devices."""
    return math.prod(self.shape)

  @property
  def rings(self) -> tuple[bool, ...]:
    """Whether each axis is closed to a ring; cubes are in all or in none."""
    closed = tuple(n % self.chip.ring == 0 for n in self.shape)
    return closed if len(self.shape) == 2 else (all(closed),) * 3

  @property
  def bandwidth(self) -> float:
    """Bytes a second that a chip sends along all its axes."""
    link = self.chip.link_bandwidth
    axes = zip(self.shape, self.rings, strict=True)
    return sum(link * (2 if ring else 1) for n, ring in axes if n > 1)

  @property
  def latency(self) -> float:
    """Seconds for the smallest array to reach the farthest chip."""
    axes = zip(self.shape, self.rings, strict=True)
    return HOP_SECONDS * sum(n // 2 if ring else n - 1 for n, ring in axes)


def parse(name: str) -> Topology:
  """Reads the value of --topology.

  Args:
    name: `v5e:16x16`, `v5p:4x4x8`, `cpu:8`.

  Raises:
    BadInputError: there is no such chip or shape; valid ones are named.
  """
  kind, _, layout = name.partition(':')
  if kind == 'cpu':
    if not re.fullmatch(r'\d+', layout) or not 0 < int(layout) <= _MOST_CPUS:
      raise BadInputError(
        f'--topology={name}: cpu:N is a number of simulated devices from 1 to'
        f' {_MOST_CPUS}, such as cpu:8'
      )
    return Topology(name, None, (int(layout),))
  if kind not in CHIPS:
    raise BadInputError(f'--topology={name}' + nearest(kind, (*CHIPS, 'cpu')))
  chip = CHIPS[kind]
  if not re.fullmatch(r'\d+(x\d+)+', layout) or not _exists(chip, layout):
    shapes = _FLAT if chip.num_axes == 2 else (*_DEEP, '4x4x4', '4x4x8')
    more = '' if chip.num_axes == 2 else ' and larger multiples of 4, ascending'
    raise BadInputError(
      f'--topology={name}: {kind} comes as {", ".join(shapes)}{more}'
    )
  return Topology(name, chip, tuple(int(n) for n in layout.split('x')))


def _exists(chip: Chip, layout: str) -> bool:
  if chip.num_axes == 2:
    return layout in _FLAT
  shape = [int(n) for n in layout.split('x')]
  whole = len(shape) == 3 and shape == sorted(shape)
  whole = whole and all(n and n % 4 == 0 for n in shape)
  fits = math.prod(shape) <= _LARGEST[chip.name]
  return layout in _DEEP or (whole and fits)


def devices(topology: Topology) -> list:
  """Returns the devices to compile for; none of them can compute but CPUs.

  Call it before JAX has started, and it takes no accelerator of this machine.

  Args:
    topology: from `parse`.

  Raises:
    BadInputError: libtpu is not installed, or JAX has already started with
      fewer CPU devices.
  """
  if topology.chip is None:
    return _cpus(topology)
  if importlib.util.find_spec('libtpu') is None:
    raise BadInputError(
      f'--topology={topology.name} needs the TPU compiler, libtpu:'
      " pip install 'sslax[plan]'"
    )
  for name, value in _ALONE.items():
    os.environ.setdefault(name, value)
  from jax.experimental import topologies

  how = {'chip_config_name': 'megacore'} if topology.chip.name == 'v4' else {}
  hosts = (1, 1, 1) if topology.num_devices == 1 else (2, 2, 1)
  described = topologies.get_topology_desc(
    platform='tpu',
    topology_name=topology.name,
    chips_per_host_bounds=hosts,
    wrap=(*topology.rings, False)[:3],
    **how,
  )
  return described.devices


def only_cpus() -> None:
  """Keeps JAX, if it has not started, from taking this machine's chips."""
  jax.config.update('jax_platforms', 'cpu')


def _cpus(topology: Topology) -> list:
  with contextlib.suppress(RuntimeError):  # JAX has started, with its own
    jax.config.update('jax_num_cpu_devices', topology.num_devices)
  found = jax.devices('cpu')[: topology.num_devices]
  if len(found) < topology.num_devices:
    raise BadInputError(
      f'--topology={topology.name}, but JAX has already started with'
      f' {len(found)} CPU devices; a new process would have as many as it needs'
    )
  return found
