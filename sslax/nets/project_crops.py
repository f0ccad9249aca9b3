"""Multi-crop through an encoder and a head that sees all crops at once."""

from sslax.nets.multi_crop import by_size, interleave, separate
from sslax.nets.net import Net


def project_crops(encoder: Net, projector: Net):
  """Applies the encoder once for each size of view, the projector once in all.

  A projector's batch statistics are then those of all crops together, as in the
  official code of SwAV.

  Args:
    encoder: images [B, H, W, C] -> [B, D].
    projector: [B, D] -> any array with B rows.

  Returns:
    (params, stats, views, *, train, rng) -> (list of outputs, one for each
    view, stats); params and stats have the parts `encoder` and `projector`, and
    other parts of stats pass through.
  """
  encode = by_size(encoder.apply)

  def apply(params, stats, views, *, train, rng=None):
    stats = dict(stats)
    features, stats['encoder'] = encode(
      params['encoder'], stats['encoder'], views, train=train, rng=rng
    )
    together, num = interleave(features)
    outputs, stats['projector'] = projector.apply(
      params['projector'], stats['projector'], together, train=train, rng=rng
    )
    return separate(outputs, num), stats

  return apply
