"""The JobSet of launch/gke.yaml keeps its schema and fits its slice."""

import os
import pathlib

import jsonschema
import pytest
import yaml

from sslax import cli, main
from tests import command

FILE = command.ROOT / 'launch' / 'gke.yaml'


def _object(required=(), **properties):
  return {
    'type': 'object',
    'properties': properties,
    'required': list(required),
    'additionalProperties': False,
  }


def _array(items, **more):
  return {'type': 'array', 'items': items, 'minItems': 1} | more


STRING = {'type': 'string', 'minLength': 1}
NAME = {'type': 'string', 'pattern': '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'}
STRINGS = {'type': 'object', 'additionalProperties': STRING}
COUNT = {'type': 'integer', 'minimum': 0}
CONTAINER = _object(
  ('name', 'image', 'command'),
  name=NAME,
  image=STRING,
  command=_array(STRING),
  resources=_object(limits={'type': 'object'}),
  volumeMounts=_array(
    _object(('name', 'mountPath'), name=NAME, mountPath=STRING)
  ),
)
POD = _object(
  ('restartPolicy', 'containers'),
  restartPolicy={'enum': ['Never']},  # podFailurePolicy asks for it
  terminationGracePeriodSeconds=COUNT,
  nodeSelector=STRINGS,
  containers=_array(CONTAINER),
  volumes=_array(
    _object(
      ('name',),
      name=NAME,
      persistentVolumeClaim=_object(('claimName',), claimName=NAME),
    )
  ),
)
JOB = _object(
  ('template',),
  parallelism=COUNT,
  completions=COUNT,
  completionMode={'enum': ['Indexed', 'NonIndexed']},
  backoffLimit=COUNT,
  podFailurePolicy=_object(
    ('rules',),
    rules=_array(
      _object(
        ('action',),
        action={'enum': ['FailJob', 'FailIndex', 'Ignore', 'Count']},
        onExitCodes=_object(
          ('operator', 'values'),
          containerName=NAME,
          operator={'enum': ['In', 'NotIn']},
          values=_array({'type': 'integer', 'minimum': 1}),
        ),
      )
    ),
  ),
  template=_object(('spec',), spec=POD),
)
# The fields of JobSet v1alpha2, and of the pods in it those that are in use.
JOB_SET = _object(
  ('apiVersion', 'kind', 'metadata', 'spec'),
  apiVersion={'const': 'jobset.x-k8s.io/v1alpha2'},
  kind={'const': 'JobSet'},
  metadata=_object(('name',), name=NAME, annotations=STRINGS, labels=STRINGS),
  spec=_object(
    ('replicatedJobs',),
    network=_object(
      enableDNSHostnames={'type': 'boolean'},
      publishNotReadyAddresses={'type': 'boolean'},
      subdomain=NAME,
    ),
    failurePolicy=_object(
      maxRestarts=COUNT,
      restartStrategy={
        'enum': ['Recreate', 'BlockingRecreate', 'InPlaceRestart']
      },
      rules=_array(
        _object(
          ('name', 'action'),
          name=NAME,
          action={
            'enum': [
              'FailJobSet',
              'RestartJobSet',
              'RestartJobSetAndIgnoreMaxRestarts',
              'RestartJob',
              'RestartJobAndIgnoreMaxRestarts',
            ]
          },
          onJobFailureReasons=_array(STRING),
          targetReplicatedJobs=_array(NAME),
        )
      ),
    ),
    replicatedJobs=_array(
      _object(
        ('name', 'template'),
        name=NAME,
        replicas=COUNT,
        template=_object(('spec',), spec=JOB),
      )
    ),
  ),
)


@pytest.fixture(scope='module')
def job_set():
  return yaml.safe_load(FILE.read_text())


def test_the_job_set_keeps_its_schema(job_set):
  jsonschema.validate(job_set, JOB_SET)
  job_set['spec']['failurePolicy']['maxRestart'] = 1
  with pytest.raises(jsonschema.ValidationError, match='maxRestart'):
    jsonschema.validate(job_set, JOB_SET)
  del job_set['spec']['failurePolicy']['maxRestart']


def test_the_job_set_keeps_the_schema_of_a_cluster(job_set):
  file = os.environ.get('SSLAX_JOBSET_CRD')
  if not file:
    pytest.skip('SSLAX_JOBSET_CRD names no file with the CRD of JobSet')
  definition = yaml.safe_load(pathlib.Path(file).read_text())['spec']
  version = next(v for v in definition['versions'] if v['name'] == 'v1alpha2')
  schema = _closed(version['schema']['openAPIV3Schema'])
  schema['properties']['metadata'] = {'type': 'object'}
  jsonschema.validate(job_set, schema)


def _closed(schema):
  """Unknown fields are errors, as they are to `kubectl apply`."""
  if isinstance(schema, list):
    return [_closed(value) for value in schema]
  if not isinstance(schema, dict):
    return schema
  closed = {key: _closed(value) for key, value in schema.items()}
  if isinstance(closed.get('properties'), dict):
    closed.setdefault('additionalProperties', False)
  if schema.get('x-kubernetes-int-or-string'):
    closed = {'type': ['integer', 'string']}
  return closed


def test_the_slice_has_as_many_hosts_as_its_topology(job_set):
  job = job_set['spec']['replicatedJobs'][0]['template']['spec']
  pod = job['template']['spec']
  x, y = pod['nodeSelector']['cloud.google.com/gke-tpu-topology'].split('x')
  chips = pod['containers'][0]['resources']['limits']['google.com/tpu']
  assert job['parallelism'] == job['completions'] == int(x) * int(y) // chips
  assert job['podFailurePolicy']['rules'][0]['onExitCodes']['values'] == [
    cli.FAILED,
    cli.BAD_INPUT,
    cli.UNHEALTHY,
  ]
  names = {volume['name'] for volume in pod['volumes']}
  assert {m['name'] for m in pod['containers'][0]['volumeMounts']} == names


def test_the_recipe_of_the_launchers_takes_their_flags(job_set):
  job = job_set['spec']['replicatedJobs'][0]['template']['spec']
  words = job['template']['spec']['containers'][0]['command'][3:]
  arguments, rest = main.parser().parse_known_args(words)
  config = main.read_config(arguments.config, rest)
  assert config.data.dir == '/runs/tensorflow_datasets'
  assert str(arguments.workdir) == '/runs/byol'
