"""Start from existing weights: another run's, or a .safetensors file."""

import pathlib
from typing import Any

import jax

from sslax import encoder, export
from sslax.errors import BadInputError
from sslax.train import TrainState


def load_weights(path: str, like: TrainState) -> TrainState:
  """Puts weights from a workdir or a .safetensors file into a fresh state.

  From a workdir of the same networks all parameters and the method's state are
  taken; from a file, the encoder. Step and optimizer start anew.

  Args:
    path: the config's `init_from`.
    like: a fresh TrainState, placed on devices.

  Raises:
    BadInputError: nothing there, or weights of other networks.
  """
  source = pathlib.Path(path)
  if source.is_dir():
    return _from_workdir(source, like)
  if source.is_file() and source.suffix == '.safetensors':
    return _from_file(source, like)
  raise BadInputError(
    f'init_from is {path!r}; it must be the workdir of a run or a'
    ' .safetensors file, and neither is there'
  )


def _from_workdir(workdir: pathlib.Path, like: TrainState) -> TrainState:
  loaded = encoder.load(workdir).train_state
  return like._replace(
    params=_placed(loaded.params, like.params, workdir),
    state=_placed(loaded.state, like.state, workdir),
  )


def _from_file(file: pathlib.Path, like: TrainState) -> TrainState:
  params, stats = export.from_timm(export.read_safetensors(file))
  weights = _placed(params, like.params['encoder'], file)
  new_stats = _placed(stats, like.state.stats['encoder'], file)
  state = like.state._replace(stats={**like.state.stats, 'encoder': new_stats})
  return like._replace(params={**like.params, 'encoder': weights}, state=state)


def _placed(tree: Any, like: Any, file) -> Any:
  """Gives a tree of numpy arrays the dtypes and shardings of another."""
  if jax.tree.structure(tree) != jax.tree.structure(like) or any(
    a.shape != b.shape
    for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(like), strict=True)
  ):
    raise BadInputError(
      f'init_from={file} holds weights of other networks than this config'
      ' describes'
    )
  return jax.tree.map(
    lambda a, b: jax.device_put(a.astype(b.dtype), b.sharding), tree, like
  )
