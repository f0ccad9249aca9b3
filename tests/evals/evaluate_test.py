import types

import pytest

from sslax import config as config_lib
from sslax import evaluate
from sslax.errors import BadInputError


@pytest.mark.parametrize(
  ('reads', 'towers', 'refused'),
  [
    ('text', (), True),
    ('image', ('image', 'text'), True),
    ('image', (), False),
  ],
)
def test_text_of_another_source_is_refused(reads, towers, refused):
  config = config_lib.default()
  config.data.name = 'stsb'
  parts = types.SimpleNamespace(
    config=config,
    views=types.SimpleNamespace(reads=reads),
    method=types.SimpleNamespace(towers=dict.fromkeys(towers)),
  )
  for own in (None, 'stsb'):
    evaluate.check_words(parts, own)
  if not refused:
    evaluate.check_words(parts, 'python_docs')
    return
  with pytest.raises(BadInputError, match='learned from stsb; --source=stsb'):
    evaluate.check_words(parts, 'python_docs')
