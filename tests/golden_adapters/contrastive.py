"""Golden adapters of contrastive losses of two views, queues and keys."""

import jax
import jax.numpy as jnp

from sslax import losses
from sslax.ops import queue as fifo
from sslax.ops.distance import cosine, normalize


def _ntxent(x, hp, form):
  temperature = hp['temperature']
  if 'indexes' in x:  # multiview: positives summed inside the log
    loss = losses.ubernce(x['z'], x['indexes'], temperature=temperature)
  elif 'embeddings' in x:  # optax and pml_labels: a term for each pair
    loss = losses.ntxent_pairs(
      x['embeddings'], x['labels'], temperature=temperature
    )
  else:
    raw = form.startswith('bolts_unit') or not hp.get('normalize', True)
    loss = losses.ntxent(
      x['z0'], x['z1'], temperature=temperature, normalize=not raw
    )
  if form.startswith('google_tf2'):  # the sum of the two views
    loss = 2 * loss
  return {'loss': loss}


def _cc_instance(x, hp, form):
  del form  # unit rows, not normalized inside
  loss = losses.ntxent(
    x['z0'], x['z1'], temperature=hp['temperature'], normalize=False
  )
  return {'loss': loss}


def pushed(rows, new):
  """Rows and cursor of a queue at 0 after a push; an output in shape [1]."""
  after = fifo.push(fifo.Queue(rows, jnp.int32(0)), new)
  return after.rows, after.cursor[None]


def _moco_queue(x, hp, form):
  del form
  temperature = hp['temperature']
  if 'bank' in x:  # lightly: the keys receive a gradient
    z0, z1 = normalize(x['z0']), normalize(x['z1'])
    loss = _external(z0, z1, x['bank'], temperature)
    rows, cursor = pushed(x['bank'], z1)
    return {'loss': loss, 'bank_after': rows, 'ptr_after': cursor}
  if 'query' in x:  # solo: unit rows, not normalized inside
    loss = _external(x['query'], x['key'], x['queue'].T, temperature)
    return {'loss': loss}
  loss = losses.moco(x['q'], x['k'], x['queue'].T, temperature=temperature)
  rows, cursor = pushed(x['queue'].T, normalize(x['k']))
  return {'loss': loss, 'queue_after': rows.T, 'ptr_after': cursor}


def _external(queries, keys, negatives, temperature):
  return losses.info_nce(
    queries,
    keys,
    jax.lax.stop_gradient(negatives),
    temperature=temperature,
    in_batch=False,
    normalize=False,
  )


def _mocov3(x, hp, form):
  del form
  forward = losses.mocov3(x['q0'], x['k1'], **hp)
  return {'loss': forward + losses.mocov3(x['q1'], x['k0'], **hp)}


def _macl(x, hp, form):
  del form
  options = {'alpha': hp['alpha'], 'threshold': hp['A_0']}
  temperature = hp['temperature']
  return {
    'loss': losses.macl(x['z0'], x['z1'], temperature=temperature, **options)
  }


def _alignment(x, hp, form):
  del form
  return {'loss': losses.alignment(x['x'], x['y'], **hp)}


def _uniformity(x, hp, form):
  del form
  return {'loss': losses.uniformity(x['x'], **hp)}


def _spectral(x, hp, form):
  del form
  options = {'mu': hp.get('mu', 1.0)}
  part1, part2 = losses.spectral_parts(x['z0'], x['z1'], **options)
  loss = losses.spectral(x['z0'], x['z1'], **options)
  return {'loss': loss, 'part1': part1, 'part2': part2}


def _ressl(x, hp, form):
  del form
  loss = losses.ressl(
    x['q'],
    x['k'],
    x['queue'],
    student_temperature=hp['temperature_q'],
    teacher_temperature=hp['temperature_k'],
  )
  return {'loss': loss}


def _numbered(x, letter):
  """The inputs q0, q1, ... in their order."""
  names = [k for k in x if k[0] == letter and k[1:].isdigit()]
  return [x[k] for k in sorted(names, key=lambda k: int(k[1:]))]


def _clsa(x, hp, form):
  del form
  queue = x['queue'].T
  contrastive, divergence = 0.0, 0.0
  for weak in _numbered(x, 'q'):
    contrastive += losses.info_nce(
      weak, x['k'], queue, temperature=hp['temperature']
    )
    for strong in _numbered(x, 's'):
      divergence += losses.clsa(
        weak, strong, x['k'], queue, temperature=hp['temperature2']
      )
  loss = contrastive + hp['alpha'] * divergence
  return {'loss': loss, 'contrastive': contrastive, 'ddm': divergence}


def _relic(x, hp, form):
  del form
  temperature = jnp.exp(-x['log_scale'])
  views = x['x'], x['x_prime']
  invariance = losses.relic_invariance(*views, temperature=temperature)
  if hp['use_siglip']:  # weighted sigmoid loss of all pairs, no InfoNCE
    logits = cosine(*views) / temperature
    own = jnp.eye(logits.shape[0], dtype=bool)
    pairs = jax.nn.softplus(jnp.where(own, -logits, logits))
    pairs = jnp.sum(jnp.where(own, 10 * pairs, pairs / 10), 1)
    loss = jnp.mean(pairs) + hp['alpha'] * invariance
  else:
    loss = losses.relic(*views, temperature=temperature, weight=hp['alpha'])
  return {'loss': loss, 'invariance': invariance}


def _rince(x, hp, form):
  del form
  if 'q_' in x:  # MoCo v3's form
    return {'loss': losses.robust_mocov3(x['q_'], x['k_'], **hp)}
  return {'loss': losses.robust_info_nce(x['z0'], x['z1'], **hp)}


def _two_views(loss, **names):
  """An adapter of a loss of two views, with hyper-parameters renamed."""

  def adapter(x, hp, form):
    del form
    options = {names.get(k, k): v for k, v in hp.items()}
    return {'loss': loss(x['z0'], x['z1'], **options)}

  return adapter


ADAPTERS = {
  'align_uniform': _two_views(losses.align_uniform, lam='weight'),
  'alignment': _alignment,
  'clsa': _clsa,
  'relic': _relic,
  'ressl': _ressl,
  'rince': _rince,
  'spectral': _spectral,
  'uniformity': _uniformity,
  'cc_instance': _cc_instance,
  'dcl': _two_views(losses.decoupled),
  'dclw': _two_views(losses.decoupled_weighted),
  'directclr': _two_views(losses.directclr, loss_dim='num_dims'),
  'macl': _macl,
  'moco_queue': _moco_queue,
  'mocov3': _mocov3,
  'ntxent': _ntxent,
}
