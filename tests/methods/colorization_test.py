"""Colorization: what the encoder sees, and how much each color counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.data.views import IMAGENET_MEAN, IMAGENET_STD, normalize
from sslax.errors import BadInputError
from sslax.methods.colorization import colorization
from sslax.nets import resnet
from sslax.ops.color_bins import AB_BINS
from sslax.ops.color_space import lab_to_rgb, rgb_to_lab

_SIZE = 8
_BIN = AB_BINS.tolist().index([20.0, 30.0])


def _method(num_doublings=0):
  encoder = resnet(width=8, stem='small_stride2', stage_sizes=(1, 1))
  return colorization(
    encoder, tap='stage2', num_doublings=num_doublings, width=8
  )


def _view(lab):
  """A batch whose images have one color of Lab each."""
  rgb = lab_to_rgb(jnp.asarray(lab, jnp.float32))
  image = jnp.broadcast_to(rgb[:, None, None], (len(rgb), _SIZE, _SIZE, 3))
  view = normalize(image, IMAGENET_MEAN, IMAGENET_STD, 'float32')
  return {'views': (view,)}


def _loss(method, params, state, batch, step=0):
  return jax.jit(method.loss)(
    params, state, batch, rng=jax.random.key(1), step=jnp.int32(step)
  )


@pytest.fixture(scope='module')
def setup():
  method = _method()
  batch = _view([(50, 40, 20), (60, -30, 30), (55, 0, 0), (60, 40, 20)])
  return method, batch, *method.init(jax.random.key(0), batch)


def test_the_encoder_does_not_see_colors(setup):
  """Colors of one lightness give the same features."""
  method, _, params, state = setup
  views = _view([(60, 30, 10), (60, -20, 20), (60, 0, 0), (30, 0, 0)])
  features = np.asarray(
    jax.jit(method.features)(params, state, views['views'][0])
  )
  np.testing.assert_allclose(features[0], features[1], rtol=0.02, atol=0.02)
  np.testing.assert_allclose(features[0], features[2], rtol=0.02, atol=0.02)
  assert np.abs(features[0] - features[3]).max() > 0.1


def test_the_prior_is_the_mean_of_all_colors_that_were_seen(setup):
  method, batch, params, state = setup
  assert state.prior.shape == (313,)
  _, (first, _) = _loss(method, params, state, batch)
  # Three of four images have a color, two of them the same; each is shared by
  # five bins, the nearest of which has most.
  top = AB_BINS[np.argsort(-np.asarray(first.prior))[:3]]
  assert {(40, 20), (-30, 30), (0, 0)} == {tuple(b) for b in top.tolist()}
  other = _view([(50, 0, 60)] * 4)
  _, (second, _) = _loss(method, params, first, other, step=1)
  _, (alone, _) = _loss(method, params, state, other)
  expected = (np.asarray(first.prior) + np.asarray(alone.prior)) / 2
  np.testing.assert_allclose(second.prior, expected, atol=1e-6)
  np.testing.assert_allclose(np.sum(second.prior), 1, rtol=1e-5)


def test_gray_images_do_not_count_and_rare_colors_count_more(setup):
  method, _, params, state = setup

  def weight_of(prior, lab):
    only = _view(lab)
    _, (_, metrics) = _loss(
      method, params, state._replace(prior=prior), only, step=99
    )
    return metrics['weight']

  uniform = jnp.full(313, 1 / 313)
  assert weight_of(uniform, [(50, 0, 0)] * 4) == 0
  color = AB_BINS[_BIN]
  common = 0.5 * uniform + 0.5 * jnp.eye(313)[_BIN]
  lab = [(50, *color.tolist())] * 4
  assert weight_of(common, lab) < 0.1 * weight_of(uniform, lab)


def test_pictures_have_the_true_colors_where_they_are_predicted(setup):
  method, batch, params, state = setup
  final = params['decoder']['final']
  bias = jnp.zeros(313).at[_BIN].set(50.0)
  known = {
    **params,
    'decoder': {'final': {'kernel': 0 * final['kernel'], 'bias': bias}},
  }
  (picture,) = method.pictures(known, state, batch, rng=jax.random.key(2))
  gray, made, true = picture.columns
  assert gray.shape == (4, _SIZE, _SIZE, 1)
  image = batch['views'][0] * jnp.array(IMAGENET_STD)[None, None, None]
  image += jnp.array(IMAGENET_MEAN)[None, None, None]
  np.testing.assert_allclose(true, image, atol=3e-3)
  ab = np.asarray(rgb_to_lab(made))[..., 1:]
  np.testing.assert_allclose(
    ab, np.broadcast_to(AB_BINS[_BIN], ab.shape), atol=0.05
  )


def test_a_decoder_of_another_size_is_refused():
  with pytest.raises(BadInputError, match='num_doublings is 1'):
    _method(num_doublings=1).init(jax.random.key(0), _view([(50, 9, 9)]))
