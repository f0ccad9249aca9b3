"""Features of a whole source, from any function of its examples."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from sslax import sharding
from sslax.data import pipeline
from sslax.data.source import Source
from sslax.ops.precision import at_least_float32

_COLUMN_ROWS = 1024  # at a time


class Extractor(NamedTuple):
  """Turns examples into features on a mesh.

  Attributes:
    prepare: what a source gives, such as uint8 images [B, H, W, 3] -> what the
      encoder sees.
    size: side of what the encoder sees, in pixels; None for sound and text.
    mesh: from sharding.make_mesh.
    batch_size: examples a step, over all devices.
    reads: the key of a batch that is prepared and embedded.
  """

  prepare: Callable
  size: int | None
  mesh: jax.sharding.Mesh
  batch_size: int = 512
  reads: str = 'image'

  def jitted(self, features: Callable) -> Callable:
    """Jits features(params, state, inputs) as a function of examples."""

    def embed(params, state, examples):
      return at_least_float32(features(params, state, self.prepare(examples)))

    return jax.jit(embed)


def of_source(
  extractor: Extractor,
  embed: Callable,
  source: Source,
  reads: str | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
  """Embeds every example of a source, in order.

  Args:
    extractor: sizes and mesh.
    embed: jitted, examples [B, ...] -> [B, D].
    source: what to embed.
    reads: the key that is embedded; default the extractor's.

  Returns:
    Features [N, D] and labels [N], or None where the source has none.
  """
  reads = reads or extractor.reads
  step = -(-extractor.batch_size // extractor.mesh.size) * extractor.mesh.size
  batches = pipeline.epoch(
    source,
    batch_size=step,
    image_size=extractor.size,
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )
  features, labels, kept = [], [], []
  for batch in sharding.feed(extractor.mesh, batches):
    features.append(sharding.to_host(embed(batch[reads])))
    kept.append(sharding.to_host(batch['mask']))
    if 'label' in batch:
      labels.append(sharding.to_host(batch['label']))
  kept = np.concatenate(kept)
  features = np.concatenate(features)[kept]
  return features, np.concatenate(labels)[kept] if labels else None


def of_array(mesh, embed: Callable, examples: np.ndarray) -> np.ndarray:
  """Embeds examples that every process holds.

  Args:
    mesh: from sharding.make_mesh.
    embed: jitted, examples [B, ...] -> [B, D].
    examples: [N, ...].

  Returns:
    [N, D].
  """
  missing = -len(examples) % mesh.size
  rows = np.arange(len(examples) + missing) % len(examples)
  share = len(rows) // jax.process_count()
  mine = examples[rows[jax.process_index() * share :][:share]]
  placed = sharding.place(mesh, {'rows': mine})['rows']
  return sharding.to_host(embed(placed))[: len(examples)]


def column(source: Source, key: str) -> np.ndarray:
  """Reads what every example of a source has under a key, on every process.

  Args:
    source: whose `fetch` gives the key.
    key: of a batch, such as 'score'.

  Returns:
    [N, ...].
  """
  size = min(_COLUMN_ROWS, source.num_examples)
  batches = pipeline.epoch(source, batch_size=size)
  return np.concatenate([batch[key][batch['mask']] for batch in batches])
