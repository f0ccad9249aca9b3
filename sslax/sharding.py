"""Mesh, shardings and device feeding: the only place that knows devices."""

import collections
import functools
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from sslax.errors import BadInputError

BATCH_AXES = ('data', 'fsdp')
_SMALLEST_SPLIT = 2**14  # elements; smaller arrays are cheaper replicated


def make_mesh(fsdp: int = 1, devices=None) -> Mesh:
  """Returns the mesh ('data', 'fsdp') over all devices of all processes.

  Args:
    fsdp: devices over which each parameter is split; divides their number.
    devices: default all.

  Raises:
    BadInputError: fsdp does not divide the number of devices.
  """
  devices = np.array(jax.devices() if devices is None else devices)
  if fsdp < 1 or devices.size % fsdp:
    divisors = [d for d in range(1, devices.size + 1) if devices.size % d == 0]
    raise BadInputError(
      f'mesh.fsdp is {fsdp}, which does not divide the {devices.size}'
      f' devices; one of {divisors} would'
    )
  grid = devices.reshape(-1, fsdp)
  return Mesh(grid, BATCH_AXES, axis_types=(AxisType.Auto,) * 2)


def replicated(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of what every device holds whole."""
  return NamedSharding(mesh, P())


def split_rows(mesh: Mesh) -> NamedSharding:
  """Returns the sharding of a batch: its first axis over all devices."""
  return NamedSharding(mesh, P(BATCH_AXES))


def state_shardings(mesh: Mesh, tree: Any) -> Any:
  """Returns shardings of parameters, optimizer and method state.

  A memory bank, an array called `bank` with a row for each example, is split by
  rows over all devices. Of the rest all is replicated without fsdp; with it, an
  array of at least 16,384 elements is split along its largest axis that fsdp
  divides.

  Args:
    mesh: from `make_mesh`.
    tree: arrays or shapes.
  """
  fsdp = mesh.shape['fsdp']

  def rule(keys, leaf):
    path = jax.tree_util.keystr(keys, simple=True, separator='/').split('/')
    if 'bank' in path and leaf.ndim and leaf.shape[0] % mesh.size == 0:
      return split_rows(mesh)
    axes = [a for a, n in enumerate(leaf.shape) if n % fsdp == 0]
    if fsdp == 1 or leaf.size < _SMALLEST_SPLIT or not axes:
      return replicated(mesh)
    largest = max(axes, key=lambda a: leaf.shape[a])
    return NamedSharding(mesh, P(*[None] * largest, 'fsdp'))

  return jax.tree_util.tree_map_with_path(rule, tree)


def check_batch_size(batch_size: int, mesh: Mesh) -> None:
  """Refuses a global batch that the devices cannot share equally.

  Raises:
    BadInputError: with the nearest two sizes that divide.
  """
  n = mesh.size
  if batch_size > 0 and batch_size % n == 0:
    return
  below = batch_size // n * n
  nearest = [size for size in (below, below + n) if size > 0]
  raise BadInputError(
    f'batch_size is {batch_size}, which {n} devices cannot share equally;'
    f' the nearest that they can: {" or ".join(map(str, nearest))}'
  )


def place(mesh: Mesh, batch: dict[str, Any]) -> dict[str, Any]:
  """Makes global arrays from this process's slice of a batch.

  Args:
    mesh: from `make_mesh`.
    batch: numpy arrays [B / processes, ...].
  """
  put = functools.partial(
    jax.make_array_from_process_local_data, split_rows(mesh)
  )
  return jax.tree.map(put, batch)


def feed(
  mesh: Mesh, batches: Iterable[dict[str, np.ndarray]], ahead: int = 2
) -> Iterator[dict[str, jax.Array]]:
  """Yields global batches, keeping `ahead` of them on their way to devices."""
  queue = collections.deque()
  for batch in batches:
    queue.append(place(mesh, batch))
    if len(queue) > ahead:
      yield queue.popleft()
  yield from queue


def to_host(array: jax.Array) -> np.ndarray:
  """Fetches a global array, also one whose rows live on other processes."""
  if array.is_fully_addressable or array.is_fully_replicated:
    return np.asarray(jax.device_get(array))
  from jax.experimental import multihost_utils

  return multihost_utils.process_allgather(array, tiled=True)


def wait_for_all(name: str) -> None:
  """Returns once every process has come here."""
  if jax.process_count() > 1:
    from jax.experimental import multihost_utils

    multihost_utils.sync_global_devices(name)
