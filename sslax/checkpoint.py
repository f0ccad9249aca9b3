"""Save and restore, asynchronous and atomic, with orbax."""

import errno
import logging
import os
import pathlib
import re
import shutil
from collections.abc import Callable
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from sslax.errors import BadInputError

FOLDER = 'checkpoints'
_METADATA = 2**20  # bytes of a checkpoint beside its arrays, at most

# Of what is only read, orbax warns that it is only read.
logging.getLogger('absl').addFilter(
  lambda record: not re.search('read.only', record.getMessage())
)


def manager(
  workdir, *, keep: int = 1, read_only: bool = False
) -> ocp.CheckpointManager:
  """Opens the checkpoints of a workdir.

  The latest `keep` stay and, beside them, the one with the best score; orbax's
  own best-only keeping would drop a latest checkpoint of a low score.

  Args:
    workdir: of the run.
    keep: how many of the latest stay, at least 1.
    read_only: never write, delete or clean up.
  """
  best = policies.BestN(
    get_metric_fn=lambda metrics: metrics['score'],
    n=1,
    keep_checkpoints_without_metrics=False,
  )
  latest = policies.LatestN(n=keep)
  options = ocp.CheckpointManagerOptions(
    preservation_policy=policies.AnyPreservationPolicy([latest, best]),
    save_decision_policy=_Always(),
    cleanup_tmp_directories=not read_only,
    read_only=read_only,
    create=not read_only,
    # Hosts whose shared disk shows an old list would resume from another step.
    single_host_load_and_broadcast=jax.process_count() > 1,
  )
  return ocp.CheckpointManager(folder(workdir), options=options)


def folder(workdir) -> pathlib.Path:
  """Returns the folder of the checkpoints of a workdir."""
  return pathlib.Path(workdir).absolute() / FOLDER


def latest_step(workdir) -> int | None:
  """Returns the step of the latest whole checkpoint, or None."""
  if not folder(workdir).is_dir():
    return None
  return max(ocp.utils.checkpoint_steps(folder(workdir)), default=None)


class _Always(policies.SaveDecisionPolicy):
  """Saves whenever asked: the loop decides when."""

  def should_save(self, step, previous_steps, *, context):
    return True


def save(
  checkpoints: ocp.CheckpointManager,
  step: int,
  train_state: Any,
  *,
  about: dict[str, Any],
  score: float | None = None,
) -> None:
  """Starts to write a checkpoint; it counts only once it is whole.

  Args:
    checkpoints: from `manager`.
    step: steps taken.
    train_state: a TrainState.
    about: what json can hold: the config's hash, the seed.
    score: higher is better; None where nothing was evaluated.

  Raises:
    OSError: the disk has no room for it; nothing is written then.
  """
  if step in checkpoints.all_steps():
    return
  _check_room(pathlib.Path(checkpoints.directory), train_state)
  checkpoints.save(
    step,
    args=ocp.args.Composite(
      state=ocp.args.StandardSave(train_state),
      about=ocp.args.JsonSave(about),
    ),
    metrics=None if score is None else {'score': float(score)},
  )


def _check_room(directory: pathlib.Path, train_state: Any) -> None:
  """Sees a full disk before a background thread does, in the middle of it."""
  arrays = sum(leaf.nbytes for leaf in jax.tree.leaves(train_state))
  needed = arrays + _METADATA
  if shutil.disk_usage(directory).free < needed:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))


def restore_latest(
  checkpoints: ocp.CheckpointManager,
  like: Any,
  say: Callable[[str], None] = print,
  *,
  delete_unreadable: bool = False,
) -> Any | None:
  """Restores the latest readable checkpoint, onto the shardings of `like`.

  A checkpoint that cannot be read (cut short, a disk error) is named and the
  one before it is used.

  Args:
    checkpoints: from `manager`.
    like: a TrainState of the same tree, shapes and dtypes, placed on devices.
    say: told about unreadable checkpoints.
    delete_unreadable: delete them once an earlier one was read, so that their
      steps can be saved again.

  Returns:
    The TrainState, or None where there is no checkpoint.

  Raises:
    BadInputError: there are checkpoints, and none can be read.
  """
  steps = sorted(checkpoints.all_steps(), reverse=True)
  for i, step in enumerate(steps):
    try:
      restored = restore(checkpoints, step, like)
    except Exception as error:  # orbax and tensorstore raise many kinds
      say(
        f'checkpoint {step} cannot be read ({_first_line(error)});'
        ' using the one before it'
      )
      continue
    if delete_unreadable:
      for unreadable in steps[:i]:  # their steps will be saved again
        checkpoints.delete(unreadable)
    return restored
  if steps:
    raise BadInputError(
      f'{checkpoints.directory}: none of the checkpoints {steps} can be read;'
      ' start again in another --workdir'
    )
  return None


def restore(checkpoints: ocp.CheckpointManager, step: int, like: Any) -> Any:
  """Restores one checkpoint, onto the shardings of `like`."""
  abstract = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
    like,
  )
  return checkpoints.restore(
    step, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
  ).state


def about(checkpoints: ocp.CheckpointManager, step: int) -> dict[str, Any]:
  """Returns what was saved about a checkpoint."""
  return checkpoints.restore(
    step, args=ocp.args.Composite(about=ocp.args.JsonRestore())
  ).about


def _first_line(error: Exception) -> str:
  return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
