"""The launchers: their dry runs, and what they do when a run stops.

No cluster is here: `gcloud`, `srun` and `scontrol` are small scripts that note
what they are asked, and run on this machine what a host would run.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from sslax import cli
from tests import command

LAUNCH = command.ROOT / 'launch'
SCRIPTS = sorted(LAUNCH.glob('*.sh'))


def _run(*words, env=None):
  """Runs a command; returns exit code, stdout and stderr."""
  done = subprocess.run(
    [str(word) for word in words],
    env=os.environ | (env or {}),
    capture_output=True,
    text=True,
    timeout=60,
  )
  return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
  'script', [*SCRIPTS, command.ROOT / '.ci' / 'run'], ids=lambda path: path.name
)
def test_scripts_pass_bash_and_shellcheck(script):
  assert _run('bash', '-n', script) == (0, '', '')
  shellcheck = shutil.which('shellcheck', path=_path())
  assert _run(shellcheck, '--severity=style', script) == (0, '', '')


def _path():
  """Commands of this Python's environment come first."""
  return f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'


@pytest.mark.parametrize('file', [*SCRIPTS, LAUNCH / 'gke.yaml'])
def test_a_launcher_explains_itself_in_ten_lines(file):
  lines = file.read_text().splitlines()
  lines = lines[1:] if lines[0].startswith('#!') else lines
  comment = [line for line in lines if not line.startswith('#SBATCH')]
  length = next(i for i, x in enumerate(comment) if not x.startswith('#'))
  assert 3 <= length <= 10


@pytest.mark.parametrize('name', ['tpu_vm.sh', 'slurm.sh', 'gke.yaml'])
def test_there_is_one_command_to_edit(name):
  text = (LAUNCH / name).read_text()
  assert text.count('The one command to edit') == 1
  assert text.count('--config=byol:imagenet') == 1


# TPU VMs.

GCLOUD = """#!/usr/bin/env bash
# A slice of one host: this machine, with another home.
echo "$*" >> "$CLOUD/calls"
case "$*" in
  *'queued-resources describe'*) cat "$CLOUD/state" ;;
  *'queued-resources create'*) echo ACTIVE > "$CLOUD/state" ;;
  *'queued-resources delete'*) rm "$CLOUD/state" ;;
  *'tpu-vm ssh'*)
    for word in "$@"; do
      [[ $word == --command=* ]] && line=${word#--command=}
    done
    case $line in
      *tpu_host.sh\\ install* | rm\\ -rf*) ;;
      *) cd "$CLOUD" && HOME=$CLOUD bash -c "$line" ;;
    esac ;;
esac
"""
# A run that is stopped, loses its slice, is stopped by SIGTERM, and ends.
COMMAND = """
n=$(($(cat turn 2> /dev/null) + 1)); echo $n > turn; echo "turn $n"
case $n in
  1) exit 75 ;;
  2) echo SUSPENDED > state; exit 134 ;;
  3) touch waits; for i in $(seq 600); do sleep 0.1; done ;;
  *) exit "$LAST" ;;
esac
"""


@pytest.fixture
def cloud(tmp_path):
  """A folder that is the cloud, and the variables with which it is used."""
  (tmp_path / 'bin').mkdir()
  (tmp_path / 'sslax').mkdir()
  (tmp_path / 'sslax' / 'launch').symlink_to(LAUNCH)
  gcloud = tmp_path / 'bin' / 'gcloud'
  gcloud.write_text(GCLOUD)
  gcloud.chmod(0o755)
  env = {
    'CLOUD': str(tmp_path),
    'PATH': f'{tmp_path}/bin:{os.environ["PATH"]}',
    'TMPDIR': str(tmp_path),
    'PAUSE': '0',
    'LAST': '0',
  }
  return tmp_path, env


def _calls(cloud, word):
  lines = (cloud / 'calls').read_text().splitlines()
  return [line for line in lines if word in line]


def test_tpu_vm_starts_again_until_the_run_is_done(cloud):
  folder, env = cloud
  words = ['bash', LAUNCH / 'tpu_vm.sh', 'run', 'bash', '-c', COMMAND]
  process = subprocess.Popen(
    words, env=os.environ | env, stdout=subprocess.PIPE, text=True
  )
  for _ in range(600):
    if (folder / 'waits').exists():
      break
    time.sleep(0.1)
  code, _, err = _run('bash', LAUNCH / 'tpu_vm.sh', 'stop', env=env)
  assert code == 0, err
  out, _ = process.communicate(timeout=60)
  assert process.returncode == cli.DONE
  assert [f'turn {n}' in out for n in range(1, 5)] == [True] * 4
  # Nobody had created it; then it was preempted.
  assert len(_calls(folder, 'queued-resources create')) == 2
  assert len(_calls(folder, 'queued-resources delete')) == 1
  assert len(_calls(folder, 'tpu_host.sh install')) == 2
  assert len(_calls(folder, '--worker=all --command=bash sslax')) == 7


def test_tpu_vm_does_not_start_a_bad_command_again(cloud):
  folder, env = cloud
  (folder / 'state').write_text('ACTIVE')
  (folder / 'turn').write_text('3')
  env = env | {'LAST': str(cli.BAD_INPUT)}
  words = ['bash', LAUNCH / 'tpu_vm.sh', 'run', 'bash', '-c', COMMAND]
  assert _run(*words, env=env)[0] == cli.BAD_INPUT
  assert len(_calls(folder, 'tpu_host.sh start')) == 1


def test_tpu_vm_prints_the_exact_commands():
  where = '--zone=z --project=p'
  ssh = 'gcloud compute tpus tpu-vm ssh n --worker'
  host = 'bash sslax/launch/tpu_host.sh'
  expected = {
    'create': [
      'gcloud compute tpus queued-resources create n --node-id=n'
      ' --accelerator-type=v5litepod-256 --runtime-version=v2-alpha-tpuv5-lite'
      f' --spot {where}',
      'gcloud compute tpus queued-resources describe n'
      f" '--format=value(state.state)' {where}",
    ],
    'install': [
      f'git -C {LAUNCH}/.. archive --format=tar.gz'
      ' --output=/tmp/sslax.tar.gz HEAD',
      'gcloud compute tpus tpu-vm scp /tmp/sslax.tar.gz n:sslax.tar.gz'
      f' --worker=all {where}',
      f"{ssh}=all '--command=rm -rf sslax && mkdir sslax && tar -xzf"
      f" sslax.tar.gz -C sslax' {where}",
      f"{ssh}=all '--command={host} install gs://b' {where}",
    ],
    'run': [
      'gcloud compute tpus queued-resources describe n'
      f" '--format=value(state.state)' {where}",
      f"{ssh}=0 '--command={host} code' {where}",
      f"{ssh}=all '--command={host} start python -m sslax.main"
      ' --config=byol:imagenet'
      ' --config.data.dir=/mnt/runs/tensorflow_datasets'
      f" --workdir=/mnt/runs/byol' {where}",
      f"{ssh}=0 '--command={host} logs' {where}",
      f"{ssh}=0 '--command={host} code' {where}",
    ],
    'logs': [f"{ssh}=0 '--command={host} logs' {where}"],
    'stop': [f"{ssh}=all '--command={host} stop' {where}"],
    'delete': [
      f'gcloud compute tpus queued-resources delete n --force --quiet {where}'
    ],
  }
  env = {'NAME': 'n', 'ZONE': 'z', 'PROJECT': 'p', 'RUNS': 'gs://b'}
  env = env | {'PATH': '/usr/bin:/bin', 'TMPDIR': '/tmp'}  # no gcloud
  for word, lines in expected.items():
    done = _run('bash', LAUNCH / 'tpu_vm.sh', '--dry-run', word, env=env)
    assert done == (0, '\n'.join(lines) + '\n', ''), word


def test_tpu_vm_refuses_a_workdir_that_is_no_folder():
  words = ('run', 'python', '-m', 'sslax.main', '--workdir=gs://b/byol')
  code, _, err = _run('bash', LAUNCH / 'tpu_vm.sh', '--dry-run', *words)
  assert code == cli.BAD_INPUT
  assert '--workdir must be a folder' in err


# SLURM.

SRUN = """#!/usr/bin/env bash
echo "$*" >> "$CLOUD/calls"
trap 'echo told >> "$CLOUD/calls"; exit 75' TERM
case "$HOW" in
  waits) touch "$CLOUD/waits"; for i in $(seq 600); do sleep 0.1; done ;;
  *) exit "$HOW" ;;
esac
"""
SCONTROL = '#!/usr/bin/env bash\necho "scontrol $*" >> "$CLOUD/calls"\n'


@pytest.fixture
def slurm(tmp_path):
  for name, text in (('srun', SRUN), ('scontrol', SCONTROL)):
    (tmp_path / name).write_text(text)
    (tmp_path / name).chmod(0o755)
  path = f'{tmp_path}:{os.environ["PATH"]}'
  return tmp_path, {'CLOUD': str(tmp_path), 'PATH': path, 'SLURM_JOB_ID': '17'}


@pytest.mark.parametrize(
  ('how', 'restarts', 'code', 'again'),
  [
    ('0', '0', 0, False),
    ('2', '0', 2, False),
    ('3', '0', 3, False),
    ('75', '0', 0, True),
    ('137', '0', 0, True),
    ('75', '100', 75, False),
  ],
)
def test_slurm_queues_the_job_again(slurm, how, restarts, code, again):
  folder, env = slurm
  env = env | {'HOW': how, 'SLURM_RESTART_COUNT': restarts}
  assert _run('bash', LAUNCH / 'slurm.sh', env=env)[0] == code
  assert ('scontrol requeue 17' in _calls(folder, '')) == again


def test_slurm_passes_the_signal_on_and_waits_for_the_end(slurm):
  folder, env = slurm
  process = subprocess.Popen(
    ['bash', LAUNCH / 'slurm.sh'],
    env=os.environ | env | {'HOW': 'waits'},
    stdout=subprocess.PIPE,
  )
  for _ in range(600):
    if (folder / 'waits').exists():
      break
    time.sleep(0.1)
  process.send_signal(signal.SIGTERM)
  process.communicate(timeout=60)
  assert process.returncode == 0
  assert _calls(folder, '')[1:] == ['told', 'scontrol requeue 17']


def test_slurm_prints_the_exact_commands():
  script = LAUNCH / 'slurm.sh'
  code, out, _ = _run('bash', script, '--dry-run', env={'HOME': '/home/me'})
  assert code == 0
  assert out.splitlines() == [
    f'sbatch {script}',
    'srun --cpus-per-task=8 --gpu-bind=none --kill-on-bad-exit=0 --wait=60'
    ' python -m sslax.main --config=byol:imagenet'
    ' --config.data.dir=/home/me/tensorflow_datasets'
    ' --workdir=/home/me/runs/byol ',
  ]
  code, _, err = _run('bash', script, env={'SLURM_JOB_ID': ''})
  assert code == cli.BAD_INPUT
  assert 'sbatch' in err
