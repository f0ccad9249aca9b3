"""Deep clustering."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import normalized_mutual_info_score

from sslax import contact_sheet, losses
from sslax.losses.entropy import entropy
from sslax.method import Method, Refresh, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.edges import on_edges
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.ops.classification import classify
from sslax.ops.dataset_clusters import (
  check_counts,
  kmeans_from_rows,
  whitened_directions,
)
from sslax.ops.precision import at_least_float32


class DeepclusterState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of encoder and head
  labels: jax.Array  # [N] int32, the cluster of each training example
  sizes: jax.Array  # [K] int32, examples in each cluster
  nmi: jax.Array  # [] agreement of the clusters with those before them


def deepcluster(
  encoder: Net,
  *,
  num_examples: int,
  num_clusters: int = 10000,
  every_steps: int = 5004,
  num_components: int = 256,
  num_iterations: int = 20,
  sobel: bool = False,
  dtype: str = 'float32',
) -> Method:
  """DeepCluster: classify images into the clusters of their own features.

  Once an epoch the features f of all images are reduced by PCA, whitened,
  normalized and clustered by k-means. The clusters are the labels of the next
  epoch, for a linear head h that starts anew: with y the cluster of an image
  and N_y its size, loss = −Σ_i w_i log softmax(h(f(v_i)))_y / Σ_i w_i, where
  w_i = 1 / N_y lets all clusters weigh the same. Reads one view, and `index`.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    num_examples: number N of training examples.
    num_clusters: K, at most N.
    every_steps: steps between two clusterings.
    num_components: of the features that k-means sees, where D is larger.
    num_iterations: of k-means.
    sobel: whether the encoder sees edges, [B, H, W, 2], in place of colors.
    dtype: compute dtype of the head.

  Returns:
    A Method whose features are the encoder's output.

  Raises:
    BadInputError: there are more clusters than examples.

  References:
    Caron et al., Deep clustering for unsupervised learning of visual features,
    https://arxiv.org/abs/1807.05520, 2018; main.py and clustering.py of
    https://github.com/facebookresearch/deepcluster.

  Deviations:
    The official code draws images so that clusters come equally often. Here
    the order is a function of the step, every image comes once an epoch, and
    weights do the same on average. A cluster that loses its last image moves to
    the image farthest from its centroid; faiss splits a large one. The head
    follows the encoder, without dropout and AlexNet's other layers, has
    momentum too, and starts with a deviation of 1 / √D, not 0.01.
  """
  check_counts(num_examples, 'method.num_clusters', (num_clusters,))
  encoder = on_edges(encoder) if sobel else encoder
  head = mlp(hidden=(), features=num_clusters, norm='none', dtype=dtype)
  whole = chain(encoder=encoder, head=head)
  features = encoder_features(encoder)

  def init(rng, batch):
    params, stats = whole.init(rng, batch['views'][0])
    labels = jnp.arange(num_examples, dtype=jnp.int32) % num_clusters
    sizes = jnp.bincount(labels, length=num_clusters).astype(jnp.int32)
    nmi = jnp.zeros((), jnp.float32)
    return params, DeepclusterState(stats, labels, sizes, nmi)

  def loss(params, state, batch, *, rng, step):
    del step
    logits, stats = whole.apply(
      params, state.stats, batch['views'][0], train=True, rng=rng
    )
    logits = at_least_float32(logits)
    labels = state.labels[batch['index']]
    sizes = state.sizes.astype(logits.dtype)
    # ODC weighs a label by one over the root of the number it is given.
    value = losses.odc(logits, labels, sizes**2)
    metrics = {
      'accuracy': classify(logits, labels)[1],
      'clusters_used': jnp.exp(entropy(sizes / num_examples)),
      'nmi': state.nmi,
    }
    return value, (state._replace(stats=stats), metrics)

  def run(params, state, dataset, *, rng, step):
    rng_clusters, rng_head = jax.random.split(rng)
    x = dataset.map(features, params, state)
    found = kmeans_from_rows(
      rng_clusters,
      whitened_directions(x, num_components),
      num_clusters,
      num_iterations=num_iterations,
    )
    labels = np.asarray(found.labels, np.int32)
    sizes = np.bincount(labels, minlength=num_clusters).astype(np.int32)
    old = np.asarray(state.labels)
    nmi = normalized_mutual_info_score(old, labels) if step else 0
    state = state._replace(labels=labels, sizes=sizes, nmi=np.float32(nmi))
    return {**params, 'head': head.init(rng_head, x[:1])[0]}, state

  def pictures(params, state, batch, *, rng):
    del rng
    view = batch['views'][0]
    logits, _ = whole.apply(params, state.stats, view, train=False)
    return (contact_sheet.of_clusters(view, jnp.argmax(logits, -1)),)

  return Method(
    init,
    loss,
    unchanged,
    features,
    refresh=Refresh(every_steps, run, reset=('head/',)),
    safeguard='the weights of the clusters',
    pictures=pictures,
  )
