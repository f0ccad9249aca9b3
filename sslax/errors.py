"""What a user did that cannot work, said in one sentence."""

import difflib
from collections.abc import Iterable


class BadInputError(ValueError):
  """Bad input: names the key or file, the value, and what would be right.

  Commands print the message without a traceback and exit with code 2.
  """


def nearest(name: str, valid: Iterable[str]) -> str:
  """Returns `; did you mean 'x'?` for the nearest valid name, or all of them.

  Args:
    name: what was given.
    valid: the names that exist.
  """
  valid = sorted(valid)
  close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
  if close:
    return f"; did you mean '{close[0]}'?"
  return f'; valid: {", ".join(valid)}'
