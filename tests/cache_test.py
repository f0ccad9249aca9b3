"""What is kept between runs, and where."""

import os

from sslax import cache

_VARIABLE = 'JAX_COMPILATION_CACHE_DIR'


def test_compiled_programs_are_kept_in_the_users_cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.delenv(_VARIABLE, raising=False)
  cache.keep_compiled_programs()
  assert os.environ[_VARIABLE] == str(tmp_path / 'sslax' / 'compiled')


def test_a_folder_that_the_user_names_is_left_alone(monkeypatch):
  for named in ('/elsewhere', ''):
    monkeypatch.setenv(_VARIABLE, named)
    cache.keep_compiled_programs()
    assert os.environ[_VARIABLE] == named
