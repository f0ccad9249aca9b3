"""One head on class tokens and patches of a transformer, crop by crop."""

import jax

from sslax.nets.autoencoder import num_patches
from sslax.nets.multi_crop import by_size, interleave, separate
from sslax.nets.net import Net


def project_tokens(encoder: Net, projector: Net, taps=('class', 'tokens')):
  """Applies a transformer, and one head to each kind of its tokens.

  Args:
    encoder: with these taps.
    projector: [..., D] -> [..., K].
    taps: names of the encoder's outputs.

  Returns:
    (params, stats, *inputs, train, rng) -> (tuple of projections, one for each
    tap, stats); params and stats have the parts `encoder` and `projector`.
  """

  def apply(params, stats, *inputs, train, rng=None):
    stats = dict(stats)
    seen, stats['encoder'] = encoder.apply(
      params['encoder'],
      stats['encoder'],
      *inputs,
      train=train,
      rng=rng,
      taps=taps,
    )
    outputs = []
    for tap in taps:
      made, stats['projector'] = projector.apply(
        params['projector'], stats['projector'], seen[tap], train=train
      )
      outputs.append(made)
    return tuple(outputs), stats

  return apply


def masked_crops(project):
  """Applies a network to crops, of which the first have patches hidden.

  Args:
    project: from `project_tokens`, of an encoder with masking='token'.

  Returns:
    (params, stats, views, masks, *, train, rng) -> (list of outputs, one for
    each view, stats). Views are [B, H, W, 3], those with a mask of one size and
    first; masks bool [B, N], 1 = hidden.
  """

  def apply(params, stats, views, masks, *, train, rng):
    first, second = jax.random.split(rng)
    masked, num = interleave(views[: len(masks)])
    outputs, stats = project(
      params, stats, masked, interleave(masks)[0], train=train, rng=first
    )
    rest, stats = by_size(project)(
      params, stats, views[len(masks) :], train=train, rng=second
    )
    return [*separate(outputs, num), *rest], stats

  return apply


def patch_grid(encoder: Net, images) -> tuple[int, int]:
  """Rows and columns of the patches that a transformer cuts an image into.

  Args:
    encoder: with a tap `tokens`, and square patches.
    images: [B, H, W, 3], or its shape and dtype.
  """
  height, width = images.shape[1:3]
  side = round((height * width / num_patches(encoder, images)) ** 0.5)
  return height // side, width // side


def hide_patches(encoder: Net, draw, **how):
  """Draws the masks of a batch of views.

  Args:
    encoder: with a tap `tokens`.
    draw: (rng, grid, **how) -> bool [N], 1 = hidden, such as
      data.masks.block_mask.
    **how: passed on.

  Returns:
    (rng, view [B, H, W, 3]) -> bool [B, N].
  """

  def hide(rng, view):
    grid = patch_grid(encoder, view)
    rngs = jax.random.split(rng, len(view))
    return jax.vmap(lambda key: draw(key, grid, **how))(rngs)

  return hide
