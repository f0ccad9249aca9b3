"""Embed a folder: `python -m sslax.embed --workdir=... --images=...`."""

import argparse
import pathlib
import sys

import numpy as np

from sslax.errors import BadInputError


def parser() -> argparse.ArgumentParser:
  """Returns the command line of this program."""
  p = argparse.ArgumentParser(
    prog='python -m sslax.embed',
    description='Write the embedding of every image of a folder.',
    epilog='The file holds `path` [N] and `embedding` [N, D].',
    allow_abbrev=False,
  )
  p.add_argument('--workdir', required=True, help='folder of a run')
  p.add_argument('--images', required=True, help='folder of images')
  p.add_argument('--out', required=True, help='FILE.npz or FILE.parquet')
  p.add_argument('--debug', action='store_true', help='show tracebacks')
  return p


def main(argv: list[str]) -> int:
  """Runs the command line; returns an exit code."""
  arguments = parser().parse_args(argv)
  out = pathlib.Path(arguments.out).expanduser()
  if out.suffix not in _WRITERS:
    raise BadInputError(
      f'--out={arguments.out} ends in {out.suffix!r}; it must end in'
      ' .npz or .parquet'
    )
  import sslax
  from sslax.data import folder
  from sslax.evals import features

  encoder = sslax.load(pathlib.Path(arguments.workdir).expanduser())
  source = folder.load(
    path=str(pathlib.Path(arguments.images).expanduser()),
    split='all',
    image_size=encoder.parts.extractor.size,
  )
  embeddings, _ = features.of_source(
    encoder.parts.extractor, encoder.embed, source
  )
  temporary = out.with_name(f'.{out.name}')
  _WRITERS[out.suffix](temporary, np.array(source.paths), embeddings)
  temporary.replace(out)
  print(f'wrote {len(embeddings)} embeddings [{embeddings.shape[1]}] to {out}')
  return 0


def _npz(file, paths, embeddings):
  with file.open('wb') as stream:
    np.savez_compressed(stream, path=paths, embedding=embeddings)


def _parquet(file, paths, embeddings):
  try:
    import pyarrow
    import pyarrow.parquet
  except ImportError:
    raise BadInputError(
      "--out=...parquet needs pyarrow: pip install 'sslax[export]', or use .npz"
    ) from None
  columns = {'path': paths, 'embedding': list(embeddings)}
  pyarrow.parquet.write_table(pyarrow.table(columns), file)


_WRITERS = {'.npz': _npz, '.parquet': _parquet}


if __name__ == '__main__':
  from sslax.cli import run_main

  sys.exit(run_main(main))
