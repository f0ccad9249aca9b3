"""Sets of permutations that differ in as many places as possible."""

import functools
import itertools

import numpy as np

from sslax.errors import BadInputError

_LONGEST = 9  # 9! is 362,880; of longer ones all cannot be listed


@functools.cache
def spread_permutations(num: int, length: int = 9, seed: int = 0) -> np.ndarray:
  """Chooses permutations, each as far as can be from those before it.

  The first is drawn; each further one has the largest mean Hamming distance to
  all that were chosen, the first in lexicographic order where several have.

  Args:
    num: how many, at most length!.
    length: number of places, in [1, 9].
    seed: of the first one.

  Returns:
    Read-only int32 [num, length], the rows permutations of 0 ... length - 1.

  Raises:
    BadInputError: there are not so many, or the length is out of range.

  References:
    Noroozi & Favaro, Unsupervised learning of visual representations by
    solving jigsaw puzzles, https://arxiv.org/abs/1603.09246, 2016.

  >>> spread_permutations(2, length=3)[0] != spread_permutations(2, length=3)[1]
  array([ True,  True,  True])
  """
  if not 1 <= length <= _LONGEST:
    raise BadInputError(
      f'permutations of {length} places; 1 to {_LONGEST} would be right'
    )
  rest = np.array(list(itertools.permutations(range(length))), np.int8)
  if not 1 <= num <= len(rest):
    raise BadInputError(
      f'{num} permutations of {length} places; 1 to {len(rest)} would be right'
    )
  chosen = [np.random.default_rng(seed).integers(len(rest))]
  distances = np.zeros(len(rest), np.int64)  # sums over those chosen
  for _ in range(num - 1):
    distances += np.count_nonzero(rest != rest[chosen[-1]], axis=1)
    distances[chosen[-1]] = np.iinfo(np.int64).min // 2
    chosen.append(np.argmax(distances))
  permutations = rest[chosen].astype(np.int32)
  permutations.flags.writeable = False
  return permutations
