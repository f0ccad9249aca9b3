"""A batch larger than memory: gradient caching as a network of a network."""

import jax
import jax.numpy as jnp

from sslax.errors import BadInputError
from sslax.nets.net import Net


def in_pieces(net: Net, num_pieces: int) -> Net:
  """Applies a network to a training batch in pieces, one after another.

  Only the inputs and outputs of a piece are kept; in the backward pass each
  piece is computed again and its gradient added. So the loss sees the outputs
  of the whole batch, as one with all its negatives must, and activations need
  the memory of one piece: embeddings first, their gradients second, the network
  backward in pieces last. Its price is one more forward pass.

  A piece is every num_pieces-th example, so that rows split over devices stay
  where they are. Batch statistics are those of a piece, as with `num_groups` of
  `BatchNorm`, and running ones move by their mean. Networks without batch
  statistics give what they give at once.

  Args:
    net: the network; its inputs and outputs are arrays [B, ...].
    num_pieces: divides B; 1 is the network itself.

  Returns:
    A Net with the parameters of net.

  Raises:
    BadInputError: num_pieces is below 1; or, when applied, does not divide B.

  References:
    Gao et al., Scaling deep contrastive learning batch size under memory
    limited setup, https://arxiv.org/abs/2101.06983, 2021.
  """
  if num_pieces < 1:
    raise BadInputError(
      f'batch_pieces is {num_pieces}; a number of at least 1 would be right'
    )
  if num_pieces == 1:
    return net

  def apply(params, stats, *inputs, train, rng=None, **how):
    if not train:
      return net.apply(params, stats, *inputs, train=False, rng=rng, **how)

    @jax.checkpoint
    def piece(params, number, own):
      key = None if rng is None else jax.random.fold_in(rng, number)
      return net.apply(params, stats, *own, train=True, rng=key, **how)

    pieces = jax.tree.map(lambda x: _split(x, num_pieces), inputs)
    outputs, stats = jax.lax.map(
      lambda args: piece(params, *args), (jnp.arange(num_pieces), pieces)
    )
    return jax.tree.map(_join, outputs), jax.tree.map(_mean, stats)

  return Net(net.init, apply)


def _split(x, num_pieces: int):
  """[B, ...] -> [num_pieces, B / num_pieces, ...]."""
  if x.shape[0] % num_pieces:
    raise BadInputError(
      f'batch_pieces is {num_pieces}, which does not divide the {x.shape[0]}'
      ' examples that enter the network'
    )
  return x.reshape(-1, num_pieces, *x.shape[1:]).swapaxes(0, 1)


def _join(x):
  """Undoes `_split`."""
  return x.swapaxes(0, 1).reshape(-1, *x.shape[2:])


def _mean(x):
  """Of what each piece made of a running statistic; counters are the same."""
  if jnp.issubdtype(x.dtype, jnp.floating):
    return jnp.mean(x, 0)
  return x[0]
