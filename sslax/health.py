"""The health monitor: collapse, and values that are not finite."""

import collections
from collections.abc import Callable, Sequence
from typing import NamedTuple

# embedding_std is 1 for directions spread evenly over the sphere and 0 for one
# direction. On photos, over three seeds, BYOL stayed above 0.69; without its
# predictor it was below 0.5 from step 120 on, and as its own teacher, with
# gradients through both sides, from step 45 on. Networks may start low, so the
# first steps do not count.
COLLAPSED_BELOW = 0.5
IN_A_ROW = 20
GRACE_STEPS = 100


class Sick(NamedTuple):
  """What the monitor saw."""

  step: int  # of the batch to look at
  sentence: str


def monitor(
  safeguard: str,
) -> Callable[[Sequence[dict[str, float]]], Sick | None]:
  """Returns observe(rows), which says what is wrong with the run, or None.

  Each row has the metrics of one step: `step`, `loss`, `grad_norm`,
  `nonfinite` and, where the method has an embedding, `embedding_std`.

  Args:
    safeguard: what keeps the method from collapsing, in words.
  """
  recent = collections.deque(maxlen=IN_A_ROW)

  def observe(rows):
    for row in rows:
      if row['nonfinite']:
        return Sick(row['step'], _nonfinite(row))
      if 'embedding_std' in row and row['step'] >= GRACE_STEPS:
        recent.append(row['embedding_std'])
      if len(recent) == IN_A_ROW and max(recent) < COLLAPSED_BELOW:
        return Sick(row['step'], _collapsed(row, safeguard))
    return None

  return observe


def _nonfinite(row: dict[str, float]) -> str:
  return (
    f'at step {row["step"]} the loss ({row["loss"]}) or the gradient norm'
    f' ({row["grad_norm"]}) is not finite; that step was not applied. A lower'
    ' optim.learning_rate or a longer warm-up usually helps'
  )


def _collapsed(row: dict[str, float], safeguard: str) -> str:
  usual = f'; what usually fails is {safeguard}' if safeguard else ''
  return (
    f'the embedding has collapsed at step {row["step"]}: embedding_std is'
    f' {row["embedding_std"]:.3f} (1 is spread evenly, 0 is one point), below'
    f' {COLLAPSED_BELOW} in {IN_A_ROW} steps in a row{usual}'
  )
