"""Agreement of clusters with labels, whatever the clusters are called."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn import metrics

from sslax import shapes

__all__ = ['hungarian_accuracy', 'match', 'scores']


def match(labels, clusters):
  """The one-to-one naming of clusters by classes that agrees most often.

  Args:
    labels: [N] int, not negative.
    clusters: [N] int, not negative.

  Returns:
    [number of clusters] int: the class of each cluster; where there are more
    clusters than classes, numbers beyond the classes.

  References:
    Kuhn, The Hungarian method for the assignment problem,
    https://doi.org/10.1002/nav.3800020109, 1955; solved by scipy's
    linear_sum_assignment.

  >>> match(np.array([0, 0, 1, 2]), np.array([2, 2, 0, 1])).tolist()
  [1, 2, 0]
  """
  counts = _contingency(labels, clusters)
  _, classes = linear_sum_assignment(counts, maximize=True)
  return classes


def _contingency(labels, clusters):
  """[K, K] how often each cluster (row) meets each class (column)."""
  shapes.check(labels=(labels, 'N'), clusters=(clusters, 'N'))
  labels, clusters = np.asarray(labels), np.asarray(clusters)
  if not len(labels):
    raise ValueError('labels has no entries')
  for name, array in (('labels', labels), ('clusters', clusters)):
    if array.dtype.kind not in 'iu' or array.min() < 0:
      raise ValueError(f'{name} must be integers of at least 0')
  size = 1 + max(labels.max(), clusters.max())
  counts = np.zeros((size, size), np.int64)
  np.add.at(counts, (clusters, labels), 1)
  return counts


def hungarian_accuracy(labels, clusters):
  """Share of rows whose cluster bears their class, under the best naming.

  Args:
    labels: [N] int, not negative.
    clusters: [N] int, not negative.

  Returns:
    Number in [0, 1].

  Raises:
    ValueError: the shapes differ, no entries, or no class numbers.

  References:
    Xie et al., Unsupervised deep embedding for clustering analysis,
    https://arxiv.org/abs/1511.06335, 2016.

  >>> hungarian_accuracy(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 1]))
  0.75
  """
  counts = _contingency(labels, clusters)
  rows, columns = linear_sum_assignment(counts, maximize=True)
  return float(counts[rows, columns].sum() / counts.sum())


def scores(labels, clusters):
  """All agreements of a clustering with the labels.

  Args:
    labels: [N] int, not negative.
    clusters: [N] int, not negative.

  Returns:
    dict: `nmi` and `ami` (mutual information over the mean entropy; `ami`
    corrected for chance), `ari` (Rand index corrected for chance),
    `fowlkes_mallows`, `homogeneity`, `completeness` and `accuracy`
    (`hungarian_accuracy`). All are 1 at agreement.

  Raises:
    ValueError: the shapes differ, no entries, or no class numbers.

  References:
    Hubert & Arabie, Comparing partitions,
    https://doi.org/10.1007/BF01908075, 1985.
    Vinh et al., Information theoretic measures for clusterings comparison,
    https://jmlr.org/papers/v11/vinh10a.html, 2010.
    Computed by scikit-learn.

  >>> result = scores(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]))
  >>> sorted(result)[:3], result['ari'], result['accuracy']
  (['accuracy', 'ami', 'ari'], 1.0, 1.0)
  """
  accuracy = hungarian_accuracy(labels, clusters)
  measures = {
    'nmi': metrics.normalized_mutual_info_score,
    'ami': metrics.adjusted_mutual_info_score,
    'ari': metrics.adjusted_rand_score,
    'fowlkes_mallows': metrics.fowlkes_mallows_score,
    'homogeneity': metrics.homogeneity_score,
    'completeness': metrics.completeness_score,
  }
  labels, clusters = np.asarray(labels), np.asarray(clusters)
  values = {k: float(f(labels, clusters)) for k, f in measures.items()}
  return {**values, 'accuracy': accuracy}
