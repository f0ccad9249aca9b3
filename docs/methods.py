"""Writes docs/methods.md, what works and how well: `python docs/methods.py`.

A section a method, from the docstrings of its factory and of its config: what
it does in a sentence, and its recipes with what each was seen to reach.
"""

import argparse
import ast
import pathlib
import sys

_ROOT = pathlib.Path(__file__).parent.parent
_FILE = _ROOT / 'docs' / 'methods.md'
_HEAD = """\
# Methods

Written by `python docs/methods.py` from the docstrings of `sslax/methods` and
`configs`. `python -m sslax.main --config=NAME` runs the first recipe of a
method, `--config=NAME:RECIPE` another. Figures are of the runs that a recipe
names; [results.md](results.md) has the finished runs side by side.
"""


def documents() -> dict[str, tuple[str, str]]:
  """Returns name -> (summary of the method, docstring of its config)."""
  found = {}
  for file in sorted((_ROOT / 'configs').glob('[a-z]*.py')):
    method = _ROOT / 'sslax' / 'methods' / file.name
    function = next(
      node
      for node in ast.parse(method.read_text()).body
      if isinstance(node, ast.FunctionDef) and node.name == file.stem
    )
    summary = ast.get_docstring(function).split('\n\n')[0]
    found[file.stem] = summary, ast.get_docstring(ast.parse(file.read_text()))
  return found


def section(name: str, summary: str, card: str) -> str:
  """Returns the section of a method.

  Args:
    name: of its files.
    summary: first sentence of its factory.
    card: docstring of its config, the recipe card.
  """
  first, _, rest = card.partition('\n\n')
  files = (
    f'[method](../sslax/methods/{name}.py), [config](../configs/{name}.py)'
  )
  return (
    f'## {name}\n\n{summary}\n\n{" ".join(first.split())}\n({files})\n\n'
    f'```\n{rest.strip()}\n```\n'
  )


def page() -> str:
  """Returns the page."""
  found = documents()
  index = ', '.join(f'[{name}](#{name})' for name in found)
  sections = [section(name, *texts) for name, texts in found.items()]
  return '\n'.join([_HEAD, f'{len(found)} methods: {index}.\n', *sections])


def main(argv: list[str]) -> int:
  """Runs the command line; returns an exit code."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--out', type=pathlib.Path, default=_FILE)
  arguments = parser.parse_args(argv)
  arguments.out.write_text(page(), encoding='utf-8')
  print(f'wrote {arguments.out}')
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
