"""SIGTERM as a wish to stop soon, agreed by all processes."""

import contextlib
import signal
from collections.abc import Callable, Iterator

import jax


@contextlib.contextmanager
def asked_to_stop() -> Iterator[Callable[[int], bool]]:
  """Yields a function of the step: whether the run should save and stop.

  With several processes jax's preemption service agrees on one step; with one
  process the signal is noted by a handler that the context restores at exit.
  """
  if jax.process_count() > 1:
    from jax.experimental import multihost_utils

    yield multihost_utils.reached_preemption_sync_point
    return
  signals = []
  previous = signal.signal(signal.SIGTERM, lambda *_: signals.append(True))
  try:
    yield lambda step: bool(signals)
  finally:
    signal.signal(signal.SIGTERM, previous)
