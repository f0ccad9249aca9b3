"""The page of losses is whole, and refuses what is not documented."""

import importlib.util
import pathlib
import types

import numpy as np
import pytest

from sslax import losses
from sslax.losses import distillation, multimodal, mutual_information

_PATH = pathlib.Path(__file__).parent.parent / 'docs' / 'build.py'
_SPEC = importlib.util.spec_from_file_location('docs_build', _PATH)
build = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(build)

_WHOLE = """Halves the sum.

  Σ x / 2.

  Args:
    x: [B, D] numbers.

  Returns:
    Scalar.

  References:
    Nobody, Nothing, https://example.org, 2020.

  >>> 1
  1
"""


def _module(docstring):
  def half(x):
    return x.sum() / 2

  half.__doc__ = docstring
  module = types.ModuleType('sslax.losses.made_up', 'Made up.')
  module.half, module.__all__ = half, ['half']
  return module


def _entry(module, name):
  return next(e for e in build.entries(module) if e.name == name)


@pytest.mark.parametrize('module', build.modules(), ids=build._family)
def test_every_public_loss_is_documented(module):
  found = build.entries(module)
  assert found
  assert [build.problem(e) for e in found if build.problem(e)] == []
  assert all(getattr(losses, e.name) is e.function for e in found)


@pytest.mark.parametrize(
  ('cut', 'sentence'),
  [
    (_WHOLE, 'has no docstring'),
    ('  Σ x / 2.\n\n', 'no formula'),
    ('  Returns:\n    Scalar.\n\n', "no section 'Returns'"),
    ('  >>> 1\n  1\n', 'no example'),
    ('    x: [B, D] numbers.\n', "does not document its argument 'x'"),
  ],
)
def test_a_missing_part_is_named_and_stops_the_build(
  cut, sentence, monkeypatch, tmp_path, capsys
):
  whole, lacking = _module(_WHOLE), _module(_WHOLE.replace(cut, ''))
  assert build.problem(_entry(whole, 'half')) == ''
  monkeypatch.setattr(build, 'modules', lambda: [lacking])
  assert build.main([f'--out={tmp_path}']) == 1
  error = capsys.readouterr().err
  assert sentence in error
  assert 'sslax.losses.made_up.half' in error
  assert not list(tmp_path.iterdir())


def test_the_page_shows_formula_source_deviations_and_index(
  monkeypatch, tmp_path
):
  monkeypatch.setattr(build, 'modules', lambda: [multimodal])
  assert build.main([f'--out={tmp_path}']) == 0
  text = (tmp_path / 'losses.html').read_text()
  for part in (
    'CLIP: symmetric cross-entropy',
    '(y<sub>ij</sub> (s·i<sub>i</sub>·t<sub>j</sub> + b))',
    '<a href="https://arxiv.org/abs/2303.15343">',
    '<h4>Deviations</h4>',
    '<dt>two modalities</dt>',
    'href="#mil_nce"',
    'id="mil_nce"',
  ):
    assert part in text, part


@pytest.mark.parametrize(
  ('formula', 'shown'),
  [
    ('Σ_{k≠i} e^{s_ik/τ}', 'Σ<sub>k≠i</sub> e<sup>s<sub>ik</sub>/τ</sup>'),
    ('x^(a + (b)) < y_i', 'x<sup>a + (b)</sup> &lt; y<sub>i</sub>'),
    ('Σ^-½ and P_·l', 'Σ<sup>-½</sup> and P<sub>·l</sub>'),
    ('`ops.k_means` of', '<code>ops.k&#95;means</code> of'),
    ('mil_nce + log_p', '<code>mil&#95;nce</code> + log<sub>p</sub>'),
  ],
)
def test_formulas_have_sub_and_superscripts(formula, shown):
  assert build._formula(formula) == shown


def test_needs_follow_from_arguments_and_family():
  assert build.needs(_entry(distillation, 'byol')) == ['no negatives']
  assert build.needs(_entry(multimodal, 'clip')) == ['two modalities']
  ring = _entry(mutual_information, 'restricted_infonce')
  assert build.needs(ring) == ['queue or bank', 'bounds on information']


def test_the_index_by_need_names_families_that_exist():
  families = {build._family(module) for module in build.modules()}
  for need, named in build._FAMILIES.items():
    assert named <= families, need


def test_the_picture_is_the_loss_against_the_similarity():
  label, x, values, gradients = build.curve(_entry(distillation, 'byol'), 5)
  assert label == 'similarity of the pairs'
  np.testing.assert_allclose(values[1:-1], 2 - 2 * x[1:-1], atol=1e-5)
  np.testing.assert_allclose(gradients[1:-1], -2, atol=1e-5)
  scores = _entry(mutual_information, 'infonce_bound')
  _, x, values, gradients = build.curve(scores, 3)
  expected = np.log(8) + x - np.log(np.exp(x) + 7)
  np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(gradients, 7 / (np.exp(x) + 7), rtol=1e-5)
  assert build.curve(_entry(multimodal, 'mil_nce')) is None
