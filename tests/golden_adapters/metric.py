"""Golden adapters of metric-learning losses."""

import numpy as np

from sslax import losses
from sslax.ops.distance import normalize


def _center(x, hp, form):
  del hp, form
  return {'loss': losses.center(x['x'], x['labels'], x['centers'])}


def _contrastive_margin(x, hp, form):
  if 'embeddings' in x:  # pytorch-metric-learning: all pairs, linear
    # Its default is unit rows and the mean over violated pairs.
    raw = 'unnorm' in form or 'mean' in form
    loss = losses.contrastive_margin_in_batch(
      x['embeddings'] if raw else normalize(x['embeddings']),
      x['labels'],
      positive_margin=hp['pos_margin'],
      negative_margin=hp['neg_margin'],
      violated_only='mean' not in form,
    )
    return {'loss': loss}
  metric = hp['distance'].lower().removesuffix('_distance')
  loss = losses.contrastive_margin(
    x['x'],
    x['y'],
    x['labels'],
    margin=hp['margin'],
    metric=metric,
    eps=1e-6,  # PyTorch's pairwise distance
  )
  return {'loss': loss}


def _triplet(x, hp, form):
  smooth = bool(hp.get('smooth', False))
  if 'anchor' in x:  # PyTorch
    loss = losses.triplet(
      x['anchor'],
      x['positive'],
      x['negative'],
      margin=hp['margin'],
      order=hp.get('p', 2),
      swap=bool(hp.get('swap', False)),
      smooth=smooth,
      eps=1e-6,
    )
    return {'loss': loss}
  if form.startswith('st'):
    return {'loss': _sentence_transformers(x, hp)}
  # pytorch-metric-learning: unit rows, mean over violated triplets
  raw = 'unnorm' in form
  loss = losses.triplet_in_batch(
    x['embeddings'] if raw else normalize(x['embeddings']),
    x['labels'],
    margin=hp['margin'],
    smooth=smooth,
    violated_only='mean' not in form,
  )
  return {'loss': loss}


def _sentence_transformers(x, hp):
  mining = hp.get('mining', 'batch_hard')
  names = {'batch_all': 'all', 'batch_semi_hard': 'semi_hard'}
  return losses.triplet_in_batch(
    x['embeddings'],
    x['labels'],
    margin=0.0 if 'soft' in mining else hp['margin'],
    mining=names.get(mining, 'hard'),
    smooth='soft' in mining or bool(hp.get('smooth', False)),
    violated_only=mining == 'batch_all',
  )


def _lifted(loss):
  def adapter(x, hp, form):
    raw = 'unnorm' in form or 'raw' in form
    value = loss(
      x['embeddings'] if raw else normalize(x['embeddings']),
      x['labels'],
      margin=hp['neg_margin'],
      positive_margin=hp['pos_margin'],
    )
    return {'loss': value}

  return adapter


def _npair(x, hp, form):
  del hp
  # One pair a class: its first two rows, in the order of the classes.
  labels = np.asarray(x['labels'])
  rows = [np.flatnonzero(labels == y)[:2] for y in np.unique(labels)]
  first, second = np.array([r for r in rows if len(r) == 2]).T
  unit = 'default' in form or ('norm' in form and 'unnorm' not in form)
  z = normalize(x['embeddings']) if unit else x['embeddings']
  return {'loss': losses.npair(z[first], z[second])}


def _nca(x, hp, form):
  raw = 'unnorm' in form
  z = x['embeddings'] if raw else normalize(x['embeddings'])
  return {'loss': losses.nca(z, x['labels'], scale=hp['softmax_scale'])}


def _soft_nn(x, hp, form):
  # The peer's cosine distance does not normalize its rows.
  del form
  loss = losses.soft_nearest_neighbor(
    x['embeddings'],
    x['labels'],
    temperature=hp['temperature'],
    metric='dot' if hp['distance'] == 'cosine' else 'squared',
    eps=1e-9,
  )
  return {'loss': loss}


def _proxy_nca(x, hp, form):
  del form
  loss = losses.proxy_nca(
    x['embeddings'],
    x['labels'],
    x['proxies'],
    scale=hp['softmax_scale'],
    positive_in_denominator=True,
  )
  return {'loss': loss}


def _proxy_anchor(x, hp, form):
  del form
  loss = losses.proxy_anchor(x['embeddings'], x['labels'], x['proxies'], **hp)
  return {'loss': loss}


def _multi_similarity(x, hp, form):
  del form
  return {'loss': losses.multi_similarity(x['embeddings'], x['labels'], **hp)}


def _circle(x, hp, form):
  del form
  loss = losses.circle(
    x['embeddings'],
    x['labels'],
    margin=hp.get('m', 0.4),
    scale=hp.get('gamma', 80.0),
  )
  return {'loss': loss}


ADAPTERS = {
  'center': _center,
  'circle': _circle,
  'contrastive_margin': _contrastive_margin,
  'generalized_lifted': _lifted(losses.generalized_lifted),
  'lifted_structure': _lifted(losses.lifted_structure),
  'multi_similarity': _multi_similarity,
  'nca': _nca,
  'npair': _npair,
  'proxy_anchor': _proxy_anchor,
  'proxy_nca': _proxy_nca,
  'soft_nn': _soft_nn,
  'triplet': _triplet,
}
