"""Captions made of the names of classes, and prompts that ask for a class."""

from collections.abc import Sequence

from sslax.data import arrays, tokenizer
from sslax.data import source as sources
from sslax.errors import BadInputError

PHOTO = 'a photo of a {}'


def prompts(
  class_names: Sequence[str], templates: Sequence[str] = ('{}',)
) -> tuple[tuple[str, ...], ...]:
  """Texts that say each class: one a template, in words instead of _ and -.

  Args:
    class_names: K names.
    templates: each with one {} for the name.
  """
  words = [name.replace('_', ' ').replace('-', ' ') for name in class_names]
  return tuple(tuple(t.format(name) for t in templates) for name in words)


def of_labels(
  source: sources.Source, *, vocabulary: int = 4096, length: int = 32
) -> sources.Source:
  """Gives each example of a labeled source the text `a photo of a NAME`.

  Args:
    source: with labels.
    vocabulary: tokens at most, learned from these texts.
    length: tokens of a text at most.

  Raises:
    BadInputError: the source has no labels, or texts of its own.

  References:
    Radford et al., Learning transferable visual models from natural language
    supervision, https://arxiv.org/abs/2103.00020, 2021, section 3.1.4.
  """
  if source.class_names is None or 'text' in source.holds:
    why = 'no labels' if source.class_names is None else 'texts of its own'
    raise BadInputError(
      f"data.text is 'labels', but data.name={source.name} has {why}; a labeled"
      ' source without text would be right'
    )
  said = prompts(source.class_names, (PHOTO,))
  texts = [text for (text,) in said]
  tokens = tokenizer.train(texts, vocabulary=vocabulary, length=length)
  return arrays.beside(
    source,
    {'text': tokens.encode(texts)},
    by='label',
    tokenizer=tokens,
    prompts=said,
  )
