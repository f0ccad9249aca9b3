"""Scalars for TensorBoard."""

import math
import pathlib
import time
from collections.abc import Mapping
from typing import Any


class Board:
  """Writes scalars with TensorBoard's own writer.

  Unlike tf.summary it can say that a run starts at a step: TensorBoard then
  hides what earlier files hold from there on, so that after a resumption each
  step stands once here too.
  """

  def __init__(self, workdir: pathlib.Path, start_step: int):
    """Opens a new event file.

    Args:
      workdir: folder of the run; the files are in its `tensorboard/`.
      start_step: steps taken before this process began.
    """
    from tensorboard.summary.writer import event_file_writer

    self._writer = event_file_writer.EventFileWriter(
      str(workdir / 'tensorboard')
    )
    self._start(start_step)

  def _start(self, step: int) -> None:
    from tensorboard.compat.proto import event_pb2

    session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    self._writer.add_event(
      event_pb2.Event(wall_time=time.time(), step=step, session_log=session)
    )

  def write(self, step: int, values: Mapping[str, Any]) -> None:
    """Writes flat scalars of a step; None is written as nan."""
    from tensorboard.compat.proto import event_pb2
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    for name, value in values.items():
      value = math.nan if value is None else float(value)
      self._writer.add_event(
        event_pb2.Event(
          wall_time=time.time(), step=step, summary=scalar_pb(name, value)
        )
      )
    self._writer.flush()

  def close(self) -> None:
    """Closes the file."""
    self._writer.close()
