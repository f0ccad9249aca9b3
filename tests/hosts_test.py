"""What is taken for a run of several processes, and what is not."""

import os
import threading

import jax
import pytest

from sslax import cli, hosts
from sslax.errors import BadInputError

ADDRESS = {'JAX_COORDINATOR_ADDRESS': 'host:1'}
SLURM = {
  'SLURM_JOB_ID': '17',
  'SLURM_STEP_NODELIST': 'node[1-2]',
  'SLURM_NTASKS': '16',
  'SLURM_STEP_NUM_TASKS': '16',
  'SLURM_STEP_TASKS_PER_NODE': '8(x2)',
  'SLURM_PROCID': '3',
  'SLURM_LOCALID': '3',
}
OPEN_MPI = {
  'OMPI_MCA_orte_hnp_uri': '1531576320.0;tcp://10.96.0.1:34911',
  'OMPI_COMM_WORLD_SIZE': '4',
  'OMPI_COMM_WORLD_RANK': '1',
  'OMPI_COMM_WORLD_LOCAL_SIZE': '2',
}
GKE = {'TPU_WORKER_HOSTNAMES': 'a,b,c,d', 'TPU_WORKER_ID': '1'}
NO_CHIPS = {'TPU_SKIP_MDS_QUERY': '1'}  # as `import jax` leaves it

ALONE = {
  'a laptop': NO_CHIPS,
  'a login node or a batch script of SLURM': NO_CHIPS
  | {'SLURM_JOB_ID': '17', 'SLURM_NTASKS': '16', 'SLURM_PROCID': '0'},
  'a SLURM job of one task': NO_CHIPS
  | SLURM
  | {'SLURM_NTASKS': '1', 'SLURM_STEP_NUM_TASKS': '1'},
  'a shell that is the only task of its step': NO_CHIPS
  | SLURM
  | {'SLURM_STEP_NUM_TASKS': '1'},
  'mpirun of one': NO_CHIPS | OPEN_MPI | {'OMPI_COMM_WORLD_SIZE': '1'},
  'a pod with one host': {'TPU_WORKER_HOSTNAMES': 'localhost'},
  'a pod that is told to use its CPU': GKE | {'JAX_PLATFORMS': 'cpu'},
  'a task that is told to be alone': SLURM | {'JAX_NUM_PROCESSES': '1'},
}


@pytest.fixture
def metadata(monkeypatch):
  """Attributes of a TPU VM, empty at first; elsewhere nobody must ask."""
  attributes = {}
  monkeypatch.setattr(hosts, '_metadata', lambda key: attributes.get(key, ''))
  return attributes


@pytest.mark.usefixtures('metadata')
@pytest.mark.parametrize('who', ALONE)
def test_one_process_waits_for_nobody(who):
  assert hosts.detect(ALONE[who]) is None


def test_importing_jax_tells_a_machine_without_a_tpu(monkeypatch):
  def asked(key):
    raise AssertionError(f'asked the network for {key}')

  said = {k: v for k, v in os.environ.items() if k == 'TPU_SKIP_MDS_QUERY'}
  if not said:
    pytest.skip('this machine has a TPU')
  monkeypatch.setattr(hosts, '_metadata', asked)
  assert hosts.detect(said) is None


def test_variables_of_jax_are_taken_as_they_are():
  env = ADDRESS | {'JAX_NUM_PROCESSES': '4', 'JAX_PROCESS_ID': '3'} | SLURM
  assert hosts.detect(env).arguments == {
    'coordinator_address': 'host:1',
    'num_processes': 4,
    'process_id': 3,
    'cluster_detection_method': 'deactivate',
  }


def test_beside_an_address_mpi_numbers_the_processes():
  env = ADDRESS | {'PMI_SIZE': '8', 'PMI_RANK': '5'}
  arguments = hosts.detect(env).arguments
  assert (arguments['num_processes'], arguments['process_id']) == (8, 5)


@pytest.mark.parametrize(
  ('numbers', 'sentence'),
  [
    ({}, 'host:1, but JAX_NUM_PROCESSES is missing'),
    ({'JAX_NUM_PROCESSES': '2'}, 'JAX_PROCESS_ID is missing'),
    ({'JAX_NUM_PROCESSES': 'two', 'JAX_PROCESS_ID': '0'}, "is 'two'"),
    ({'JAX_NUM_PROCESSES': '2', 'JAX_PROCESS_ID': '-1'}, "is '-1'"),
    ({'JAX_NUM_PROCESSES': '2', 'JAX_PROCESS_ID': '2'}, 'is 2, which is not'),
  ],
)
def test_an_address_without_good_numbers_is_refused(numbers, sentence):
  with pytest.raises(BadInputError, match=sentence):
    hosts.detect(ADDRESS | numbers)


def test_a_task_of_slurm_has_the_device_of_its_index():
  cluster = hosts.detect(SLURM)
  assert cluster.sentence.startswith('16 processes, joined as tasks of SLURM')
  assert cluster.arguments == {'cluster_detection_method': 'slurm'}


@pytest.mark.parametrize('a_node', ['1', '1(x16)'])
def test_a_task_that_has_a_node_for_itself_has_all_its_devices(a_node):
  env = SLURM | {'SLURM_STEP_TASKS_PER_NODE': a_node}
  assert hosts.detect(env).arguments['local_device_ids'] == []


def test_mpirun_is_joined_also_inside_a_job_of_slurm():
  arguments = hosts.detect(SLURM | OPEN_MPI).arguments
  assert arguments == {'cluster_detection_method': 'ompi'}


@pytest.mark.parametrize('around', [{}, SLURM])
def test_an_mpi_that_does_not_say_where_is_refused_or_asked(
  around, monkeypatch
):
  env = around | {'PMI_SIZE': '4', 'PMI_RANK': '0'}
  monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
  with pytest.raises(BadInputError, match=r'PMI_SIZE is 4.*_ADDRESS=HOST:PORT'):
    hosts.detect(env)
  monkeypatch.setattr('importlib.util.find_spec', lambda name: name)
  arguments = hosts.detect(env).arguments
  assert arguments == {'cluster_detection_method': 'mpi4py'}


def test_pods_of_gke_are_joined_over_all_slices():
  assert '4 processes' in hosts.detect(GKE).sentence
  assert hosts.detect(GKE).arguments == {}
  env = GKE | {'MEGASCALE_NUM_SLICES': '2'}
  assert '8 processes' in hosts.detect(env).sentence


def test_tpu_vms_are_joined_if_there_is_more_than_one(metadata):
  assert hosts.detect({}) is None  # a machine that has no such attributes
  metadata['worker-network-endpoints'] = 'x:y:10.0.0.1'
  assert hosts.detect({}) is None
  metadata['tpu-env'] = "ZONE: 'a'\nMEGASCALE_NUM_SLICES: '2'\n"
  assert '2 processes' in hosts.detect({}).sentence
  metadata.clear()
  metadata['worker-network-endpoints'] = 'x:y:10.0.0.1,x:y:10.0.0.2'
  assert '2 processes' in hosts.detect({}).sentence


@pytest.fixture
def joined(monkeypatch):
  """The calls of jax.distributed.initialize, which joins nobody here."""
  calls = []
  monkeypatch.setattr(
    jax.distributed, 'initialize', lambda **kwargs: calls.append(kwargs)
  )
  for name in (*SLURM, *OPEN_MPI, *GKE, 'JAX_NUM_PROCESSES'):
    monkeypatch.delenv(name, raising=False)
  return calls


def test_initialize_joins_and_says_so(joined, monkeypatch, capsys):
  hosts.initialize()
  assert joined == []
  assert capsys.readouterr().out == ''
  for name, value in SLURM.items():
    monkeypatch.setenv(name, value)
  hosts.initialize()
  assert joined == [
    {'cluster_detection_method': 'slurm', 'heartbeat_timeout_seconds': 45}
  ]
  assert capsys.readouterr().out == (
    '16 processes, joined as tasks of SLURM job 17 on node[1-2]\n'
  )
  assert jax.config.jax_cpu_collectives_implementation == 'gloo'


def test_a_failed_process_tells_the_others_by_leaving(monkeypatch):
  ended = []
  monkeypatch.setattr(hosts, '_FAREWELL', 0.01)
  monkeypatch.setattr(jax.distributed, 'is_initialized', lambda: True)
  monkeypatch.setattr('os._exit', ended.append)

  def main(argv):
    raise ValueError

  monkeypatch.setattr(jax.distributed, 'shutdown', lambda: None)
  assert cli.run_main(main, []) == cli.FAILED
  assert ended == []  # all failed alike
  others = threading.Event()
  monkeypatch.setattr(jax.distributed, 'shutdown', others.wait)
  cli.run_main(main, [])
  assert ended == [cli.FAILED]
  others.set()
