"""Builds the page of losses from their docstrings: `python docs/build.py`.

Writes DIR/losses.html, one file that needs no network: an index by family and
by need, and for each public loss its formula, arguments, source, deviations,
example and, where one number is the input, its value and gradient drawn
against that number. Ends with code 1 and a sentence on the first public loss
whose docstring lacks a part.
"""

import argparse
import html
import importlib
import inspect
import pathlib
import pkgutil
import re
import sys
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import jax
import jax.numpy as jnp
import numpy as np

from sslax import losses

_SECTIONS = ('Args', 'Returns', 'Raises', 'References', 'Deviations')

# Need -> names of arguments that show it.
_ARGUMENTS = {
  'labels': {'labels', 'classes', 'groups', 'matches'},
  'queue or bank': {'queue', 'bank', 'negatives', 'memory'},
  'prototypes or centers': {'prototypes', 'centers', 'proxies'},
  'two modalities': {'image', 'video', 'text'},
  'masks': {'mask', 'masks'},
}
# Need -> families all of whose losses meet it.
_FAMILIES = {
  'no negatives': {
    'distillation',
    'entropy',
    'hsic',
    'information',
    'latent',
    'masked',
    'masked_siamese',
    'plug_in_entropy',
    'prototypes',
    'redundancy',
    'regularizers',
    'spread',
    'whitened',
  },
  'bounds on information': {'mutual_information'},
}


class Entry(NamedTuple):
  """One public loss and what its docstring says."""

  family: str
  name: str
  function: Any
  summary: str
  body: str  # the paragraphs between summary and sections, with the formula
  sections: dict[str, str]
  example: str


def modules():
  """Returns the modules of sslax.losses that list public names, by name."""
  found = [
    importlib.import_module(f'sslax.losses.{info.name}')
    for info in pkgutil.iter_modules(losses.__path__)
  ]
  return [module for module in found if hasattr(module, '__all__')]


def entries(module):
  """Returns an Entry for every public function of a module."""
  family = module.__name__.rsplit('.', 1)[-1]
  functions = {name: getattr(module, name) for name in module.__all__}
  return [
    Entry(family, name, function, *_parse(function.__doc__ or ''))
    for name, function in functions.items()
    if inspect.isfunction(function)
  ]


def problem(entry):
  """Returns a sentence on what the docstring lacks, or an empty string."""
  where = f'sslax.losses.{entry.family}.{entry.name}'
  if not entry.summary:
    return f'{where} has no docstring'
  for section in ('Args', 'Returns'):
    if section not in entry.sections:
      return f'{where} has no section {section!r} in its docstring'
  undocumented = set(_parameters(entry)) - set(documented_shapes(entry))
  if undocumented:
    return f'{where} does not document its argument {min(undocumented)!r}'
  if not re.match(r'\(?(scalar|loss|bound)', entry.sections['Returns'].lower()):
    return ''  # a part that losses are made of
  if not entry.body:
    return f'{where} has no formula below the first line of its docstring'
  if 'References' not in entry.sections:
    return f"{where} has no section 'References' in its docstring"
  if not entry.example:
    return f'{where} has no example (>>>) in its docstring'
  return ''


def needs(entry):
  """Returns the needs under which the index lists a loss."""
  arguments = set(_parameters(entry))
  found = [need for need, names in _ARGUMENTS.items() if arguments & names]
  families = [need for need, of in _FAMILIES.items() if entry.family in of]
  return found + families


def documented_shapes(entry):
  """Returns each documented argument's shape, as '[B,D]'; '' without one."""
  found = re.findall(
    r'^\*{0,2}(\w+(?:, \w+)*): (.*)$', entry.sections['Args'], re.MULTILINE
  )
  shape = {}
  for names, text in found:
    bracket = re.search(r'\[[^\]]*\]', text.split(';')[0])
    for name in names.split(', '):
      shape[name] = bracket.group().replace(' ', '') if bracket else ''
  return shape


def curve(entry, num_points=41):
  """Returns (label, x, value, gradient) of a loss of one number, or None.

  Two sets of embeddings become eight orthogonal pairs of one similarity; a
  matrix of scores becomes one score on the diagonal and zero elsewhere.
  """
  inputs = _one_number(entry)
  if inputs is None:
    return None
  label, low, high, make = inputs

  def value(x):
    output = entry.function(**make(x))
    return output[0] if isinstance(output, tuple) else output

  x = jnp.linspace(low, high, num_points)
  values, gradients = jax.vmap(jax.value_and_grad(value))(x)
  return label, np.asarray(x), np.asarray(values), np.asarray(gradients)


def page(modules):
  """Returns the whole page.

  Raises:
    ValueError: a public loss is not documented; the message is the sentence.
  """
  everything = [entry for module in modules for entry in entries(module)]
  for entry in everything:
    if problem(entry):
      raise ValueError(problem(entry))
  families = '\n'.join(
    f'<h2 id="{_family(module)}">{_escape(_title(module))}</h2>\n'
    + '\n'.join(_render(entry) for entry in entries(module))
    for module in modules
  )
  count = f'<p>{len(everything)} losses: arrays in, scalar out.</p>'
  frame = (pathlib.Path(__file__).parent / 'page.html').read_text()
  return frame.format(body=count + _index(modules, everything) + families)


def main(argv=None):
  """Writes the page; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--out', default='site', help='directory to write to')
  out = pathlib.Path(parser.parse_args(argv).out)
  try:
    text = page(modules())
  except ValueError as error:
    print(f'docs/build.py: {error}', file=sys.stderr)
    return 1
  out.mkdir(parents=True, exist_ok=True)
  (out / 'losses.html').write_text(text)
  print(f'wrote {out / "losses.html"}')
  return 0


def _parse(docstring):
  """Splits a docstring into (summary, body, sections, example)."""
  text, _, example = inspect.cleandoc(docstring).partition('\n>>> ')
  example = f'>>> {example}' if example else ''
  parts = re.split(rf'^({"|".join(_SECTIONS)}):$', text, flags=re.MULTILINE)
  summary, _, body = parts[0].strip().partition('\n\n')
  sections = {
    title: inspect.cleandoc('\n' + content)
    for title, content in zip(parts[1::2], parts[2::2], strict=True)
  }
  return ' '.join(summary.split()), body.strip(), sections, example.strip()


def _parameters(entry):
  return inspect.signature(entry.function).parameters


def _one_number(entry):
  """Returns (label, low, high, number -> inputs) where one number is enough."""
  shape = documented_shapes(entry)
  required = [
    parameter.name
    for parameter in _parameters(entry).values()
    if parameter.default is parameter.empty
    and parameter.kind is not parameter.VAR_KEYWORD
  ]
  scalars = {'logit_scale': 10.0, 'logit_bias': -10.0, 'log_average': 0.0}
  given = {name: scalars[name] for name in required if name in scalars}
  arrays = [name for name in required if name not in given]
  kinds = [shape[name] for name in arrays]
  if kinds == ['[B,D]', '[B,D]']:
    return (
      'similarity of the pairs',
      # Not to the ends, where the pairs' other axis has no slope.
      -0.99,
      0.99,
      lambda s: {**dict(zip(arrays, _pairs(s), strict=True)), **given},
    )
  if kinds == ['[B,B]'] and arrays == ['scores']:
    return (
      'score of the pairs',
      -5.0,
      5.0,
      lambda s: {'scores': s * jnp.eye(8), **given},
    )
  return None


def _pairs(similarity, num=8):
  """Eight pairs at one cosine, orthogonal to each other."""
  second = jnp.eye(num, 2 * num)
  apart = jnp.sqrt(1 - similarity**2)
  # The first argument moves: it is never the one under stop-gradient.
  return similarity * second + apart * jnp.roll(second, num, axis=1), second


def _draw(entry):
  """Returns the value and the gradient as a small picture, or nothing."""
  drawn = curve(entry)
  if drawn is None:
    return ''
  label, x, values, gradients = drawn
  lines = ''.join(
    _polyline(x, y, kind)
    for y, kind in ((values, 'value'), (gradients, 'gradient'))
    if np.isfinite(y).all()
  )
  ends = f'value {values[0]:.3g} to {values[-1]:.3g}'
  return (
    f'<figure><svg viewBox="0 0 240 120" role="img" aria-label="{ends}">'
    f'<rect width="240" height="120"/>{lines}</svg><figcaption>'
    f'<b class="value">value</b> ({values.min():.3g} to {values.max():.3g})'
    f' and <b class="gradient">gradient</b> ({gradients.min():.3g} to'
    f' {gradients.max():.3g}) against the {label}, {x[0]:g} to {x[-1]:g}, each'
    ' on its own scale</figcaption></figure>'
  )


def _polyline(x, y, kind):
  across = 8 + 224 * (x - x[0]) / (x[-1] - x[0])
  height = max(float(np.ptp(y)), 1e-12)
  up = 112 - 104 * (y - y.min()) / height
  points = ' '.join(f'{a:.1f},{b:.1f}' for a, b in zip(across, up, strict=True))
  return f'<polyline class="{kind}" points="{points}"/>'


def _render(entry):
  signature = inspect.signature(entry.function)
  formula = ''.join(
    f'<p class="formula">{_formula(" ".join(paragraph.split()))}</p>'
    for paragraph in entry.body.split('\n\n')
  )
  sections = ''.join(
    f'<h4>{title}</h4><div class="section">{_escape(entry.sections[title])}'
    '</div>'
    for title in _SECTIONS
    if title in entry.sections
  )
  return (
    f'<section id="{entry.name}"><h3><code>{entry.name}'
    f'{_escape(str(signature))}</code></h3><p>{_escape(entry.summary)}</p>'
    f'{formula}{_draw(entry)}{sections}'
    f'<pre>{_escape(entry.example)}</pre></section>'
  )


def _index(modules, everything):
  by_need = {need: [] for need in (*_ARGUMENTS, *_FAMILIES)}
  for entry in everything:
    for need in needs(entry):
      by_need[need].append(entry)
  families = [(_title(module), entries(module)) for module in modules]
  return (
    '<h2>By family</h2>'
    + _links(families)
    + '<h2>By need</h2>'
    + _links(list(by_need.items()))
  )


def _links(groups):
  rows = ''.join(
    f'<dt>{_escape(title)}</dt><dd>'
    + ' · '.join(f'<a href="#{e.name}">{e.name}</a>' for e in found)
    + '</dd>'
    for title, found in groups
    if found
  )
  return f'<dl>{rows}</dl>'


def _family(module):
  return module.__name__.rsplit('.', 1)[-1]


def _title(module):
  return module.__doc__.strip().splitlines()[0].rstrip('.')


def _escape(text):
  escaped = html.escape(text, quote=False)
  return re.sub(
    r'(https?://[^\s<>]*[^\s<>.,;])', r'<a href="\1">\1</a>', escaped
  )


def _formula(text):
  """Escapes a formula; sets names as code, `_` and `^` below and above."""

  def code(match):
    quoted, name = match.groups()
    if name and not hasattr(losses, name):
      return name  # a symbol with its subscript
    shown = (quoted or name).replace('_', '&#95;').replace('^', '&#94;')
    return f'<code>{shown}</code>'

  names = r'`([^`]+)`|\b([a-z]\w*_\w+)\b'
  return _scripts(re.sub(names, code, html.escape(text, quote=False)))


def _scripts(text):
  """Sets x_i, x_{ij}, e^{s}, e^(s) and so on as sub- and superscripts."""
  found = re.search(_SCRIPT, text)
  if not found:
    return text
  tag = 'sub' if found[1] == '_' else 'sup'
  inside, end = found[2], found.end()
  if inside in '{(':
    end = _closing(text, found.end(), inside)
    inside = text[found.end() : end - 1]
  before, after = text[: found.start()], text[end:]
  return f'{before}<{tag}>{_scripts(inside)}</{tag}>{_scripts(after)}'


_SCRIPT = r'([_^])([{(]|[-\u2212]?·?[^\W_]+[⁺⁻]?|[⁺⁻·*])'


def _closing(text, start, opening):
  """The place after the bracket that closes the one before `start`."""
  closing, depth = {'{': '}', '(': ')'}[opening], 1
  for i in range(start, len(text)):
    depth += (text[i] == opening) - (text[i] == closing)
    if not depth:
      return i + 1
  return len(text)


if __name__ == '__main__':
  sys.exit(main())
