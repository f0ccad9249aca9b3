"""A trained encoder as a Python function: `sslax.load(workdir)`."""

import functools
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sslax import build, checkpoint, sharding, train
from sslax import config as config_lib
from sslax import workdir as workdir_lib
from sslax.errors import BadInputError
from sslax.nets.net import Net


class Encoder:
  """A trained encoder: `encoder(images)` gives features `[B, D]`.

  Attributes:
    net: the encoder's network.
    params: its parameters.
    stats: its batch statistics.
    config: complete ConfigDict of the run.
    step: training steps behind the weights.
  """

  net: Net
  params: Any
  stats: Any

  def __init__(
    self, parts: build.Parts, train_state: train.TrainState, example
  ):
    self.net = parts.encoder
    self.params = train_state.params['encoder']
    self.stats = train_state.state.stats['encoder']
    self.config = parts.config
    self.step = int(train_state.step)
    self.parts = parts
    self.train_state = train_state
    self._example = example
    embed = parts.extractor.jitted(parts.method.features)
    self.embed = functools.partial(embed, train_state.params, train_state.state)

  def __call__(self, inputs, batch_size: int = 256) -> np.ndarray:
    """Embeds images, or what else the encoder was trained on.

    Args:
      inputs: images [B, H, W, 3], uint8, or float in [0, 1], which are resized
        to what the encoder was trained on; or clips, sounds or tokens as the
        source of the run gives them.
      batch_size: inputs at a time.

    Returns:
      [B, D] float32 (float64 for an encoder trained in float64).

    Raises:
      ValueError: another shape or dtype.
    """
    reads = self.parts.views.reads
    inputs = _as_uint8(inputs) if reads == 'image' else np.asarray(inputs)
    batch_size = -(-min(batch_size, len(inputs)) // self.parts.mesh.size)
    batch_size *= self.parts.mesh.size
    return np.concatenate(
      [
        self._batch(inputs[i : i + batch_size], batch_size)
        for i in range(0, len(inputs), batch_size)
      ]
    )

  def _batch(self, inputs: np.ndarray, batch_size: int) -> np.ndarray:
    padding = ((0, batch_size - len(inputs)), *[(0, 0)] * (inputs.ndim - 1))
    padded = {'inputs': np.pad(inputs, padding)}
    placed = sharding.place(self.parts.mesh, padded)['inputs']
    return np.asarray(self.embed(placed))[: len(inputs)]

  def at_random_init(self) -> train.TrainState:
    """Returns the state that the run started from, made anew."""
    batch = _batch_of(self.parts, self._example, jnp.zeros)
    init = train.make_init(
      self.parts.method,
      self.parts.tx,
      self.parts.views,
      batch,
      seed=self.config.seed,
      mesh=self.parts.mesh,
    )
    return init(batch)


def load(workdir: str | pathlib.Path) -> Encoder:
  """Loads the encoder of a run, from its latest checkpoint.

  Args:
    workdir: folder of a run of `python -m sslax.main`.

  Raises:
    BadInputError: no run there, or no checkpoint yet.

  >>> encoder = sslax.load('runs/byol-photos')  # doctest: +SKIP
  >>> encoder(images).shape  # doctest: +SKIP
  (8, 64)
  """
  workdir = pathlib.Path(workdir)
  stored = workdir_lib.read_config(workdir)
  config = config_lib.from_dict(stored)
  config.mesh.fsdp = 1
  parts = build.build(config)
  with checkpoint.manager(workdir, read_only=True) as checkpoints:
    if checkpoints.latest_step() is None:
      raise BadInputError(f'{workdir} holds no checkpoint yet')
    about = checkpoint.about(checkpoints, checkpoints.latest_step())
    like = abstract_state(parts, about['example'])
    train_state = checkpoint.restore_latest(checkpoints, like)
  return Encoder(parts, train_state, about['example'])


def abstract_state(parts: build.Parts, example) -> train.TrainState:
  """Returns the shapes and shardings of a run's state, without its data.

  Args:
    parts: from sslax.build.
    example: key of the batch -> shape and dtype of one example.
  """
  batch = _batch_of(parts, example, jax.ShapeDtypeStruct)
  return train.init_shapes(
    parts.method, parts.tx, parts.views, batch, mesh=parts.mesh
  )


def _batch_of(parts: build.Parts, example, make):
  """Returns a batch of the shapes that size the parameters."""
  rows = parts.mesh.size
  return {
    key: _made(said, lambda one: make((rows, *one['shape']), one['dtype']))
    for key, said in example.items()
  }


def _made(said, make):
  """Makes an entry of a batch, which of crops from the host is a tuple."""
  return make(said) if 'shape' in said else tuple(map(make, said))


def _as_uint8(images) -> np.ndarray:
  images = np.asarray(images)
  if images.ndim != 4 or images.shape[-1] != 3:
    raise ValueError(
      f'images has shape {list(images.shape)}; expected [B, H, W, 3]'
    )
  if images.dtype == np.uint8:
    return images
  if images.size and (images.min() < 0 or images.max() > 1):
    raise ValueError(
      f'images is {images.dtype} in [{images.min():.3g}, {images.max():.3g}];'
      ' expected uint8, or floats in [0, 1]'
    )
  return np.round(images * 255).astype(np.uint8)
