"""Jigsaw puzzles."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from sslax.method import Method, Picture, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.each import each
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.ops import tiles as tiling
from sslax.ops.classification import classify
from sslax.ops.permutations import spread_permutations

_NUM_TILES = 9


class JigsawState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of encoder, projector and head


def jigsaw(
  encoder: Net,
  *,
  num_permutations: int = 100,
  gap: int = 21,
  standardize: bool = True,
  projection_size: int = 1024,
  hidden_size: int = 4096,
  dtype: str = 'float32',
) -> Method:
  """Jigsaw: tell in which order the nine tiles of an image are shown.

  An image is cut into nine tiles x₁ ... x₉ that do not touch. They are shown in
  the order π_y, one of K permutations that differ in as many places as can be,
  and every tile is encoded by itself:
  loss = −mean log softmax(h([g(f(x_{π_y(1)})), ..., g(f(x_{π_y(9)}))]))[y].
  Reads one view.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    num_permutations: K.
    gap: pixels by which a tile is smaller than a third of the view.
    standardize: whether each tile is given mean 0 and deviation 1, so that
      brightness and color do not tell which tiles are neighbors.
    projection_size: features of a tile that the head sees.
    hidden_size: width of the head's hidden layer.
    dtype: compute dtype of projector and head.

  Returns:
    A Method whose features are the encoder's output for a whole image.

  References:
    Noroozi & Favaro, Unsupervised learning of visual representations by
    solving jigsaw puzzles, https://arxiv.org/abs/1603.09246, 2016;
    https://github.com/MehdiNoroozi/JigsawPuzzleSolver.

  Deviations:
    The official layers after the tiles have dropout; here projector and head
    have batch normalization, as VISSL's projector has. The permutations are
    chosen as the paper says, but the first one is another. Standardized tiles
    are from the paper; the official code subtracts one mean color.
  """
  projector = mlp(
    hidden=(),
    features=projection_size,
    final_bias=False,
    final_norm=True,
    dtype=dtype,
  )
  head = mlp(
    hidden=(hidden_size,),
    features=num_permutations,
    hidden_bias=False,
    dtype=dtype,
  )
  project = each(chain(encoder=encoder, projector=projector))
  permutations = jnp.asarray(spread_permutations(num_permutations, _NUM_TILES))

  def puzzle(rng, images):
    """Tiles [B, 9, S, S, C] in a drawn order, and its number [B]."""
    rng_tiles, rng_labels = jax.random.split(rng)
    tiles = tiling.jittered_tiles(rng_tiles, images, gap=gap)
    labels = jax.random.randint(rng_labels, (len(images),), 0, num_permutations)
    return _ordered(tiles, permutations[labels]), labels

  def solve(params, stats, tiles, *, train, rng=None):
    x = tiling.standardized(tiles) if standardize else tiles
    z, stats = project.apply(params, stats, x, train=train, rng=rng)
    z = jax.nn.relu(z).reshape(len(tiles), -1)
    return chain(head=head).apply(params, stats, z, train=train)

  def init(rng, batch):
    rng_tiles, rng_project, rng_head = jax.random.split(rng, 3)
    tiles, _ = puzzle(rng_tiles, batch['views'][0])
    params, stats = project.init(rng_project, tiles)
    joined = jnp.zeros((len(tiles), _NUM_TILES * projection_size))
    params['head'], stats['head'] = head.init(rng_head, joined)
    return params, JigsawState(stats)

  def loss(params, state, batch, *, rng, step):
    del step
    rng_puzzle, rng_net = jax.random.split(rng)
    tiles, labels = puzzle(rng_puzzle, batch['views'][0])
    logits, stats = solve(params, state.stats, tiles, train=True, rng=rng_net)
    value, accuracy = classify(logits, labels)
    return value, (JigsawState(stats), {'accuracy': accuracy})

  def pictures(params, state, batch, *, rng):
    view = batch['views'][0]
    tiles, _ = puzzle(rng, view)
    logits, _ = solve(params, state.stats, tiles, train=False)
    order = jnp.argsort(permutations[jnp.argmax(logits, -1)], axis=-1)
    solved = _ordered(tiles, order)
    columns = (view, tiling.laid_out(tiles), tiling.laid_out(solved))
    caption = 'The encoder sees one tile at a time.'
    names = ('view', 'puzzle', 'the order that is predicted')
    return (Picture('Puzzles', caption, columns, names, is_view=True),)

  return Method(
    init, loss, unchanged, encoder_features(encoder), pictures=pictures
  )


def _ordered(tiles, order):
  """Row b of tiles [B, N, ...] in the order order[b] [N]."""
  return jax.vmap(lambda t, i: t[i])(tiles, order)
