"""Networks in a row, each a named part of one parameter tree."""

import jax

from sslax.nets.net import Net


def chain(**parts: Net) -> Net:
  """Applies the parts in order; params and stats are dicts by part name.

  A chain reads and writes only its own parts and passes other entries of the
  dicts through, so that `chain(encoder=f, projector=g)` and
  `chain(predictor=q)` share one params and one stats dict.

  Args:
    **parts: name = Net, in order; the first takes the inputs.
  """

  def init(rng, *inputs):
    params, stats = {}, {}
    for (name, net), key in zip(
      parts.items(), jax.random.split(rng, len(parts)), strict=True
    ):
      params[name], stats[name] = net.init(key, *inputs)
      outputs, _ = net.apply(
        params[name], stats[name], *inputs, train=False, rng=None
      )
      inputs = (outputs,)
    return params, stats

  def apply(params, stats, *inputs, train, rng=None):
    stats = dict(stats)
    for i, (name, net) in enumerate(parts.items()):
      key = None if rng is None else jax.random.fold_in(rng, i)
      outputs, stats[name] = net.apply(
        params[name], stats[name], *inputs, train=train, rng=key
      )
      inputs = (outputs,)
    return outputs, stats

  return Net(init, apply)
