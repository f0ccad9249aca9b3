"""Supervised training learns labels, and says when there are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.methods.supervised import supervised
from sslax.nets import mlp

_LABELS = jnp.arange(8) % 3


def _run(num_classes, labels=_LABELS):
  images = jax.random.normal(jax.random.key(0), (8, 2, 2, 1))
  method = supervised(mlp(hidden=(), features=4), num_classes=num_classes)
  batch = {'views': (images.reshape(8, -1),)}
  params, state = method.init(jax.random.key(1), batch)
  if labels is not None:
    batch['label'] = labels
  loss, (_, metrics) = method.loss(
    params, state, batch, rng=jax.random.key(2), step=jnp.int32(0)
  )
  return params, loss, metrics


def test_the_loss_is_that_of_the_labels():
  params, loss, metrics = _run(3)
  images = jax.random.normal(jax.random.key(0), (8, 4))
  x = np.asarray(images, np.float64)
  for part in ('encoder', 'head'):
    linear = params[part]['linear1']
    x = x @ np.asarray(linear['kernel']) + np.asarray(linear['bias'])
  p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
  expected = -np.mean([np.log(p[i, y]) for i, y in enumerate(_LABELS)])
  np.testing.assert_allclose(loss, expected, rtol=1e-5)
  assert metrics['accuracy'] == np.mean(x.argmax(1) == np.asarray(_LABELS))


def test_too_few_classes_are_not_trained_on():
  _, loss, _ = _run(2)
  assert np.isnan(loss)


def test_a_source_without_labels_is_refused():
  with pytest.raises(BadInputError, match=r'data\.labels=folders'):
    _run(3, labels=None)
