"""Files of JSON lines that a kill at any moment leaves readable.

One flat object a line, in valid JSON: a value that is not finite is written as
null and read as None. A line is appended in one write, so that a killed run
leaves at most one torn line, the last, which reading leaves out.
"""

import json
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from sslax import workdir


def read_lines(path: str | pathlib.Path) -> list[dict[str, Any]]:
  """Reads a file of JSON lines; no file has no lines.

  Args:
    path: of the file. A torn last line (no line end) is left out.
  """
  try:
    data = pathlib.Path(path).read_bytes()
  except FileNotFoundError:
    return []
  whole = data[: data.rfind(b'\n') + 1]
  return [json.loads(line) for line in whole.splitlines() if line]


def append_line(path: pathlib.Path, row: Mapping[str, Any]) -> None:
  """Appends one object as one line in one write; not finite becomes null."""
  with path.open('ab', buffering=0) as file:
    file.write(_line(row).encode())


def write_lines(path: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
  """Writes a file of lines whole or not at all."""
  workdir.write_text(path, ''.join(map(_line, rows)))


def _line(row: Mapping[str, Any]) -> str:
  plain = {key: _plain(value) for key, value in row.items()}
  return json.dumps(plain, allow_nan=False) + '\n'


def _plain(value: Any) -> Any:
  """Turns numpy scalars into Python's, and what is not finite into None."""
  value = value.item() if hasattr(value, 'item') else value
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value
