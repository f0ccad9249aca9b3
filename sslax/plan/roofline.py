"""How long a step takes at least, and probably."""

from collections.abc import Sequence
from typing import NamedTuple

from sslax.plan.collectives import Collective, seconds
from sslax.plan.costs import Cost
from sslax.plan.topology import Topology


class Times(NamedTuple):
  """Seconds of a step.

  Attributes:
    matrix: of the matrix units at their peak, products of high precision as
      often as they pass them.
    memory: of main memory at its bandwidth.
    links: of the exchanges between chips, each by bandwidth or latency.
    waits: those of them for which computing stops.
    roofline: instruction by instruction the longer of matrix and memory, and
      the exchanges that are waited for.
    compiler: the same exchanges, and the cycles that the compiler expects of
      each instruction; 0 where it says nothing. It knows of vector units,
      padding and small programs, which the roofline does not.
  """

  matrix: float
  memory: float
  links: float
  waits: float
  roofline: float
  compiler: float


def times(
  costs: Sequence[Cost], exchanged: Sequence[Collective], topology: Topology
) -> Times:
  """Estimates a step.

  Args:
    costs: of each instruction.
    exchanged: from collectives.of.
    topology: of TPUs.
  """
  chip = topology.chip
  matrix = [cost.passes / chip.matrix_flops for cost in costs]
  memory = [cost.memory / chip.memory_bandwidth for cost in costs]
  each = [(c.times * seconds(c, topology), c.waits) for c in exchanged]
  waits = sum(time for time, waited in each if waited)
  cycles = sum(cost.cycles for cost in costs)
  return Times(
    matrix=sum(matrix),
    memory=sum(memory),
    links=sum(time for time, _ in each),
    waits=waits,
    roofline=sum(map(max, matrix, memory)) + waits,
    compiler=cycles / chip.clock + waits if cycles else 0.0,
  )


def utilization(flops: float, time: float, topology: Topology) -> float:
  """Returns the share of the matrix units' peak that a method makes use of.

  Args:
    flops: of the method's own step, of all chips together.
    time: of a step, in seconds.
    topology: of TPUs.
  """
  peak = topology.chip.matrix_flops * topology.num_devices
  return flops / (time * peak) if time else 0.0
