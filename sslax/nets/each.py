"""One network for each part of an example."""

from sslax.nets.net import Net


def each(net: Net, num_axes: int = 1) -> Net:
  """Applies a network to each part, such as a patch, by itself.

  Args:
    net: [N, ...] -> [N, ...]; its batch statistics are those of all parts.
    num_axes: how many axes behind the batch's count parts.

  Returns:
    A Net [B, n₁, ..., n_k, ...] -> [B, n₁, ..., n_k, ...], k of num_axes, with
    the parameters of net.
  """
  num = num_axes + 1

  def flat(inputs):
    return inputs.reshape(-1, *inputs.shape[num:])

  def init(rng, inputs):
    first = inputs[(slice(None), *[0] * num_axes)]
    return net.init(rng, first)

  def apply(params, stats, inputs, *, train, rng=None):
    outputs, stats = net.apply(
      params, stats, flat(inputs), train=train, rng=rng
    )
    return outputs.reshape(*inputs.shape[:num], *outputs.shape[1:]), stats

  return Net(init, apply)
