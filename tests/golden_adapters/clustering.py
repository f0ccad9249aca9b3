"""Golden adapters of clustering losses and of Sinkhorn-Knopp."""

import jax
import jax.numpy as jnp

from sslax import losses
from sslax.losses.entropy import entropy, probabilities
from sslax.ops.distance import normalize
from sslax.ops.sinkhorn import sinkhorn, sinkhorn_codes
from tests.golden_adapters.distillation import numbered


def _sinkhorn(x, hp, form):
  del form
  codes = sinkhorn_codes(
    x['scores'], epsilon=hp['epsilon'], num_iterations=hp['iterations']
  )
  return {'codes': codes}


def _sela_sk(x, hp, form):
  del form
  transport = sinkhorn(
    jnp.log(x['PS']), epsilon=1 / hp['lamb'], tolerance=0.1
  ).plan
  return {'labels': jnp.argmax(transport, -1), 'transport': transport}


def _swav(x, hp, form):
  del form
  kwargs = {
    'temperature': hp['temperature'],
    'epsilon': hp['epsilon'],
    'num_iterations': hp['sinkhorn_iterations'],
  }
  if 'h0' in x:  # lightly: scores of each crop
    scores = numbered(x, 'h') + numbered(x, 'l')
    queue = numbered(x, 'q') or None
    loss = losses.swav(
      scores, queue, num_assigned=len(numbered(x, 'h')), **kwargs
    )
    return {'loss': loss}
  z = normalize(x['z'])
  # The peer normalizes the prototypes in place, beside the gradient.
  prototypes = x['W'] + jax.lax.stop_gradient(normalize(x['W']) - x['W'])
  scores = jnp.split(z @ prototypes.T, hp['n_crops'])
  outputs, queue = {}, None
  if 'queue' in x:
    queue = [rows @ prototypes.T for rows in x['queue']]
    new = jnp.stack(jnp.split(z, hp['n_crops'])[: len(x['queue'])])
    kept = x['queue'][:, : -new.shape[1]]
    outputs['queue_after'] = jnp.concatenate([new, kept], 1)
  kwargs_codes = {k: kwargs[k] for k in ('epsilon', 'num_iterations')}
  codes = sinkhorn_codes(scores[0], **kwargs_codes)
  loss = losses.swav(scores, queue, **kwargs)
  return {'loss': loss, 'codes_crop0_no_queue': codes, **outputs}


def _swapped_prediction(x, hp, form):
  del form
  return {
    'loss': losses.swapped_prediction(
      numbered(x, 'p'), numbered(x, 'a'), temperature=hp['temperature']
    )
  }


def _deepcluster_v2(x, hp, form):
  del form
  if 'outputs' in x:
    scores, labels = x['outputs'], x['assignments']
  else:
    labels = x['assignments'][:, x['idx']]
    scores = [jnp.split(head, hp['n_crops']) for head in numbered(x, 'scores')]
  loss = losses.deepcluster_v2(scores, labels, temperature=hp['temperature'])
  return {'loss': loss}


def _pcl(x, hp, form):
  del form
  labels = [labels[x['index']] for labels in numbered(x, 'im2cluster')]
  centroids, densities = numbered(x, 'centroids'), numbered(x, 'density')
  loss = losses.pcl(
    x['q'],
    x['k'],
    x['queue'].T,
    centroids,
    densities,
    labels,
    temperature=hp['temperature'],
  )
  parts = zip(centroids, densities, labels, strict=True)
  prototype = [losses.proto_nce(x['q'], *part) for part in parts]
  prototype = sum(prototype) / len(prototype)
  return {'loss': loss, 'infonce': loss - prototype, 'protonce': prototype}


def _iic(x, hp, form):
  del form
  eps = hp['eps']
  return {
    'loss': losses.iic(x['p0'], x['p1'], entropy_weight=hp['lamb'], eps=eps),
    'loss_no_lamb': losses.iic(x['p0'], x['p1'], eps=eps),
  }


def _cc_cluster(x, hp, form):
  del form
  temperature = hp['temperature']
  return {'loss': losses.cc_cluster(x['c0'], x['c1'], temperature=temperature)}


def _scan(x, hp, form):
  del form
  pair = x['anchors'], x['neighbors']
  return {
    'loss': losses.scan(*pair, entropy_weight=hp['entropy_weight']),
    'consistency': losses.scan(*pair, entropy_weight=0.0),
    'entropy': entropy(jnp.mean(probabilities(x['anchors']), 0)),
  }


def _scan_selflabel(x, hp, form):
  del form
  loss = losses.scan_selflabel(
    x['weak'],
    x['strong'],
    threshold=hp['threshold'],
    balanced=hp['class_balancing'],
  )
  return {'loss': loss}


def _self_classifier(x, hp, form):
  del form
  num_heads = len({name[:2] for name in x})
  heads = [
    losses.self_classifier(
      numbered(x, f'h{head}v'),
      row_temperature=hp['row_tau'],
      column_temperature=hp['col_tau'],
      eps=hp['eps'],
    )
    for head in range(num_heads)
  ]
  return {'loss': sum(heads) / num_heads}


def _dec(x, hp, form):
  del form
  q = losses.student_t_assignment(x['x'], x['centers'], degrees=hp['alpha'])
  p = q**2 / jnp.sum(q, 0, keepdims=True)
  loss = losses.dec(x['x'], x['centers'], degrees=hp['alpha'])
  return {'loss': loss, 'q': q, 'p': p / jnp.sum(p, 1, keepdims=True)}


ADAPTERS = {
  'cc_cluster': _cc_cluster,
  'dec': _dec,
  'deepcluster_v2': _deepcluster_v2,
  'iic': _iic,
  'pcl': _pcl,
  'scan': _scan,
  'scan_selflabel': _scan_selflabel,
  'sela_sk': _sela_sk,
  'self_classifier': _self_classifier,
  'sinkhorn': _sinkhorn,
  'swapped_prediction': _swapped_prediction,
  'swav': _swav,
}
