"""The page that a report is set in: its frame and its style."""

import html

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{title}}</title>
<style>
:root {
  --paper: #fbfaf7; --ink: #22262b; --soft: #656b73; --rule: #e2dfd8;
  --now: #1f6f8b; --before: #b4632d; --second: #7a7f87; --good: #2e8b57;
  --warn: #8a3b12; --warn-paper: #f8ebe2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181b; --ink: #e4e3df; --soft: #9aa0a8; --rule: #2d3136;
    --now: #62b6d1; --before: #e0986a; --second: #8d939b; --good: #5dc08a;
    --warn: #f0b48c; --warn-paper: #33241b;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 56px 32px 96px; max-width: 1144px;
  background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "Helvetica Neue",
    "Liberation Sans", Arial, sans-serif;
}
header { margin-bottom: 56px; }
.kicker { margin: 0 0 12px; color: var(--now); font-weight: 600; }
h1 {
  margin: 0 0 16px; max-width: 24em; text-wrap: balance;
  font-size: clamp(24px, 3.4vw, 36px); line-height: 1.22; font-weight: 600;
  letter-spacing: -0.01em;
}
.facts { margin: 0; color: var(--soft); }
section {
  margin-top: 64px; padding-top: 28px; border-top: 1px solid var(--rule);
}
h2 { margin: 0 0 8px; font-size: 22px; line-height: 1.3; font-weight: 600; }
h3 { margin: 0 0 6px; font-size: 15px; font-weight: 600; }
p { max-width: 44em; }
.lead { margin: 0 0 28px; color: var(--soft); }
.below {
  margin: 12px 0; padding: 10px 14px; border-left: 3px solid var(--warn);
  background: var(--warn-paper); color: var(--warn);
}
figure { margin: 0; }
figcaption { color: var(--soft); font-size: 13px; line-height: 1.45; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
.results { font-variant-numeric: tabular-nums; }
.results th, .results td {
  padding: 9px 28px 9px 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--rule); font-weight: 400;
}
.results thead th { color: var(--soft); font-size: 13px; }
.results th:first-child { text-align: left; }
.results tbody td:nth-child(3) { font-weight: 600; }
.charts {
  display: grid; gap: 36px 32px; margin-top: 28px;
  grid-template-columns: repeat(auto-fill, minmax(min(310px, 100%), 1fr));
}
.chart svg { display: block; width: 100%; height: auto; }
.chart text { fill: var(--soft); font-size: 11px; }
.grid { stroke: var(--rule); fill: none; }
.line {
  fill: none; stroke: var(--now); stroke-width: 1.8; stroke-linejoin: round;
}
.line.noise { stroke-width: 1; opacity: 0.4; }
.line.before { stroke: var(--before); }
.line.second { stroke: var(--second); }
.line.level { stroke-dasharray: 5 4; stroke-width: 1.5; }
.dot { fill: var(--now); }
.dot.before { fill: var(--before); }
.legend {
  display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 4px 0 6px; padding: 0;
  list-style: none; color: var(--soft); font-size: 13px;
}
.legend li { display: flex; align-items: center; gap: 6px; }
.legend svg { display: block; width: 22px; height: 8px; }
img { display: block; width: 100%; border-radius: 3px; }
.sheet img, .query img { image-rendering: pixelated; }
.sheets {
  display: grid; gap: 28px 48px;
  grid-template-columns: repeat(auto-fit, minmax(min(340px, 100%), 1fr));
}
.sheet { width: 100%; table-layout: fixed; align-self: start; }
.sheet th {
  padding: 0 0 6px; color: var(--soft); font-size: 13px; font-weight: 400;
  text-align: left;
}
.sheet td { padding: 0 8px 8px 0; }
.queries { display: grid; gap: 22px; }
.query {
  display: grid; gap: 0 32px; align-items: end;
  grid-template-columns: 148px minmax(0, 1fr) minmax(0, 1fr);
}
.query > figure > figcaption { min-height: 20px; }
.query > figure:first-child {
  display: flex; flex-direction: column-reverse; overflow-wrap: anywhere;
}
.query > figure:first-child img { max-width: 76px; }
.query img { border-bottom: 4px solid transparent; border-radius: 0; }
.query img.same { border-bottom-color: var(--good); }
.strip div {
  display: grid; gap: 6px; grid-template-columns: repeat(var(--k), 1fr);
}
details { margin-top: 28px; }
summary { cursor: pointer; color: var(--now); }
.pairs { margin-top: 8px; font-size: 14px; }
.pairs th {
  padding: 3px 28px 3px 0; color: var(--soft); font-weight: 400;
  text-align: left; vertical-align: top; white-space: nowrap;
}
.pairs td {
  padding: 3px 0; overflow-wrap: anywhere;
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace;
}
.extra { width: auto; max-width: 100%; }
@media (max-width: 640px) {
  body { padding: 32px 18px 64px; }
  section { margin-top: 44px; }
  .sheets { gap: 0; }
  .sheet + .sheet thead { display: none; }
  .query { grid-template-columns: 76px minmax(0, 1fr); gap: 6px 14px; }
  .query > figure:first-child { grid-row: span 2; align-self: center; }
  .results th, .results td { padding-right: 18px; }
}
@media print { section { break-inside: avoid; } }
</style>
</head>
<body>
<main>
{{body}}
</main>
</body>
</html>
"""


def section(title: str, lead: str, *parts: str) -> str:
  """Returns a section; nothing where all of its parts are empty."""
  inner = ''.join(parts)
  if not inner:
    return ''
  return (
    f'<section><h2>{html.escape(title)}</h2>'
    f'<p class="lead">{html.escape(lead)}</p>{inner}</section>'
  )


def charts(*figures: str) -> str:
  """Returns figures side by side; nothing where all are empty."""
  inner = ''.join(figures)
  return f'<div class="charts">{inner}</div>' if inner else ''
