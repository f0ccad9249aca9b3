"""`python_docs`: sentences of Python's language reference, with no download.

The interpreter carries the text for its own `help()`, in the standard library's
`pydoc_data.topics`; the label is the topic that a sentence explains. The text
is that of the Python that runs, so another version gives other sentences. It is
a smoke test of learning, not a benchmark. Nothing is copied: the text stays
under the license of that Python.
"""

import re

from sslax.data import arrays, tokenizer
from sslax.data import source as sources
from sslax.errors import BadInputError

_LEAST_SENTENCES = 20  # of a topic
_LEAST_WORDS = 5
_LEAST_LETTERS = 0.85  # share of letters and spaces: prose, not code
_TEST_EVERY = 5  # sentences of a topic
# Tables, grammar, code and the lines under titles.
_NO_PROSE = re.compile(r'\||::=|>>>|\+--|^\s*[*=~^-]{3,}\s*$', re.MULTILINE)
_SENTENCE_END = re.compile(r'(?<=[.!?])\s+(?=["(“*]?[A-Z])')
_WORD = re.compile(r'[A-Za-z]{2,}')


def load(
  *, split: str, vocabulary: int = 4096, text_length: int = 32
) -> sources.Source:
  """Splits the reference into sentences: every fifth of a topic is for testing.

  A sentence that several topics have belongs to the shortest of them; topics of
  fewer than 20 sentences are left out.

  Args:
    split: 'train' or 'test'.
    vocabulary: tokens at most, learned from the training sentences.
    text_length: tokens of a sentence at most.

  Raises:
    BadInputError: this Python does not carry the reference.
  """
  sources.check_split(split)
  by_topic = _by_topic(_topics())
  rows = {name: ([], []) for name in sources.SPLITS}
  for label, sentences in enumerate(by_topic.values()):
    for i, sentence in enumerate(sentences):
      name = 'test' if i % _TEST_EVERY == _TEST_EVERY - 1 else 'train'
      rows[name][0].append(sentence)
      rows[name][1].append(label)
  tokens = tokenizer.train(
    rows['train'][0], vocabulary=vocabulary, length=text_length
  )
  texts, labels = rows[split]
  return arrays.of_columns(
    {'text': tokens.encode(texts)},
    labels,
    class_names=tuple(by_topic),
    name='python_docs',
    split=split,
    tokenizer=tokens,
  )


def _topics() -> dict[str, str]:
  try:
    from pydoc_data import topics
  except ImportError as error:
    raise BadInputError(
      'data.name is python_docs, whose text is pydoc_data.topics of the'
      ' standard library, which this Python lacks; a complete CPython has it'
      ' (on Debian: the package libpython3-stdlib)'
    ) from error
  return topics.topics


def _by_topic(topics: dict[str, str]) -> dict[str, list[str]]:
  """Returns topic -> its own sentences, topics in alphabetical order."""
  seen, found = set(), {}
  for name in sorted(topics, key=lambda name: (len(topics[name]), name)):
    own = dict.fromkeys(s for s in sentences_of(topics[name]) if s not in seen)
    seen.update(own)
    if len(own) >= _LEAST_SENTENCES:
      found[name] = list(own)
  return dict(sorted(found.items()))


def sentences_of(text: str) -> list[str]:
  """Returns the sentences of the paragraphs that are prose.

  Args:
    text: paragraphs divided by empty lines, as in pydoc_data.topics.
  """
  prose = (
    ' '.join(block.split()).removeprefix('* ')
    for block in re.split(r'\n\s*\n', text)
    if not _NO_PROSE.search(block)
  )
  return [s for p in prose for s in _SENTENCE_END.split(p) if _is_sentence(s)]


def _is_sentence(text: str) -> bool:
  letters = sum(c.isalpha() or c == ' ' for c in text)
  return (
    text[:1].isupper()
    and text.endswith('.')
    and len(_WORD.findall(text)) >= _LEAST_WORDS
    and letters >= _LEAST_LETTERS * len(text)
  )
