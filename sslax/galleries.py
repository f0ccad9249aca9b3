"""The pictures of a report: views, neighbors, spectrum, a method's own."""

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sslax.charts import Line, chart
from sslax.page import charts, section
from sslax.thumbnails import picture

_ROWS = 4  # of a contact sheet before the next begins beside it


class Neighbors(NamedTuple):
  """Nearest training images of some test images.

  Attributes:
    queries: [Q, S, S, 3] uint8.
    before: [Q, K, S, S, 3] uint8, nearest at random initialization.
    after: [Q, K, S, S, 3] uint8, nearest after training.
    names: class of each query, or None without labels.
    same_before: [Q, K] bool, whether the class is the query's, or None.
    same_after: as same_before.
  """

  queries: np.ndarray
  before: np.ndarray
  after: np.ndarray
  names: Sequence[str] | None = None
  same_before: np.ndarray | None = None
  same_after: np.ndarray | None = None


class Extra(NamedTuple):
  """A picture of one method's own: [H, W, 3] uint8, or bytes of a PNG file."""

  title: str
  caption: str
  image: Any


class Pictures(NamedTuple):
  """What a report shows beside the curves; all of it may be missing.

  Attributes:
    sources: [n, S, S, 3] uint8, images before augmentation.
    views: arrays [n, S', S', 3] uint8, one for each view, as trained on.
    neighbors: nearest neighbors before and after training.
    spectrum_before: [D] singular values of embeddings at random
      initialization, in falling order.
    spectrum_after: [D] singular values after training.
    extra: pictures of one method's own.
  """

  sources: np.ndarray | None = None
  views: Sequence[np.ndarray] = ()
  neighbors: Neighbors | None = None
  spectrum_before: np.ndarray | None = None
  spectrum_after: np.ndarray | None = None
  extra: Sequence[Extra] = ()


def galleries(pictures: Pictures) -> str:
  """Returns the sections of all pictures that there are, as HTML."""
  return '\n'.join(
    [
      _views(pictures.sources, pictures.views),
      _neighbors(pictures.neighbors),
      _spectrum(pictures.spectrum_before, pictures.spectrum_after),
      *map(_extra, pictures.extra),
    ]
  )


def _views(sources, views) -> str:
  if not len(views):
    return ''
  names = [f'view {i + 1}' for i in range(len(views))]
  columns = list(views)
  if sources is not None:
    names, columns = ['image', *names], [sources, *columns]
  count = min(map(len, columns))
  sheets = ''.join(
    _sheet(names, columns, range(start, min(start + _ROWS, count)))
    for start in range(0, count, _ROWS)
  )
  return section(
    'What the encoder was shown',
    'Each row is one image and its views exactly as trained on. The views of'
    ' a row should still show the same thing to you: if they do not, the'
    ' augmentation is too strong; if they look alike, too weak.',
    f'<div class="sheets">{sheets}</div>',
  )


def _sheet(names, columns, rows) -> str:
  head = ''.join(f'<th scope="col">{name}</th>' for name in names)
  body = ''
  for row in rows:
    cells = ''.join(
      f'<td>{picture(column[row], f"image {row + 1}, {name}")}</td>'
      for name, column in zip(names, columns, strict=True)
    )
    body += f'<tr>{cells}</tr>'
  return f'<table class="sheet"><thead><tr>{head}</tr></thead>{body}</table>'


def _neighbors(neighbors: Neighbors | None) -> str:
  if neighbors is None:
    return ''
  lead = (
    'Test images, and the training images that lie nearest in the embedding,'
    ' nearest first. Before training, neighbors share color and layout; look'
    ' for neighbors that share what is shown.'
  )
  if neighbors.names is not None:
    lead += ' A bar beneath marks a neighbor of the same class.'
  rows = ''.join(_query(neighbors, i) for i in range(len(neighbors.queries)))
  return section(
    'Nearest neighbors, before and after',
    lead,
    _same_shares(neighbors),
    f'<div class="queries">{rows}</div>',
  )


def _same_shares(neighbors: Neighbors) -> str:
  if neighbors.same_before is None or neighbors.same_after is None:
    return ''
  before, after = (
    float(np.mean(same))
    for same in (neighbors.same_before, neighbors.same_after)
  )
  return (
    f'<p>Of the neighbors shown here, {before:.0%} are of the same class'
    f' before training and {after:.0%} after.</p>'
  )


def _query(neighbors: Neighbors, i: int) -> str:
  name = 'test image' if neighbors.names is None else str(neighbors.names[i])
  query = picture(neighbors.queries[i], f'test image {i + 1}: {name}')
  strips = _strip('before', neighbors.before[i], _row(neighbors.same_before, i))
  strips += _strip('after', neighbors.after[i], _row(neighbors.same_after, i))
  return (
    f'<div class="query"><figure>{query}'
    f'<figcaption>{html.escape(name)}</figcaption></figure>{strips}</div>'
  )


def _row(same, i: int):
  return None if same is None else same[i]


def _strip(when: str, images, same) -> str:
  label = when
  if same is not None:
    label += f' · {int(np.sum(same))} of {len(same)} same class'
  cells = ''
  for k, image in enumerate(images):
    is_same = same is not None and bool(same[k])
    alt = f'neighbor {k + 1} {when}' + ', same class' * is_same
    cells += picture(image, alt, 'same' if is_same else 'other')
  return (
    f'<figure class="strip"><figcaption>{label}</figcaption>'
    f'<div style="--k:{len(images)}">{cells}</div></figure>'
  )


def rankme(singular_values) -> float:
  """Returns exp(entropy of the singular values' shares), as RankMe."""
  values = np.asarray(singular_values, np.float64)
  shares = values / max(values.sum(), np.finfo(np.float64).tiny)
  shares = shares[shares > 0]
  return float(np.exp(-np.sum(shares * np.log(shares))))


def _spectrum(before, after) -> str:
  lines = [
    Line(
      f'{label}, RankMe {rankme(values):.1f}',
      np.arange(1, len(values) + 1),
      np.asarray(values, float) / max(float(np.max(values)), 1e-30),
      kind,
    )
    for label, values, kind in (
      ('before training', before, 'before'),
      ('after training', after, 'now'),
    )
    if values is not None and len(values)
  ]
  figure = chart(
    'singular values, largest = 1', lines, log=True, x_label='dimension'
  )
  return section(
    'Spectrum of the embedding',
    'How many dimensions the embedding of the test images uses: a flat line'
    ' uses all, a line that drops like a cliff few. RankMe counts them in one'
    ' number, which says nothing of what they hold.',
    charts(figure),
  )


def _extra(extra: Extra) -> str:
  image = picture(extra.image, extra.title, 'extra', max_side=1200)
  return section(extra.title, extra.caption, f'<figure>{image}</figure>')
