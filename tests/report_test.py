"""The report: its sections, its sentences, and that it needs nothing else."""

import html.parser
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from sslax import charts, galleries, log, report
from sslax.lines import append_line


def _images(*shape):
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (*shape, 8, 8, 3), np.uint8)


def _neighbors(labeled):
  neighbors = report.Neighbors(_images(2), _images(2, 3), _images(2, 3))
  if not labeled:
    return neighbors
  same = np.array([[True, False, False], [False, False, False]])
  return neighbors._replace(
    names=['<b>cat</b>', 'dog & co'], same_before=same, same_after=~same
  )


def _pictures(labeled=True):
  return report.Pictures(
    sources=_images(5),
    views=[_images(5), _images(5)],
    neighbors=_neighbors(labeled),
    spectrum_before=np.exp(-np.arange(8.0) * 2),
    spectrum_after=np.ones(8),
    extra=[report.Extra('Prototypes <1>', 'what each holds', _images()[...])],
  )


@pytest.fixture
def workdir(tmp_path):
  config = {'num_steps': 60, 'method': {'name': 'byol & <co>'},
            'data': {'name': 'photos', 'path': '<img src=x>'}}  # fmt: skip
  (tmp_path / 'config.json').write_text(json.dumps(config))
  for step in range(60):
    loss = float('nan') if step == 30 else 1 / (step + 1)
    row = {'loss': loss, 'images_per_second': 512.0, 'data_wait': 0.03}
    row |= {'grad_norm': 1.0, 'embedding_std': 0.9, 'queue_age': 3.0}
    append_line(tmp_path / log.METRICS, {'step': step, **row})
  for step, value in ((30, 0.3), (60, 0.4)):
    row = {'step': step, 'protocol': 'knn', 'split': 'test', 'value': value}
    beside = {'random_init': 0.31, 'raw_pixels': 0.44}
    append_line(tmp_path / log.EVALUATIONS, {**row, **beside})
  return tmp_path


class _Reader(html.parser.HTMLParser):
  """Collects tags, and checks that each that opens is closed in order."""

  VOID = ('meta', 'img', 'path', 'circle')

  def __init__(self, text):
    super().__init__()
    self.open, self.tags = [], []
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))
    if tag not in self.VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))

  def handle_endtag(self, tag):
    assert self.open.pop() == tag


def _write(workdir, pictures=None):
  path = report.write(workdir, pictures)
  assert path == workdir / 'report.html'
  text = path.read_text()
  reader = _Reader(text)
  assert reader.open == []
  return text, reader.tags


def _sections(text):
  return re.findall('<h2>(.*?)</h2>', text)


def test_all_sections_in_order(workdir):
  text, _ = _write(workdir, _pictures())
  assert _sections(text) == [
    'What it learned',
    'How training went',
    'What the encoder was shown',
    'Nearest neighbors, before and after',
    'Spectrum of the embedding',
    'Prototypes &lt;1&gt;',
    'To run it again',
  ]
  for title in ('loss', 'kNN', 'spread of the embedding', 'gradient norm',
                'images per second', 'queue_age'):  # fmt: skip
    assert f'<h3>{title}</h3>' in text


def test_nothing_is_fetched_and_no_script_is_needed(workdir):
  text, tags = _write(workdir, _pictures())
  assert 'http' not in text
  assert 'url(' not in text
  assert '@import' not in text
  names = {tag for tag, _ in tags}
  assert not names & {'script', 'link', 'iframe', 'object'}
  sources = [a['src'] for tag, a in tags if tag == 'img']
  assert all(s.startswith('data:image/png;base64,') for s in sources)


def test_every_picture_and_chart_says_what_it_shows(workdir):
  _, tags = _write(workdir, _pictures())
  images = [a for tag, a in tags if tag == 'img']
  assert len(images) == 5 * 3 + 2 * (1 + 3 + 3) + 1
  assert all(a['alt'] for a in images)
  drawings = [a for tag, a in tags if tag == 'svg' and 'aria-hidden' not in a]
  assert len(drawings) == 8
  assert all(a['role'] == 'img' and a['aria-label'] for a in drawings)


def test_names_are_escaped(workdir):
  text, _ = _write(workdir, _pictures())
  assert 'byol &amp; &lt;co&gt;' in text
  assert '&lt;b&gt;cat&lt;/b&gt;' in text
  assert '&lt;img src=x&gt;' in text
  assert '<b>' not in text
  assert '<img src=x>' not in text


def test_it_says_plainly_that_a_run_is_below_a_baseline(workdir):
  text, _ = _write(workdir)
  assert (
    '<h1>After training, kNN is 0.400, 0.090 above random initialization and'
    ' 0.040 below centered raw pixels.</h1>'
  ) in text
  assert 'kNN 0.400 is below centered raw pixels 0.440.' in text


@pytest.mark.parametrize(
  ('row', 'sentence'),
  [
    (None, 'This run has not been evaluated.'),
    ({'value': None}, 'After training, kNN is not finite.'),
    ({'value': 0.5}, 'After training, kNN is 0.500.'),
    (
      {'value': 0.5, 'raw_pixels': 0.5},
      'After training, kNN is 0.500, the same as centered raw pixels.',
    ),
  ],
)
def test_headline(row, sentence):
  final = [] if row is None else [{'step': 1, 'protocol': 'knn', **row}]
  assert report.headline(final) == sentence


def test_an_empty_folder_still_gives_a_page(tmp_path):
  text, _ = _write(tmp_path)
  assert _sections(text) == ['To run it again']
  assert 'This run has not been evaluated.' in text
  assert [p.name for p in tmp_path.iterdir()] == ['report.html']


def test_without_labels_neighbors_show_no_classes(workdir):
  text, tags = _write(workdir, _pictures(labeled=False))
  assert 'Nearest neighbors, before and after' in text
  assert 'same class' not in text
  assert not [a for _, a in tags if a.get('class') == 'same']


def test_labels_count_neighbors_of_the_same_class(workdir):
  text, tags = _write(workdir, _pictures())
  assert '17% are of the same class before training and 83% after' in text
  assert 'before · 1 of 3 same class' in text
  assert len([a for _, a in tags if a.get('class') == 'same']) == 6


def test_a_report_is_replaced_whole(workdir):
  _write(workdir)
  before = (workdir / 'report.html').read_text()
  broken = report.Pictures(views=[np.zeros((1, 2, 2, 7), np.uint8)])
  with pytest.raises(TypeError):
    report.write(workdir, broken)
  assert (workdir / 'report.html').read_text() == before


def test_pictures_keep_their_pixels_and_large_ones_shrink():
  def decode(tag):
    data = re.search('base64,([^"]*)', tag).group(1)
    import base64

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))

  image = _images()
  shown = galleries.picture(image, 'x')
  np.testing.assert_array_equal(decode(shown), image)
  large = np.zeros((320, 640, 3), np.uint8)
  assert decode(galleries.picture(large, 'x')).shape == (80, 160, 3)


def test_rankme_counts_equal_directions():
  assert galleries.rankme([2, 2, 2, 0]) == pytest.approx(3)
  assert galleries.rankme([5, 0]) == pytest.approx(1)


def _d(svg):
  return re.search('class="line now" d="(.*?)"', svg).group(1)


def test_a_line_rises_with_its_values_and_breaks_where_they_are_missing():
  path = _d(charts.chart('t', [charts.Line('a', range(5), [0, 1, None, 2, 3])]))
  assert [path.count(c) for c in 'ML'] == [2, 2]
  points = re.findall(r'[ML]([\d.]+) ([\d.]+)', path)
  x, y = np.array(points, float).T
  assert (np.diff(x) > 0).all()
  assert (np.diff(y) < 0).all()  # drawings count from the top


def test_a_log_axis_spaces_decades_evenly():
  line = charts.Line('a', range(3), [1.0, 0.1, 0.01])
  points = re.findall(r' ([\d.]+)', _d(charts.chart('t', [line], log=True)))
  assert np.ptp(np.diff(np.array(points, float))) < 0.2


@pytest.mark.parametrize('ys', [[], [None, None], [float('inf')]])
def test_nothing_to_draw_gives_nothing(ys):
  assert charts.chart('t', [charts.Line('a', range(len(ys)), ys)]) == ''


@pytest.mark.parametrize('value', [0.0, 3.0, -2.0, 1e7])
def test_constant_lines_are_drawn(value):
  line = charts.Line('a', [0, 1], [value, value])
  for zero in (False, True) if value >= 0 else (False,):
    assert 'nan' not in charts.chart('t', [line], zero=zero)


def test_running_mean_skips_gaps_and_keeps_a_constant():
  ys = [2.0] * 50
  ys[7] = None
  noise, mean = charts.with_mean('a', range(50), ys)
  assert noise.kind == 'noise'
  np.testing.assert_allclose(mean.ys, 2.0)
