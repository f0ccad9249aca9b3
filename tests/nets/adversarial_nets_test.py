"""Decoders and discriminators: shapes, ranges, and what they depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.nets.deconv import deconv
from sslax.nets.discriminator import discriminator
from sslax.nets.resnet import resnet
from sslax.nets.tapped import tapped
from sslax.nets.upsampler import upsampler


def _made(net, *inputs):
  params, stats = net.init(jax.random.key(0), *inputs)
  apply = jax.jit(lambda p, *x: net.apply(p, stats, *x, train=True))
  return params, apply


def test_deconv_makes_images_of_codes_and_of_maps():
  codes = jax.random.normal(jax.random.key(1), (2, 5))
  params, apply = _made(deconv(size=16, width=4, channels=2), codes)
  images, _ = apply(params, codes)
  assert images.shape == (2, 16, 16, 2)
  assert np.abs(images).max() < 1
  maps = jax.random.normal(jax.random.key(2), (2, 2, 2, 3))
  params, _ = _made(deconv(size=8, width=4, bottleneck=6), maps)
  assert params['bottleneck']['kernel'].shape == (12, 6)
  assert params['linear']['kernel'].shape == (6, 16 * 4)


def test_upsampler_doubles_and_keeps_places():
  """What is far away does not reach a place."""
  maps = jax.random.normal(jax.random.key(3), (2, 6, 6, 3))
  params, apply = _made(upsampler(num_doublings=1, width=4, channels=7), maps)
  outputs, _ = apply(params, maps)
  assert outputs.shape == (2, 12, 12, 7)
  net = upsampler(num_doublings=1, width=4, channels=7)
  _, stats = net.init(jax.random.key(0), maps)
  gradient = jax.grad(
    lambda x: net.apply(params, stats, x, train=False)[0][0, 0, 0].sum()
  )(maps)
  assert np.any(gradient[0, 0, 0])
  assert not np.any(gradient[0, 3:])


def test_discriminator_judges_images_and_pairs():
  images = jax.random.normal(jax.random.key(4), (3, 16, 16, 3))
  codes = jax.random.normal(jax.random.key(5), (3, 4))
  params, apply = _made(discriminator(width=4), images)
  assert apply(params, images)[0].shape == (3,)
  assert not any(name.startswith('code') for name in params)
  params, apply = _made(discriminator(width=4), images, codes)
  logits, _ = apply(params, images, codes)
  others, _ = apply(params, images, codes[::-1])
  assert logits.shape == (3,)
  assert np.abs(logits - others).max() > 1e-5


def test_a_tapped_network_gives_the_map_in_the_place_of_the_features():
  images = jnp.ones((2, 8, 8, 3))
  net = resnet(width=8, stem='small', stage_sizes=(1, 1))
  params, stats = net.init(jax.random.key(6), images)
  both, _ = net.apply(
    params, stats, images, train=False, taps=('stage2', 'features')
  )
  tapped_params, _ = tapped(net, 'stage2').init(jax.random.key(6), images)
  jax.tree.map(np.testing.assert_array_equal, params, tapped_params)
  found, _ = tapped(net, 'stage2').apply(params, stats, images, train=False)
  np.testing.assert_array_equal(found, both['stage2'])


def test_sizes_that_cannot_be_are_refused():
  with pytest.raises(BadInputError, match='power of two'):
    deconv(size=24)
  with pytest.raises(BadInputError, match='num_doublings'):
    upsampler(num_doublings=-1)
