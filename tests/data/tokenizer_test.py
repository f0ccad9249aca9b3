import subprocess
import sys

import numpy as np
import pytest

from sslax.data import tokenizer
from sslax.errors import BadInputError

_TEXTS = [
  'The cat sat on the mat.',
  'A dog ran after the cat!',
  'Cats and dogs: the café at noon.',
]


@pytest.fixture(scope='module')
def learned():
  return tokenizer.train(_TEXTS, vocabulary=80, length=12)


def test_rows_begin_end_and_are_padded(learned):
  tokens = learned.encode(['the cat', 'the cat ' * 20, ''])
  assert tokens.shape == (3, 12)
  assert tokens.dtype == np.int32
  assert (tokens[:, 0] == tokenizer.SPECIAL.index('[CLS]')).all()
  end = tokenizer.SPECIAL.index('[SEP]')
  assert tokens[1, -1] == end  # cut, but still ended
  assert list(tokens[2, :3]) == [2, end, 0]
  length = list(tokens[0]).index(end)
  assert (tokens[0, length + 1 :] == 0).all()
  assert tokens.max() < learned.vocab_size <= 80


def test_decoding_undoes_encoding_but_for_case_and_accents(learned):
  assert learned.decode(learned.encode(_TEXTS[2:])) == [
    'cats and dogs: the cafe at noon.'
  ]


def test_frequent_words_are_one_token_and_unknown_bytes_are_said(learned):
  tokens = learned.encode(['the', 'the ☃'])
  assert (tokens[0] > 0).sum() == 3
  assert tokenizer.SPECIAL.index('[UNK]') in tokens[1]
  assert learned.encode([]).shape == (0, 12)


def test_every_process_learns_the_same():
  code = (
    'from sslax.data import tokenizer;'
    f'print(tokenizer.train({_TEXTS!r}, vocabulary=80).encode({_TEXTS!r})'
    '.tolist())'
  )
  said = {
    subprocess.run(
      [sys.executable, '-c', code], check=True, capture_output=True
    ).stdout
    for _ in range(3)
  }
  assert len(said) == 1


@pytest.mark.parametrize(
  ('kwargs', 'says'),
  [
    ({'vocabulary': 4}, r'data\.vocabulary is 4'),
    ({'length': 2}, r'data\.text_length is 2'),
  ],
)
def test_what_is_too_small_is_refused(kwargs, says):
  with pytest.raises(BadInputError, match=says):
    tokenizer.train(_TEXTS, **kwargs)


def test_a_missing_library_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'tokenizers', None)
  with pytest.raises(BadInputError, match='pip install tokenizers'):
    tokenizer.train(_TEXTS)
