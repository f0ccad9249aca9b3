"""MAE: what is hidden is neither seen nor left out of the loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.methods.mae import mae
from sslax.nets import vit
from sslax.ops.patches import patchify

_SIDE = 4  # of a patch


def _encoder(**kwargs):
  sizes = {'width': 16, 'depth': 1, 'num_heads': 2, 'patch_size': _SIDE}
  return vit(**sizes, image_size=16, masking='drop', pool='mean', **kwargs)


def _method(**kwargs):
  return mae(
    _encoder(), decoder_width=16, decoder_depth=1, decoder_num_heads=2, **kwargs
  )


@pytest.fixture(scope='module')
def view():
  rng = np.random.default_rng(0)
  # Not square, and larger than what the learned positions would have.
  return jnp.asarray(rng.normal(size=(3, 16, 24, 3)), jnp.float32)


def _seen(method, params, state, view):
  """Columns of the picture: what the encoder sees, the reconstruction."""
  [picture] = method.pictures(
    params, state, {'views': (view,)}, rng=jax.random.key(1)
  )
  assert picture.columns[2] is view
  return picture.columns[:2]


@pytest.mark.parametrize('normalize_pixels', [False, True])
def test_the_loss_is_the_error_of_the_hidden_patches(view, normalize_pixels):
  method = _method(normalize_pixels=normalize_pixels)
  params, state = method.init(jax.random.key(0), {'views': (view,)})
  seen, filled = _seen(method, params, state, view)
  value, _ = method.loss(
    params, state, {'views': (view,)}, rng=jax.random.key(1), step=0
  )
  seen, filled, true = (np.asarray(patchify(x, _SIDE), np.float64)
                        for x in (seen, filled, view))  # fmt: skip
  hidden = (seen == 0).all(-1)
  np.testing.assert_array_equal(hidden.sum(1), 18)  # of 24
  assert not np.array_equal(hidden[0], hidden[1])
  error = filled - true
  np.testing.assert_array_equal(error[~hidden], 0)
  if normalize_pixels:
    error = error / true.std(-1, ddof=1, keepdims=True)
  np.testing.assert_allclose(value, (error[hidden] ** 2).mean(), rtol=1e-4)


def test_predictions_do_not_depend_on_what_is_hidden(view):
  method = _method(normalize_pixels=False)
  params, state = method.init(jax.random.key(0), {'views': (view,)})
  seen, filled = _seen(method, params, state, view)
  other = jnp.where(seen == 0, 5.0, view)
  np.testing.assert_array_equal(_seen(method, params, state, other)[1], filled)
  brighter = jnp.where(seen == 0, view, view + 1)
  assert (_seen(method, params, state, brighter)[1] != filled).all()


def test_masks_change_with_the_step(view):
  method = _method()
  params, state = method.init(jax.random.key(0), {'views': (view,)})
  values = [
    method.loss(params, state, {'views': (view,)}, rng=rng, step=0)[0]
    for rng in jax.random.split(jax.random.key(0), 2)
  ]
  assert values[0] != values[1]


@pytest.mark.parametrize('mask_ratio', [0.0, 1.0])
def test_a_mask_of_nothing_or_all_is_refused(mask_ratio):
  with pytest.raises(BadInputError, match=f'method.mask_ratio is {mask_ratio}'):
    _method(mask_ratio=mask_ratio)


def test_an_encoder_without_a_class_token_is_refused(view):
  method = mae(_encoder(class_token=False))
  with pytest.raises(BadInputError, match='class_token is False'):
    method.init(jax.random.key(0), {'views': (view,)})
