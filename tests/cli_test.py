"""Errors become one sentence and an exit code."""

import errno

import pytest

from sslax import cli
from sslax.errors import BadInputError


def _raise(error):
  def main(argv):
    raise error

  return main


def test_passes_on_the_exit_code_and_the_words():
  assert cli.run_main(lambda argv: len(argv), ['a', 'b', 'c']) == 3


def test_exit_codes_are_those_of_the_design():
  codes = (cli.DONE, cli.FAILED, cli.BAD_INPUT, cli.UNHEALTHY, cli.SAVED)
  assert codes == (0, 1, 2, 3, 75)


def _full(path='/data/run'):
  return OSError(errno.ENOSPC, 'No space left on device', path)


@pytest.mark.parametrize(
  ('error', 'code', 'sentence'),
  [
    (BadInputError('num_steps is 0;\nuse 1'), 2, 'num_steps is 0; use 1'),
    (ValueError('shape\n\npages'), 1, 'ValueError: shape ... (--debug'),
    (ValueError('one line'), 1, 'ValueError: one line\n'),
    (AssertionError(), 1, 'AssertionError: it says no more'),
    (KeyboardInterrupt(), 1, 'the last checkpoint stands'),
    (PermissionError(errno.EACCES, 'Permission denied', '/x'), 2, '/x: Permi'),
    (FileNotFoundError(errno.ENOENT, 'No such file', '/y'), 2, '/y: No such'),
    (_full(), 1, '/data/run: No space left on device; free some space'),
    (
      ValueError('[28]: No space left on device {x}'),
      1,
      'error: No space left',
    ),
    (OSError('no path'), 1, 'OSError: no path'),
  ],
)
def test_one_sentence(error, code, sentence, capsys):
  assert cli.run_main(_raise(error), []) == code
  out, err = capsys.readouterr()
  assert out == ''
  assert err.startswith('error: ')
  assert sentence in err
  assert err.count('\n') == 1
  assert 'Traceback' not in err


def test_renaming_names_both_paths(capsys):
  error = OSError(errno.EXDEV, 'Invalid cross-device link', '/a', None, '/b')
  assert cli.run_main(_raise(error), []) == cli.FAILED
  assert '/a -> /b: Invalid' in capsys.readouterr().err


def test_debug_shows_the_traceback(capsys):
  assert cli.run_main(_raise(BadInputError('bad')), ['--debug']) == 2
  err = capsys.readouterr().err
  assert 'Traceback' in err
  assert err.endswith('error: bad\n')


def test_help_is_not_an_error(capsys):
  with pytest.raises(SystemExit):
    cli.run_main(_raise(SystemExit(0)), ['--help'])
  assert capsys.readouterr().err == ''
