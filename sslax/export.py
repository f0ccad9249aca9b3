"""Backbones for other ecosystems: `python -m sslax.export --help`.

A ResNet is written as safetensors with the parameter names of timm and
torchvision. Reading such a file gives sslax's parameters back.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from sslax.errors import BadInputError
from sslax.nets.net import Net

_LEAVES = {  # of a normalization layer: timm's name -> ours
  'weight': 'scale',
  'bias': 'bias',
  'running_mean': 'mean',
  'running_var': 'var',
}
_OUR_LEAVES = {ours: timm for timm, ours in _LEAVES.items()}
_LAYER = r'(?:layer(\d+)[._](\d+)[./])?'
_OUR_NAME = re.compile(_LAYER + r'(conv\d|bn\d|downsample_(?:conv|bn))/(\w+)')
_TIMM_NAME = re.compile(_LAYER + r'(conv\d|bn\d|downsample\.[01])\.(\w+)')
_DOWNSAMPLE = {
  'downsample_conv': 'downsample.0',
  'downsample_bn': 'downsample.1',
}
_OUR_DOWNSAMPLE = {timm: ours for ours, timm in _DOWNSAMPLE.items()}


def to_timm(params: Any, stats: Any) -> dict[str, np.ndarray]:
  """Names a ResNet's parameters and statistics as timm and torchvision do.

  Args:
    params: parameters of `sslax.nets.resnet`, of any depth and width.
    stats: its batch statistics.

  Returns:
    timm's name -> array; convolution kernels are [out, in, height, width].

  Raises:
    BadInputError: where a parameter is not that of a ResNet.
  """
  tensors = {}
  for path, leaf in jax.tree.leaves_with_path((params, stats)):
    ours = '/'.join(str(key.key) for key in path[1:])
    match = _OUR_NAME.fullmatch(ours)
    if not match:
      raise BadInputError(
        f"the network's parameter '{ours}' is not that of a ResNet; only"
        ' net.name=resnet can be exported with timm names'
      )
    stage, block, layer, leaf_name = match.groups()
    prefix = f'layer{stage}.{block}.' if stage else ''
    array = np.asarray(leaf)
    if leaf_name == 'kernel':
      array, leaf_name = array.transpose(3, 2, 0, 1), 'weight'
    else:
      leaf_name = _OUR_LEAVES[leaf_name]
    name = f'{prefix}{_DOWNSAMPLE.get(layer, layer)}.{leaf_name}'
    # safetensors writes the memory as it lies, so a view must be copied
    tensors[name] = np.ascontiguousarray(array)
  return tensors


def from_timm(tensors: Mapping[str, np.ndarray]) -> tuple[Any, Any]:
  """Turns a timm or torchvision ResNet's tensors into (params, stats).

  Args:
    tensors: name -> array, such as a state_dict as numpy arrays. The
      classifier (`fc`) and the counters (`num_batches_tracked`) are left out.

  Returns:
    params and stats of `sslax.nets.resnet`, in the dtype given.

  Raises:
    BadInputError: where a name is not that of a plain ResNet.
  """
  params, stats = {}, {}
  for name, array in tensors.items():
    if name.startswith('fc.') or name.endswith('.num_batches_tracked'):
      continue
    match = _TIMM_NAME.fullmatch(name)
    convolution = np.ndim(array) == 4
    if not match or not (convolution or match[4] in _LEAVES):
      raise BadInputError(f"tensor '{name}' is not that of a timm ResNet")
    stage, block, layer, leaf = match.groups()
    leaf = 'kernel' if convolution else _LEAVES[leaf]
    array = np.asarray(array)
    array = array.transpose(2, 3, 1, 0) if convolution else array
    tree = stats if leaf in ('mean', 'var') else params
    if stage:
      tree = tree.setdefault(f'layer{stage}_{block}', {})
    layer = _OUR_DOWNSAMPLE.get(layer, layer)
    tree.setdefault(layer, {})[leaf] = array
  return params, stats


def write_safetensors(
  path: str | os.PathLike,
  params: Any,
  stats: Any,
  metadata: Mapping[str, str] | None = None,
) -> None:
  """Writes a ResNet with timm's names; the file is whole or not there.

  Args:
    path: the file to write.
    params: parameters of `sslax.nets.resnet`.
    stats: its batch statistics.
    metadata: text that the file's header keeps.

  Raises:
    BadInputError: where the network is not a ResNet, or path is not writable.
  """
  with _atomic(path) as temporary:
    _save(temporary, params, stats, metadata)


def read_safetensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """Reads a file of tensors; `from_timm` turns them into (params, stats).

  Args:
    path: a file of `write_safetensors`, or of timm's own ResNets.

  Raises:
    BadInputError: where the file is absent or damaged.
  """
  try:
    return safetensors.numpy.load_file(path)
  except (OSError, safetensors.SafetensorError) as error:
    raise BadInputError(
      f'{path} cannot be read as safetensors: {error}'
    ) from error


def verified_export(
  encoder: Net,
  params: Any,
  stats: Any,
  path: str | os.PathLike,
  example: Any,
  metadata: Mapping[str, str] | None = None,
) -> None:
  """Writes a ResNet, unless what is read back gives other features.

  Args:
    encoder: the network of params and stats.
    params: its parameters.
    stats: its batch statistics.
    path: the file to write; left as it was where the check fails.
    example: [B, H, W, C], inputs to compare features on.
    metadata: text that the file's header keeps.

  Raises:
    BadInputError: where the network is not a ResNet, or path is not writable.
    RuntimeError: where the features differ, or are not finite.
  """

  @jax.jit
  def features(params, stats):
    return encoder.apply(params, stats, example, train=False)[0]

  # on the host, as what is read back: so that both run as one program
  params, stats = jax.tree.map(np.asarray, (params, stats))
  want = features(params, stats)
  if not all(np.isfinite(x).all() for x in jax.tree.leaves(want)):
    raise RuntimeError(
      f'{path} is not written: the features of the encoder are not finite'
    )
  with _atomic(path) as temporary:
    _save(temporary, params, stats, metadata)
    got = features(*from_timm(read_safetensors(temporary)))
    if not all(jax.tree.leaves(jax.tree.map(np.array_equal, want, got))):
      raise RuntimeError(
        f'{path} is not written: weights read back from it give other features'
      )


def _save(path, params, stats, metadata):
  # torch reads the file; its loaders look for this key
  metadata = {'format': 'pt', **(metadata or {})}
  safetensors.numpy.save_file(to_timm(params, stats), path, metadata)


@contextlib.contextmanager
def _atomic(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields a temporary file's path, renamed to path if all goes well."""
  path = pathlib.Path(path)
  try:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.export') as new:
      yield pathlib.Path(new) / path.name
      os.replace(pathlib.Path(new) / path.name, path)
  except (OSError, safetensors.SafetensorError) as error:
    raise BadInputError(f'{path} cannot be written: {error}') from error


def parser() -> argparse.ArgumentParser:
  """Returns the command line of this program."""
  p = argparse.ArgumentParser(
    prog='python -m sslax.export',
    description="Write a run's encoder for other libraries.",
    epilog="safetensors: a ResNet with timm's and torchvision's names, to load"
    ' with load_state_dict (no classifier). The header keeps the network and'
    ' the mean and std of the inputs. Nothing is written unless the weights'
    ' read back give the same features.',
    allow_abbrev=False,
  )
  p.add_argument('--workdir', required=True, help='folder of a run')
  p.add_argument(
    '--to', choices=['safetensors'], default='safetensors', help='file format'
  )
  p.add_argument('--out', help='file (default: WORKDIR/encoder.safetensors)')
  p.add_argument('--debug', action='store_true', help='show tracebacks')
  return p


def main(argv: list[str]) -> int:
  """Runs the command line; returns an exit code."""
  arguments = parser().parse_args(argv)
  workdir = pathlib.Path(arguments.workdir).expanduser()
  out = workdir / 'encoder.safetensors'
  if arguments.out:
    out = pathlib.Path(arguments.out).expanduser()
  from sslax.encoder import load

  encoder = load(workdir)
  size = encoder.parts.extractor.size
  example = np.random.default_rng(0).normal(size=(2, size, size, 3))
  verified_export(
    encoder.net,
    encoder.params,
    encoder.stats,
    out,
    example.astype(np.float32),
    _metadata(encoder),
  )
  print(f'wrote {out}: the same features when read back')
  return 0


def _metadata(encoder):
  views = encoder.config.views
  return {
    'net': json.dumps(encoder.config.net.to_dict()),
    'mean': json.dumps([float(x) for x in views.mean]),
    'std': json.dumps([float(x) for x in views.std]),
    'step': str(encoder.step),
  }


if __name__ == '__main__':
  from sslax.cli import run_main

  sys.exit(run_main(main))
