"""The measure of host work, on a source that needs no disk."""

import itertools
import time

import numpy as np
import pytest

from sslax.data import bench
from sslax.errors import BadInputError


def _batches(pause):
  for _ in itertools.count():
    time.sleep(pause)
    yield {'image': np.zeros((8, 4, 4, 3), np.uint8)}


def test_counts_images_and_their_size():
  about = bench.measure(_batches(0.001), batch_size=8, seconds=0.05)
  assert 0 < about['images/s'] <= 8 / 0.001
  assert about['images/s of a core'] >= about['images/s']  # it mostly sleeps
  assert about['MB an image'] == pytest.approx(48e-6)


def test_takes_a_batch_however_short_the_time():
  assert bench.measure(_batches(0), 8, seconds=1e-9)['images/s'] > 0


def test_advises_whole_cores():
  assert bench.advice({'images/s of a core': 400.0}, 1000) == 3


def test_the_command_shows_what_was_measured(capsys):
  words = ('--config=byol:smoke', '--seconds=0.1', '--images-per-second=1e6')
  assert bench.main(list(words)) == 0
  out = capsys.readouterr().out
  assert 'images/s of a core' in out
  assert 'cores a host needs' in out


def test_refuses_no_time():
  with pytest.raises(BadInputError, match='--seconds is 0'):
    bench.main(['--config=byol:smoke', '--seconds=0'])
