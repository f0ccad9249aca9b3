"""Which other processes belong to this run, and how it joins and leaves them.

A run is joined where its environment says that there is more than one process:
the variables of jax (set by `launch/local.py`, or by hand), a step of SLURM,
`mpirun`, a TPU slice of GKE or of TPU VMs. Everything else is a run of one
process and waits for nobody. JAX_NUM_PROCESSES=1 says that this process is
alone, whatever else is set.
"""

import importlib.util
import os
import re
import sys
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from sslax.errors import BadInputError

_ADDRESS = 'JAX_COORDINATOR_ADDRESS'
_COUNT = 'JAX_NUM_PROCESSES'
_INDEX = 'JAX_PROCESS_ID'
# (who sets them, number of processes, index of this one)
_MPI = (
  ('Open MPI', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_RANK'),
  ('MPI', 'PMI_SIZE', 'PMI_RANK'),
  ('MVAPICH', 'MV2_COMM_WORLD_SIZE', 'MV2_COMM_WORLD_RANK'),
)
_OPEN_MPI_4 = 'OMPI_MCA_orte_hnp_uri'  # from it jax knows where process 0 is
_SLURM = (
  'SLURM_JOB_ID',
  'SLURM_STEP_NODELIST',
  'SLURM_PROCID',
  'SLURM_LOCALID',
)
_METADATA = (
  'http://metadata.google.internal/computeMetadata/v1/instance/attributes/'
)
_METADATA_TIMEOUT = 5  # seconds
# Else jax gives a process the one device of its index on its node.
_ALL_DEVICES = {'local_device_ids': []}
# Seconds. A process without a sign of life for so long ends the others, who
# would else wait for it inside a collective. jax's default is 100.
_HEARTBEAT = 45
_FAREWELL = 10  # seconds in which processes that fail alike end together


class Cluster(NamedTuple):
  """What was found."""

  sentence: str  # for the log
  arguments: dict[str, Any]  # of jax.distributed.initialize


def initialize() -> None:
  """Joins the other processes of this run, where there are any, and says so.

  Raises:
    BadInputError: the environment has several processes and does not say who
      they are.
  """
  import jax

  if jax.distributed.is_initialized():
    return
  cluster = detect(os.environ)
  if cluster is None:
    return
  try:
    jax.distributed.initialize(
      **cluster.arguments, heartbeat_timeout_seconds=_HEARTBEAT
    )
  except ValueError as error:  # jax does not see what was seen here
    raise BadInputError(
      f'{cluster.sentence}, but jax cannot join them ({error}); on a TPU,'
      ' is it jax[tpu] that is installed?'
    ) from error
  if jax.process_index() == 0:
    print(cluster.sentence, flush=True)


def leave(code: int) -> int:
  """Ends a failed process; the others must not wait for it, nor it for them.

  Processes that fail alike, of a wrong flag for example, end together and in
  order. Otherwise this process ends at once, and jax ends those it leaves.

  Args:
    code: exit code.

  Returns:
    The exit code, where there is nobody to leave or all leave together.
  """
  jax = sys.modules.get('jax')
  if jax is None or not jax.distributed.is_initialized():
    return code
  together = threading.Thread(target=jax.distributed.shutdown, daemon=True)
  together.start()
  together.join(_FAREWELL)
  if together.is_alive():
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
  return code


def detect(env: Mapping[str, str]) -> Cluster | None:
  """Returns the cluster that this process is part of, or None for one process.

  Args:
    env: environment variables, after `import jax`.

  Raises:
    BadInputError: variables that are missing or no numbers.
  """
  if env.get(_COUNT) == '1':
    return None
  if env.get(_ADDRESS):
    return _by_hand(env)
  for find in (_open_mpi, _slurm, _mpi, _gke, _tpu_vms):
    if (cluster := find(env)) is not None:
      return cluster
  return None


def _by_hand(env) -> Cluster:
  """Numbers from jax's own variables, or those of an MPI beside the address."""
  count, index = _COUNT, _INDEX
  if _COUNT not in env and _INDEX not in env:
    count, index = next((m[1:] for m in _MPI if m[1] in env), (count, index))
  num, this = _integer(env, count), _integer(env, index)
  if not 0 <= this < num:
    raise BadInputError(
      f'{index} is {this}, which is not one of the {num} processes of {count};'
      f' the first is 0, the last {num - 1}'
    )
  arguments = {
    'coordinator_address': env[_ADDRESS],
    'num_processes': num,
    'process_id': this,
    'cluster_detection_method': 'deactivate',
  }
  return Cluster(f'{num} processes, joined at {env[_ADDRESS]}', arguments)


def _integer(env, name: str) -> int:
  value = env.get(name, '')
  if not value.strip().isdecimal():
    said = f'is {value!r}' if name in env else 'is missing'
    raise BadInputError(
      f'{_ADDRESS} is {env[_ADDRESS]}, but {name} {said}: each process needs'
      f' {_COUNT} (how many there are) and {_INDEX} (which one it is, from 0)'
    )
  return int(value)


def _open_mpi(env) -> Cluster | None:
  """Up to version 4 `mpirun` says where process 0 is."""
  num = _number(env, 'OMPI_COMM_WORLD_SIZE')
  if num < 2 or _OPEN_MPI_4 not in env:
    return None
  arguments = {'cluster_detection_method': 'ompi'}
  alone = _number(env, 'OMPI_COMM_WORLD_LOCAL_SIZE') == 1
  return Cluster(
    f'{num} processes, joined as ranks of Open MPI',
    arguments | (_ALL_DEVICES if alone else {}),
  )


def _slurm(env) -> Cluster | None:
  """A task of a step of several; a batch script or a login shell is none."""
  num = _number(env, 'SLURM_STEP_NUM_TASKS', 'SLURM_NTASKS')
  if num < 2 or not all(name in env for name in _SLURM):
    return None
  if any(_number(env, count) not in (0, num) for _, count, _ in _MPI):
    return None  # it is mpirun that started them, inside a job of SLURM
  a_node = env.get('SLURM_STEP_TASKS_PER_NODE', '')
  alone = re.fullmatch(r'1(\(x\d+\))?', a_node)
  arguments = {'cluster_detection_method': 'slurm'}
  return Cluster(
    f'{num} processes, joined as tasks of SLURM job {env["SLURM_JOB_ID"]} on'
    f' {env["SLURM_STEP_NODELIST"]}',
    arguments | (_ALL_DEVICES if alone else {}),
  )


def _mpi(env) -> Cluster | None:
  """Other MPIs do not say where process 0 is; mpi4py asks it."""
  for name, count, _ in _MPI:
    num = _number(env, count)
    if num < 2:
      continue
    if importlib.util.find_spec('mpi4py') is None:
      raise BadInputError(
        f'{count} is {num}, but nothing says where the first of these'
        f' processes is: set {_ADDRESS}=HOST:PORT for all, or pip install'
        f' mpi4py; {_COUNT}=1 makes each a run of its own'
      )
    return Cluster(
      f'{num} processes, joined as ranks of {name}',
      {'cluster_detection_method': 'mpi4py'},
    )
  return None


def _gke(env) -> Cluster | None:
  """GKE gives the pods of a TPU slice the names of all."""
  workers = env.get('TPU_PROCESS_ADDRESSES') or env.get('TPU_WORKER_HOSTNAMES')
  if not workers or not _may_use_tpu(env):
    return None
  return _slices(len(workers.split(',')), _number(env, 'MEGASCALE_NUM_SLICES'))


def _tpu_vms(env) -> Cluster | None:
  """On a TPU VM the metadata server knows the other workers."""
  # Where `import jax` finds no TPU it sets this variable.
  if 'TPU_SKIP_MDS_QUERY' in env or not _may_use_tpu(env):
    return None
  workers = _metadata('worker-network-endpoints')
  if not workers:
    return None
  slices = re.search(r"MEGASCALE_NUM_SLICES: *'(\d+)'", _metadata('tpu-env'))
  return _slices(len(workers.split(',')), int(slices[1]) if slices else 1)


def _slices(workers: int, slices: int) -> Cluster | None:
  slices = max(slices, 1)
  if workers * slices < 2:
    return None
  return Cluster(
    f'{workers * slices} processes, joined as the workers of'
    f' {slices} TPU slice(s)',
    {},
  )


def _may_use_tpu(env) -> bool:
  platforms = env.get('JAX_PLATFORMS', '')
  return not platforms or 'tpu' in platforms.split(',')


def _metadata(key: str) -> str:
  """Returns an attribute of this virtual machine, '' where it has none."""
  import urllib.error
  import urllib.request

  request = urllib.request.Request(
    _METADATA + key, headers={'Metadata-Flavor': 'Google'}
  )
  try:
    with urllib.request.urlopen(request, timeout=_METADATA_TIMEOUT) as answer:
      return answer.read().decode()
  except (urllib.error.URLError, TimeoutError):
    return ''


def _number(env, *names: str) -> int:
  """Returns the first of the variables that is a number, or 0."""
  values = (env.get(name, '') for name in names)
  return next((int(v) for v in values if v.isdecimal()), 0)
