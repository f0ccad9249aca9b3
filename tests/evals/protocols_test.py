import numpy as np
import pytest
from scipy import stats

from sslax.errors import BadInputError
from sslax.evals import protocols
from sslax.evals.protocols import Features, Options

_RNG = np.random.default_rng(0)
_EVERYTHING = frozenset(protocols.NEEDS)


def run(name, **fields):
  return protocols.PROTOCOLS[name].run(Features(**fields), Options())


def test_sts_is_spearman_of_cosines():
  first, second = _RNG.standard_normal((2, 30, 5))
  scores = _RNG.random(30)
  cosines = [
    a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    for a, b in zip(first, second, strict=True)
  ]
  expected = stats.spearmanr(cosines, scores).statistic
  # Lengths say nothing.
  pairs = (first * 7, second * _RNG.uniform(1, 9, (30, 1)))
  found = run('sts', pairs=pairs, scores=scores)
  np.testing.assert_allclose(found, expected, rtol=1e-6)
  assert run('sts', pairs=pairs, scores=np.array(cosines)) > 0.999
  equal = np.ones((30, 5))
  assert run('sts', pairs=(equal, equal), scores=scores) == 0


def test_zero_shot_takes_the_nearest_prompt():
  prompts = np.eye(3)
  images = np.array([[5, 1, 0], [0.1, 0.3, 0.2], [0, 0, 1], [1, 0, 0]])
  labels = np.array([0, 1, 2, 2])
  found = run('zero_shot', images=images, prompts=prompts, test_labels=labels)
  assert found == 0.75


def test_text_retrieval_counts_an_equal_text_as_the_right_one():
  texts = np.eye(3)  # of four images two have the same text
  images = np.array([[1, 0, 0], [1, 0, 0.1], [0, 1, 2], [0, 0, 1]])
  own = np.array([0, 0, 1, 2])
  found = run('text_retrieval', images=images, texts=texts, text_of_image=own)
  assert found == 0.75


def test_chance_is_the_commonest_answer():
  assert protocols.chance(np.array([0, 1, 1, 2])) == 0.5


def test_everything_is_selected_where_everything_is_there():
  chosen = protocols.select(protocols.PROTOCOLS, has=_EVERYTHING)
  assert list(chosen) == list(protocols.PROTOCOLS)


@pytest.mark.parametrize(
  ('has', 'chosen'),
  [
    ({'labels'}, ['knn', 'linear']),
    ({'two views'}, ['retrieval', 'rankme']),
    ({'scores'}, ['sts', 'rankme']),
    ((), ['rankme']),
  ],
)
def test_without_labels_others_take_their_place(has, chosen):
  assert list(protocols.select(('knn', 'linear'), has=has)) == chosen


@pytest.mark.parametrize(
  ('name', 'missing', 'says'),
  [
    ('retrieval', 'two views', 'needs two different views'),
    ('sts', 'scores', 'needs pairs of texts with scores'),
    ('zero_shot', 'prompts', 'needs prompts of its classes'),
    ('zero_shot', 'towers', 'needs a tower for images'),
    ('text_retrieval', 'captions', 'needs images with texts'),
  ],
)
def test_what_is_missing_is_said(name, missing, says):
  with pytest.raises(BadInputError, match=f'{name}.*{says}'):
    protocols.select((name,), has=_EVERYTHING - {missing})


def test_missing_labels_are_refused_only_where_they_were_asked_for():
  with pytest.raises(
    BadInputError, match=r'knn.*labels.*use retrieval or rank'
  ):
    protocols.select(('knn',), has={'two views'}, explicit=True)
  with pytest.raises(BadInputError, match=r"'kn' .*mean 'knn'"):
    protocols.select(('kn',), has=_EVERYTHING)
