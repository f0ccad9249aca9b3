"""What every command shares: exit codes, and errors in one sentence."""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from sslax import cache, hosts
from sslax.errors import BadInputError

DONE = 0
FAILED = 1
BAD_INPUT = 2
UNHEALTHY = 3  # stopped by the health monitor
SAVED = 75  # saved after SIGTERM; the same command goes on

# What the user named cannot be used; any other OSError is the machine's.
_BAD_PATH = (
  FileExistsError,
  FileNotFoundError,
  IsADirectoryError,
  NotADirectoryError,
  PermissionError,
)
_ADVICE = {
  errno.ENOSPC: '; free some space and start the same command again',
  errno.EACCES: '; this user may not use it',
}
_INTERRUPTED = 'interrupted; the last checkpoint stands'


def run_main(
  main: Callable[[list[str]], int], argv: Sequence[str] | None = None
) -> int:
  """Runs a command; an error becomes one sentence on stderr and an exit code.

  With `--debug` among the words the traceback comes before the sentence.

  Args:
    main: from the words of the command line to an exit code.
    argv: words of the command line; default those of this process.

  Returns:
    The exit code: main's own, or FAILED or BAD_INPUT.
  """
  argv = list(sys.argv[1:] if argv is None else argv)
  cache.keep_compiled_programs()
  try:
    return main(argv)
  except (Exception, KeyboardInterrupt) as error:
    if '--debug' in argv:
      traceback.print_exc()
    code, sentence = _explain(error)
    print(f'error: {sentence}', file=sys.stderr)
    return hosts.leave(code)


def _explain(error: BaseException) -> tuple[int, str]:
  """Returns the exit code and the sentence of an error."""
  if isinstance(error, BadInputError):
    return BAD_INPUT, ' '.join(str(error).splitlines())
  if isinstance(error, KeyboardInterrupt):
    return FAILED, _INTERRUPTED
  if isinstance(error, OSError) and error.filename is not None:
    code = BAD_INPUT if isinstance(error, _BAD_PATH) else FAILED
    return code, _os_sentence(error)
  if os.strerror(errno.ENOSPC) in str(error):  # as tensorstore says it
    return FAILED, f'{os.strerror(errno.ENOSPC)}{_ADVICE[errno.ENOSPC]}'
  return FAILED, f'{type(error).__name__}: {_first_line(error)}'


def _os_sentence(error: OSError) -> str:
  paths = [error.filename, error.filename2]  # renaming has two
  named = ' -> '.join(str(p) for p in paths if p is not None)
  return f'{named}: {error.strerror}{_ADVICE.get(error.errno, "")}'


def _first_line(error: BaseException) -> str:
  """Returns the first line with text; compilers' messages run to pages."""
  lines = [line.strip() for line in str(error).splitlines() if line.strip()]
  more = '' if len(lines) < 2 else ' ... (--debug shows all of it)'
  return (lines[0] if lines else 'it says no more; try --debug') + more
