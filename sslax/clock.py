"""Images a second, and the share of time spent waiting for data."""

import contextlib
import time
from collections.abc import Iterator


class Clock:
  """Measures the rates between two readings, evaluation and saving left out."""

  def __init__(self, batch_size: int):
    self._batch_size = batch_size
    self._restart()

  def _restart(self):
    self._start = time.perf_counter()
    self._waited = self._paused = 0.0

  @contextlib.contextmanager
  def waiting(self) -> Iterator[None]:
    """Counts the time inside as waiting for data."""
    start = time.perf_counter()
    yield
    self._waited += time.perf_counter() - start

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """Leaves the time inside out of the rates."""
    start = time.perf_counter()
    yield
    self._paused += time.perf_counter() - start

  def read(self, num_steps: int) -> dict[str, float]:
    """Returns the rates since the last reading, and starts anew.

    Args:
      num_steps: steps taken since then.
    """
    elapsed = time.perf_counter() - self._start - self._paused
    rates = {
      'images_per_second': num_steps * self._batch_size / elapsed,
      'data_wait': self._waited / elapsed,
    }
    self._restart()
    return rates
