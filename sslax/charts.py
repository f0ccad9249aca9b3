"""Line charts as inline SVG, which take their colors from the page."""

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import ticker

_WIDTH, _HEIGHT = 360, 210  # units of the drawing, pixels at full size
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 10, 34  # margins
_MAX_POINTS = 600  # a line; more cannot be told apart
_MANY = 40  # points from which on a line is drawn with its running mean


class Line(NamedTuple):
  """One line of a chart.

  Attributes:
    label: for the legend.
    xs: [N] positions.
    ys: [N] values; None and what is not finite leave a gap.
    kind: style of the page: `now`, `before`, `noise`, `second`.
  """

  label: str
  xs: Sequence[float]
  ys: Sequence[float | None]
  kind: str = 'now'


class Level(NamedTuple):
  """A dashed horizontal line, for a baseline; kind is a style of the page."""

  label: str
  value: float
  kind: str = 'before'


class _Scale(NamedTuple):
  """From values to places in the drawing."""

  low: float
  high: float
  start: float
  end: float
  log: bool = False

  def __call__(self, value: float) -> float:
    low, high = self.low, self.high
    if self.log:
      low, high, value = (math.log10(v) for v in (low, high, value))
    share = (value - low) / (high - low)
    return self.start + share * (self.end - self.start)


def with_mean(label: str, xs, ys) -> list[Line]:
  """Returns a line, or where it has many points a thin one and its mean."""
  if len(xs) < _MANY:
    return [Line(label, xs, ys)]
  values = _finite(ys)
  known = np.isfinite(values).astype(float)
  window = np.ones(max(3, len(values) // 20) // 2 * 2 + 1)
  total = np.convolve(np.where(known > 0, values, 0.0), window, 'same')
  count = np.convolve(known, window, 'same')
  mean = total / np.maximum(count, 1.0)
  mean[count == 0] = np.nan
  return [Line(label, xs, ys, 'noise'), Line('running mean', xs, mean)]


def chart(
  title: str,
  lines: Sequence[Line],
  levels: Sequence[Level] = (),
  *,
  caption: str = '',
  zero: bool = False,
  log: bool = False,
  x_label: str = 'step',
) -> str:
  """Returns a figure of HTML: title, drawing, legend and caption.

  Args:
    title: of the figure.
    lines: to draw, the later above the earlier.
    levels: dashed horizontal lines.
    caption: what to look for.
    zero: the vertical axis starts at zero.
    log: logarithmic vertical axis; values that are not positive leave a gap.
    x_label: name of the horizontal axis.
  """
  lines = [_cleaned(line, log) for line in lines]
  x, y = _scales(lines, levels, zero=zero, log=log)
  if x is None:
    return ''
  drawing = [*_grid(x, y, x_label)]
  drawing += [_level(level, y) for level in levels]
  drawing += [_line(line, x, y) for line in lines]
  legend = _legend([*lines, *levels])
  return (
    f'<figure class="chart"><h3>{html.escape(title)}</h3>'
    f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
    f' aria-label="{html.escape(_summary(title, lines, levels))}">'
    f'{"".join(drawing)}</svg>{legend}'
    f'<figcaption>{html.escape(caption)}</figcaption></figure>'
  )


def _finite(ys) -> np.ndarray:
  values = np.array([math.nan if y is None else float(y) for y in ys])
  return np.where(np.isfinite(values), values, np.nan)


def _cleaned(line: Line, log: bool) -> Line:
  every = max(1, math.ceil(len(line.xs) / _MAX_POINTS))
  ys = _finite(line.ys)
  if log:
    ys = np.where(ys > 0, ys, np.nan)
  return line._replace(xs=np.asarray(line.xs, float)[::every], ys=ys[::every])


def _scales(lines, levels, *, zero, log) -> tuple[_Scale, _Scale] | tuple:
  """Returns both scales, or (None, None) where nothing can be drawn."""
  xs = np.concatenate([line.xs for line in lines] or [[]])
  ys = np.concatenate([line.ys for line in lines] or [[]])
  if not np.isfinite(ys).any():
    return None, None
  ys = np.append(ys[np.isfinite(ys)], [level.value for level in levels])
  low, high = ys.min(), ys.max()
  if log:
    low, high = low / 1.3, high * 1.3
  else:
    low = 0.0 if zero else low
    space = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
    low, high = (0.0 if zero else low - space), high + space
  end = xs.max() if xs.max() > xs.min() else xs.min() + 1
  return (
    _Scale(xs.min(), end, _LEFT, _WIDTH - _RIGHT),
    _Scale(low, high, _HEIGHT - _BOTTOM, _TOP, log),
  )


def _ticks(scale: _Scale, count: int, *, whole: bool = False) -> list[float]:
  low, high = scale.low, scale.high
  if scale.log and high / low >= 100:
    places = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    every = max(1, math.ceil(len(places) / count))
    return [10.0**place for place in places[::every]]
  locator = ticker.MaxNLocator(count, integer=whole)
  values = locator.tick_values(low, high)
  return [v for v in values if low <= v <= high and (v > 0 or not scale.log)]


def _tick_text(value: float) -> str:
  if abs(value) >= 1e5:
    return f'{value / 1e3:,.4g}k'
  return f'{value:,.0f}' if abs(value) >= 1000 else f'{value:.4g}'


def _grid(x: _Scale, y: _Scale, x_label: str):
  """Yields grid lines, tick labels and the name of the horizontal axis."""
  for value in _ticks(y, 4):
    place = y(value)
    yield f'<path class="grid" d="M{_LEFT} {place:.1f}H{_WIDTH - _RIGHT}"/>'
    yield _text(_LEFT - 6, place + 3.5, _tick_text(value), 'end')
  for value in _ticks(x, 5, whole=True):
    yield _text(x(value), _HEIGHT - _BOTTOM + 15, _tick_text(value), 'middle')
  middle = (_LEFT + _WIDTH - _RIGHT) / 2
  yield _text(middle, _HEIGHT - 4, x_label, 'middle')


def _text(x: float, y: float, text: str, anchor: str) -> str:
  return (
    f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
    f'{html.escape(text)}</text>'
  )


def _level(level: Level, y: _Scale) -> str:
  return (
    f'<path class="line level {level.kind}"'
    f' d="M{_LEFT} {y(level.value):.1f}H{_WIDTH - _RIGHT}"/>'
  )


def _line(line: Line, x: _Scale, y: _Scale) -> str:
  points, steps, fresh = [], [], True
  for at, value in zip(line.xs, line.ys, strict=True):
    if math.isnan(value):
      fresh = True
      continue
    points.append((x(at), y(value)))
    steps.append(f'{"M" if fresh else "L"}{points[-1][0]:.1f} '
                 f'{points[-1][1]:.1f}')  # fmt: skip
    fresh = False
  dots = points if len(points) <= 12 else []
  return f'<path class="line {line.kind}" d="{"".join(steps)}"/>' + ''.join(
    f'<circle class="dot {line.kind}" cx="{a:.1f}" cy="{b:.1f}" r="2.6"/>'
    for a, b in dots
  )


def _legend(entries: Sequence[Line | Level]) -> str:
  if len(entries) < 2:
    return ''
  items = []
  for entry in entries:
    level = ' level' if isinstance(entry, Level) else ''
    items.append(
      '<li><svg viewBox="0 0 22 8" width="22" height="8" aria-hidden="true">'
      f'<path class="line{level} {entry.kind}" d="M1 4H21"/></svg>'
      f'{html.escape(entry.label)}</li>'
    )
  return f'<ul class="legend">{"".join(items)}</ul>'


def _summary(title: str, lines: Sequence[Line], levels) -> str:
  """Returns what the drawing shows, for those who cannot see it."""
  parts = []
  for line in lines:
    known = line.ys[np.isfinite(line.ys)]
    if len(known):
      parts.append(f'{line.label} from {known[0]:.4g} to {known[-1]:.4g}')
  parts += [f'{level.label} {level.value:.4g}' for level in levels]
  return f'{title}: {"; ".join(parts)}'
