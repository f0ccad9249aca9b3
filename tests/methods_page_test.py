"""The page of methods says what their docstrings say."""

import importlib.util
import pathlib

_PATH = pathlib.Path(__file__).parent.parent / 'docs' / 'methods.py'
_SPEC = importlib.util.spec_from_file_location('docs_methods', _PATH)
methods = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(methods)


def test_the_page_is_up_to_date():
  page = _PATH.with_suffix('.md').read_text(encoding='utf-8')
  assert page == methods.page(), 'run python docs/methods.py'
