"""Small pictures inside a page: pixels as base64 PNG."""

import base64
import html
import io

import numpy as np
from PIL import Image

_MAX_SIDE = 160  # pixels; larger images are shrunk


def picture(
  image, alt: str, kind: str = '', *, max_side: int = _MAX_SIDE
) -> str:
  """Returns an <img> that carries its pixels.

  Args:
    image: [H, W, 3] or [H, W] uint8, or the bytes of a PNG file.
    alt: what it shows, in words.
    kind: class names of the page's style.
    max_side: longer sides are shrunk to it, in pixels.
  """
  if not isinstance(image, bytes):
    image = _png(np.asarray(image), max_side)
  data = base64.b64encode(image).decode()
  return (
    f'<img class="{html.escape(kind)}" alt="{html.escape(alt)}"'
    f' src="data:image/png;base64,{data}">'
  )


def _png(image: np.ndarray, max_side: int) -> bytes:
  if image.ndim == 3 and image.shape[-1] == 1:
    image = image[..., 0]
  drawn = Image.fromarray(image)
  drawn.thumbnail((max_side, max_side))
  stream = io.BytesIO()
  drawn.save(stream, 'PNG', optimize=True)
  return stream.getvalue()
