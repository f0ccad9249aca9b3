"""Text to tokens: byte pairs, learned from the corpus at hand."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from sslax.errors import BadInputError

SPECIAL = ('[PAD]', '[UNK]', '[CLS]', '[SEP]')  # tokens 0 to 3


class Tokenizer(NamedTuple):
  """Text to rows of tokens and back.

  Attributes:
    model: tokenizers.Tokenizer of the Hugging Face library.
    length: L, tokens of a row; longer texts are cut, shorter ones padded.
  """

  model: Any
  length: int

  @property
  def vocab_size(self) -> int:
    """How many tokens there are, the four special ones among them."""
    return self.model.get_vocab_size()

  def encode(self, texts: Iterable[str]) -> np.ndarray:
    """Texts -> int32 [n, L]: [CLS], byte pairs, [SEP], and 0 as padding."""
    rows = [encoded.ids for encoded in self.model.encode_batch(list(texts))]
    return np.array(rows, np.int32).reshape(len(rows), self.length)

  def decode(self, tokens) -> list[str]:
    """Rows [n, L] -> texts, lower-cased and without special tokens."""
    rows = np.asarray(tokens).tolist()
    texts = self.model.decode_batch(rows, skip_special_tokens=True)
    return [text.strip() for text in texts]


def train(
  texts: Sequence[str], *, vocabulary: int = 4096, length: int = 32
) -> Tokenizer:
  """Learns byte pairs; the same texts give the same tokens.

  Texts are lower-cased and accents are dropped; then the most frequent pairs of
  neighboring tokens within a word are merged, from bytes on. A byte that the
  corpus does not have becomes [UNK].

  Args:
    texts: the corpus.
    vocabulary: tokens at most.
    length: L, with [CLS] and [SEP].

  Raises:
    BadInputError: the library is missing, or a number is too small.

  References:
    Sennrich et al., Neural machine translation of rare words with subword
    units, https://arxiv.org/abs/1508.07909, 2016.
  """
  for key, value, least in (('vocabulary', vocabulary, len(SPECIAL) + 1),
                            ('text_length', length, 3)):  # fmt: skip
    if value < least:
      raise BadInputError(f'data.{key} is {value}; it must be at least {least}')
  library = _library()
  model = library.Tokenizer(library.models.BPE(unk_token='[UNK]'))
  model.normalizer = library.normalizers.BertNormalizer(lowercase=True)
  model.pre_tokenizer = library.pre_tokenizers.ByteLevel()
  model.decoder = library.decoders.ByteLevel()
  # With marks on pieces inside words (##) the library's numbers would depend on
  # the order of a hash table, and so differ from process to process.
  trainer = library.trainers.BpeTrainer(
    vocab_size=vocabulary, special_tokens=list(SPECIAL), show_progress=False
  )
  model.train_from_iterator(texts, trainer)
  ends = [(name, SPECIAL.index(name)) for name in ('[CLS]', '[SEP]')]
  model.post_processor = library.processors.TemplateProcessing(
    single='[CLS] $A [SEP]', special_tokens=ends
  )
  model.enable_truncation(length)
  model.enable_padding(length=length, pad_id=0, pad_token='[PAD]')
  return Tokenizer(model, length)


def _library():
  try:
    import tokenizers
    import tokenizers.normalizers
    import tokenizers.pre_tokenizers
  except ImportError as error:
    raise BadInputError(
      'this source has text, which needs the package tokenizers;'
      ' pip install tokenizers would be right'
    ) from error
  return tokenizers
