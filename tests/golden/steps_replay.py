"""Replays the recorded official steps of steps/ through a Method of sslax.

A recording holds the weights, views and hyper-parameters of five steps of the
official code, and what came out (steps/MANIFEST.md). A test builds the method
on `encoder`, with the recorded hyper-parameters, and compares what `run` gives.
All of it needs 64-bit types.
"""

import functools
import pathlib
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from sslax import train
from sslax.data.views import Views
from sslax.nets import Net, from_linen
from sslax.nets.norm import BatchNorm

NUM_STEPS = 5
_FOLDER = pathlib.Path(__file__).parent / 'steps'
_AS_RECORDED = Views((), lambda rng, views: views, None, None)


class Recording(NamedTuple):
  """Arrays of an .npz, by the names of the manifest."""

  arrays: dict[str, np.ndarray]

  def __getitem__(self, name) -> np.ndarray:
    return self.arrays[name]

  def hyper(self, name):
    """A hyper-parameter, as a plain number."""
    return self.arrays[f'hp_{name}'].item()

  def views(self, step) -> tuple[np.ndarray, ...]:
    """All views of a step, each [B, H, W, C]."""
    names = [n for n in self.arrays if n.startswith('views_')]
    return tuple(self.arrays[n][step] for n in sorted(names))

  def tree(self, prefix, at) -> dict:
    """The state `<prefix>.a.b` as {'a': {'b': array}}.

    Args:
      prefix: such as 'student', 'teacher_stats'.
      at: index of time, 0 before the first step; None for a state without.
    """
    tree = {}
    for name, array in self.arrays.items():
      if name.startswith(f'{prefix}.'):
        *parts, last = name.split('.')[1:]
        place = tree
        for part in parts:
          place = place.setdefault(part, {})
        place[last] = array if at is None else array[at]
    return tree


class After(NamedTuple):
  """What a step left, on the host."""

  params: dict
  state: NamedTuple
  metrics: dict


@functools.cache
def load(name: str) -> Recording:
  """Reads steps/<name>.npz."""
  with np.load(_FOLDER / f'{name}.npz', allow_pickle=False) as file:
    return Recording(dict(file))


def encoder(features: int, *, hidden: int = 12, norm: bool = False) -> Net:
  """The recordings' network of images [B, H, W, C], in float64.

  Args:
    features: size of the output.
    hidden: size of the hidden layer.
    norm: whether it is batch normalized.
  """
  return from_linen(_Encoder(features, hidden, norm))


class _Encoder(nn.Module):
  """Mean over pixels, linear, batch norm if asked, ReLU, linear."""

  features: int
  hidden: int
  norm: bool

  @nn.compact
  def __call__(self, inputs, train):
    dense = functools.partial(nn.Dense, param_dtype='float64')
    x = dense(self.hidden, name='linear1')(inputs.mean((1, 2)))
    if self.norm:
      x = BatchNorm('float64', name='norm1')(x, train)
    return dense(self.features, name='linear2')(nn.relu(x))


def run(method, tx, recording: Recording, fill) -> list[After]:
  """Takes five steps of train.make_step from the recorded start.

  Args:
    method: Method that reads `views`.
    tx: optimizer.
    recording: of the official code.
    fill: fresh method state -> the recorded one before the first step. The
      parameters are filled with `student` here.

  Returns:
    What each step left.
  """
  step = jax.jit(train.make_step(method, tx, _AS_RECORDED, seed=0))
  train_state = _start(method, tx, recording, fill)
  left = []
  for i in range(NUM_STEPS):
    batch = {_AS_RECORDED.reads: recording.views(i)}
    train_state, metrics = step(train_state, batch)
    after = After(train_state.params, train_state.state, metrics)
    left.append(jax.device_get(after))
  return left


def _start(method, tx, recording, fill):
  views = jax.tree.map(jnp.asarray, recording.views(0))
  fresh, state = method.init(jax.random.key(0), {'views': views})
  params = like(fresh, recording.tree('student', 0))
  state = like(state, fill(state))
  with jax.numpy_dtype_promotion('standard'):
    opt_state = tx.init(params)
  return train.TrainState(jnp.int32(0), params, opt_state, state)


def like(tree, values):
  """Puts values in the place of a tree of the same names, shapes and dtypes."""

  def put(old, new):
    wanted, given = ((x.shape, x.dtype) for x in (old, new))
    assert given == wanted
    return jnp.asarray(new)

  return jax.tree.map(put, tree, values)


def assert_close(actual, expected, *, atol: float = 1e-12):
  """Compares trees of the same names.

  Args:
    actual: tree of arrays.
    expected: tree of arrays.
    atol: largest difference of an element.
  """
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, rtol=0, atol=atol),
    actual,
    expected,
  )
