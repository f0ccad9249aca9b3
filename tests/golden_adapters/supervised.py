"""Golden adapters of sslax.losses.supervised."""

from sslax import losses
from sslax.ops.distance import normalize


def _supcon(x, hp, form):
  if form.startswith('pml') or 'embeddings' in x:
    # One normalized view; lonely anchors leave the mean.
    loss = losses.supcon(
      normalize(x['embeddings'])[:, None, :],
      x['labels'],
      temperature=hp['temperature'],
      count_lonely=False,
    )
    return {'loss': loss}
  # The official code scales by temperature / 0.07.
  options = {'base_temperature': 0.07, **hp}
  loss = losses.supcon(x['features'], x.get('labels'), x.get('mask'), **options)
  return {'loss': loss}


ADAPTERS = {'supcon': _supcon}
