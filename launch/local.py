r"""Start several processes of one run on this machine.

  python launch/local.py --processes=2 --devices=4 -- \\
      -m sslax.main --config=configs/byol.py --workdir=runs/two

Each process simulates `--devices` CPU devices; together they are one run. The
same flags without this launcher are one process.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time

_GRACE = 30  # seconds that the others get when one process ended badly


def main(argv: list[str]) -> int:
  """Runs the processes; returns the first exit code that is not 0, or 0."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--processes', type=int, default=2)
  parser.add_argument('--devices', type=int, default=4, help='a process')
  parser.add_argument(
    'words', nargs='+', help='what python is given, after --: -m sslax.main ...'
  )
  arguments = parser.parse_args(argv)
  processes = start(arguments.words, arguments.processes, arguments.devices)
  signal.signal(signal.SIGTERM, lambda *_: [p.terminate() for p in processes])
  signal.signal(signal.SIGINT, lambda *_: None)  # the terminal tells them all
  return wait(processes)


def start(words: list[str], count: int, devices: int) -> list:
  """Starts `python WORDS` count times, joined by a coordinator."""
  address = f'127.0.0.1:{_free_port()}'
  flags = f'--xla_force_host_platform_device_count={devices}'
  return [
    subprocess.Popen(
      [sys.executable, *words],
      env={
        **os.environ,
        'JAX_PLATFORMS': 'cpu',
        'XLA_FLAGS': f'{os.environ.get("XLA_FLAGS", "")} {flags}',
        'JAX_COORDINATOR_ADDRESS': address,
        'JAX_NUM_PROCESSES': str(count),
        'JAX_PROCESS_ID': str(i),
      },
    )
    for i in range(count)
  ]


def wait(processes: list) -> int:
  """Waits for all; once one ends badly the others get a grace, then end.

  Returns:
    The exit code of the first that ended badly, or 0.
  """
  code, deadline = 0, None
  while any(p.poll() is None for p in processes):
    if deadline is None and any(p.poll() for p in processes):
      deadline = time.monotonic() + _GRACE
      code = _bad_code(processes)
    if deadline is not None and time.monotonic() > deadline:
      for p in processes:
        p.kill()
    time.sleep(0.2)
  return code or _bad_code(processes)


def _bad_code(processes: list) -> int:
  """Returns one that processes gave themselves, else that of a signal, else 0.

  Those that a failed one leaves behind end by a signal.
  """
  codes = [p.returncode for p in processes if p.returncode]
  return max(codes, default=0)


def _free_port() -> int:
  with socket.socket() as s:
    s.bind(('127.0.0.1', 0))
    return s.getsockname()[1]


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
