"""One inner output of a network in the place of its output."""

from sslax.nets.net import Net


def tapped(net: Net, tap: str) -> Net:
  """Returns the network up to one of its taps, with the same parameters.

  Args:
    net: a network with taps.
    tap: name of the inner output, such as 'stage4' of a ResNet.
  """

  def apply(params, stats, *inputs, train, rng=None):
    outputs, stats = net.apply(
      params, stats, *inputs, train=train, rng=rng, taps=(tap,)
    )
    return outputs[tap], stats

  return Net(net.init, apply)
