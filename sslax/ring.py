"""Devices that share rows and pass them round: rings inside of one jit."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AbstractMesh, AxisType
from jax.sharding import PartitionSpec as P


def mesh_of_rows(array: Any, *sizes: int) -> AbstractMesh | None:
  """Returns the mesh whose devices share the rows of an array, if any.

  That is the mesh that the array is known to live on, also while it is traced.
  None where there is no mesh or one device, where its axes are not left to the
  compiler (as inside of `jax.shard_map`), and where the devices cannot share
  `sizes` equally.

  Args:
    array: array, concrete or traced.
    *sizes: numbers of rows that the devices would share.
  """
  mesh = jax.typeof(array).sharding.mesh
  if mesh.empty:
    mesh = jax.sharding.get_abstract_mesh()
  automatic = all(kind == AxisType.Auto for kind in mesh.axis_types)
  if mesh.empty or mesh.size == 1 or not automatic:
    return None
  return None if any(size % mesh.size for size in sizes) else mesh


def by_rows(function: Callable, mesh: AbstractMesh) -> Callable:
  """Returns function run on each device's share of the rows of its arrays."""
  rows = P(mesh.axis_names)
  return jax.shard_map(
    function, mesh=mesh, in_specs=rows, out_specs=rows, check_vma=False
  )


def pass_on(tree: Any, mesh: AbstractMesh) -> Any:
  """Gives each device's arrays to the next one; within `by_rows`."""
  ring = [(i, (i + 1) % mesh.size) for i in range(mesh.size)]
  return jax.lax.ppermute(tree, mesh.axis_names, ring)
