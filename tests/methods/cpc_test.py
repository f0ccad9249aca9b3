"""CPC: a column of patches is a sequence, predicted from above only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import losses
from sslax.errors import BadInputError
from sslax.methods.cpc import cpc
from sslax.nets import Net
from tests.methods import toy

_SIZE = 20  # five rows and columns of patches of four pixels


def _means():
  """A network whose features are the mean color of a patch, and a bias."""

  def apply(params, stats, x, *, train, rng=None):
    del train, rng
    return x.mean((1, 2)) + params['bias'][None], stats

  return Net(lambda rng, x: ({'bias': jnp.zeros(3)}, {}), apply)


def _method(**kwargs):
  arguments = {
    'patch_size': 4, 'stride': 4, 'jitter': 0, 'rows_ahead': (1, 3),
    'target_size': 3, 'width': 4,
  }  # fmt: skip
  return cpc(_means(), **{**arguments, **kwargs})


@pytest.fixture(scope='module')
def setup():
  method = _method()
  batch = {
    'views': (jax.random.normal(jax.random.key(0), (2, _SIZE, _SIZE, 3)),)
  }
  return method, batch, *method.init(jax.random.key(1), batch)


def _loss(method, params, state, batch):
  return method.loss(
    params, state, batch, rng=jax.random.key(2), step=jnp.int32(0)
  )


def test_sequences_are_columns_read_downwards(setup, monkeypatch):
  """What reaches the loss, where targets are the colors of the patches."""
  method, _, params, state = setup
  seen = []
  monkeypatch.setattr(
    losses,
    'cpc',
    lambda p, t, *, num_steps_ahead: seen.append((t, num_steps_ahead)) or 0.0,
  )
  identity = {'linear1': {'kernel': jnp.eye(3)}}
  rows, columns = np.meshgrid(*[np.arange(_SIZE) // 4] * 2, indexing='ij')
  image = np.stack([rows, columns, np.zeros_like(rows)], -1)
  images = np.stack([image, image + np.array([0, 0, 1])]).astype(np.float32)
  _loss(
    method,
    {**params, 'target': identity},
    state,
    {'views': (jnp.asarray(images),)},
  )
  assert [k for _, k in seen] == [1, 3]
  targets = np.asarray(seen[0][0])
  assert targets.shape == (2 * 5, 5, 3)
  for image in range(2):
    for column in range(5):
      for row in range(5):
        np.testing.assert_allclose(
          targets[5 * image + column, row], [row, column, image], atol=1e-6
        )


def test_a_prediction_sees_nothing_of_the_rows_that_it_predicts(
  setup, monkeypatch
):
  method, batch, params, state = setup

  def first_predictions(view):
    seen = []
    monkeypatch.setattr(
      losses, 'cpc', lambda p, t, *, num_steps_ahead: seen.append(p) or 0.0
    )
    _loss(method, params, state, {'views': (view,)})
    return np.asarray(seen[0])[:, 1]

  view = batch['views'][0]
  before = first_predictions(view)
  below = first_predictions(view.at[:, 8:].add(1.0))
  above = first_predictions(view.at[:, :8].add(1.0))
  np.testing.assert_array_equal(before, below)
  assert np.abs(before - above).max() > 1e-6


def test_features_are_the_mean_over_patches(setup):
  method, batch, params, state = setup
  view = batch['views'][0]
  np.testing.assert_allclose(
    method.features(params, state, view), view.mean((1, 2)), atol=1e-6
  )


def test_without_negatives_all_targets_become_one_point(monkeypatch):
  """Targets that are only drawn to their predictions."""

  def attract(predictions, targets, *, num_steps_ahead):
    gap = predictions[:, :-num_steps_ahead] - targets[:, num_steps_ahead:]
    return jnp.mean(jnp.sum(gap**2, -1))

  views = jax.random.normal(jax.random.key(3), (16, _SIZE, _SIZE, 3))
  monkeypatch.setattr(toy, 'views', lambda rng: (views,))
  first, *_, last = toy.trained(_method(), 40, 0.1)['target_std']
  assert last > first
  monkeypatch.setattr(losses, 'cpc', attract)
  first, *_, last = toy.trained(_method(), 40, 0.1)['target_std']
  assert last < 0.1 * first


def test_the_picture_is_brightest_where_the_score_is_highest(setup):
  method, batch, params, state = setup
  (picture,) = method.pictures(params, state, batch, rng=jax.random.key(4))
  (chances,) = picture.columns
  assert chances.shape == (2, 5, 5, 1)
  np.testing.assert_allclose(np.max(chances, (1, 2, 3)), 1)
  assert np.min(chances) > 0


@pytest.mark.parametrize('rows_ahead', [(0, 1), (5,)])
def test_rows_that_the_grid_does_not_have_are_refused(rows_ahead, setup):
  with pytest.raises(BadInputError, match='some of 1 to 4'):
    _method(rows_ahead=rows_ahead).init(jax.random.key(0), setup[1])
