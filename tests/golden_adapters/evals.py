"""Golden adapters of sslax.evals."""

import jax.numpy as jnp
import numpy as np

from sslax.evals import clustering
from sslax.evals.knn import knn, knn_accuracy


def _knn(x, hp, form):
  solo = form.startswith('solo')
  num_classes = hp.get('num_classes')
  if num_classes is None:
    labels = [x[k] for k in ('train_labels', 'test_labels') if k in x]
    num_classes = int(max(jnp.max(v) for v in labels)) + 1
  kwargs = {
    'num_classes': int(num_classes),
    'k': hp['k'],
    'temperature': hp.get('T', 0.07),
    # The others take the rows, of length one in float32, as they are.
    'distance': hp.get('distance', 'cosine' if solo else 'dot'),
  }
  scores = knn(x['train'], x['train_labels'], x['test'], **kwargs)
  order = np.argsort(-np.asarray(scores), axis=-1, kind='stable')
  outputs = {'scores': scores, 'pred': order}
  if 'test_labels' in x:
    accuracy = knn_accuracy(
      x['train'], x['train_labels'], x['test'], x['test_labels'], **kwargs
    )
    outputs |= {k: 100 * v for k, v in accuracy.items()}
  return outputs


def _clustering_metrics(x, hp, form):
  del hp, form
  scores = clustering.scores(x['y'], x['pred'])
  return {
    **scores,
    'fmi': scores['fowlkes_mallows'],
    'acc': scores['accuracy'],
    'acc_ptdec': scores['accuracy'],
  }


ADAPTERS = {'knn': _knn, 'clustering_metrics': _clustering_metrics}
