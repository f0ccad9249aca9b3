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

  def __init__(self, parts: build.Parts, train_state: train.TrainState):
    self.net = parts.encoder
    self.params = train_state.params['encoder']
    self.stats = train_state.state.stats['encoder']
    self.config = parts.config
    self.step = int(train_state.step)
    self.parts = parts
    self.train_state = train_state
    embed = parts.extractor.jitted(parts.method.features)
    self.embed = functools.partial(embed, train_state.params, train_state.state)

  def __call__(self, images, batch_size: int = 256) -> np.ndarray:
    """Embeds images.

    Args:
      images: [B, H, W, 3], uint8, or float in [0, 1]. They are resized to what
        the encoder was trained on.
      batch_size: images at a time.

    Returns:
      [B, D] float32 (float64 for an encoder trained in float64).

    Raises:
      ValueError: another shape or dtype.
    """
    images = _as_uint8(images)
    batch_size = -(-min(batch_size, len(images)) // self.parts.mesh.size)
    batch_size *= self.parts.mesh.size
    return np.concatenate(
      [
        self._batch(images[i : i + batch_size], batch_size)
        for i in range(0, len(images), batch_size)
      ]
    )

  def _batch(self, images: np.ndarray, batch_size: int) -> np.ndarray:
    padding = ((0, batch_size - len(images)), (0, 0), (0, 0), (0, 0))
    padded = {'image': np.pad(images, padding)}
    placed = sharding.place(self.parts.mesh, padded)['image']
    return np.asarray(self.embed(placed))[: len(images)]

  def at_random_init(self) -> train.TrainState:
    """Returns the state that the run started from, made anew."""
    example = _example(self.parts, jnp.zeros)
    init = train.make_init(
      self.parts.method,
      self.parts.tx,
      self.parts.views,
      example,
      seed=self.config.seed,
      mesh=self.parts.mesh,
    )
    return init(example)


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
  like = abstract_state(parts)
  with checkpoint.manager(workdir, read_only=True) as checkpoints:
    train_state = checkpoint.restore_latest(checkpoints, like)
  if train_state is None:
    raise BadInputError(f'{workdir} holds no checkpoint yet')
  return Encoder(parts, train_state)


def abstract_state(parts: build.Parts) -> train.TrainState:
  """Returns the shapes and shardings of a run's state, without its data."""
  return train.init_shapes(
    parts.method,
    parts.tx,
    parts.views,
    _example(parts, jax.ShapeDtypeStruct),
    mesh=parts.mesh,
  )


def _example(parts: build.Parts, make):
  """Returns a batch of the shapes that size the parameters."""
  size = parts.extractor.size
  return {'image': make((parts.mesh.size, size, size, 3), jnp.uint8)}


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
