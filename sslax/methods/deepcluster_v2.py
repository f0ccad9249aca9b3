"""DeepCluster, version 2."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sslax import contact_sheet, losses
from sslax.evals.diagnostics import embedding_std
from sslax.method import Method, Refresh, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.nets.norm import param_dtype
from sslax.nets.project_crops import project_crops
from sslax.ops import memory_bank
from sslax.ops.classification import classify
from sslax.ops.dataset_clusters import check_counts, clusterings
from sslax.ops.distance import normalize


class DeepclusterV2State(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of encoder and projector
  bank: tuple[jax.Array, ...]  # W of [N', D] last embeddings, N' at least N
  prototypes: tuple[jax.Array, ...]  # centroids [K, D] of each clustering
  labels: tuple[jax.Array, ...]  # int32 [N], cluster of each training example


def deepcluster_v2(
  encoder: Net,
  *,
  num_examples: int,
  num_prototypes: tuple[int, ...] = (3000, 3000, 3000),
  every_steps: int = 312,
  hidden_size: int = 2048,
  projection_size: int = 128,
  num_assigned: int = 2,
  temperature: float = 0.1,
  num_iterations: int = 10,
  dtype: str = 'float32',
) -> Method:
  """DeepCluster v2: predict the cluster of an image from each of its views.

  Views have unit embeddings z = g(f(v)). Those of the first W views are kept in
  banks, a row for each training example. Once an epoch they are clustered by
  spherical k-means, several times, each from another bank in turn and with
  centroids C of its own. With y the cluster of an image, loss = mean over views
  and clusterings of −log softmax(z·C / temperature)_y. No centroid gets a
  gradient. Reads any number of views, and `index`.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    num_examples: number N of training examples.
    num_prototypes: number K of clusters, of each clustering; at most N.
    every_steps: steps between two clusterings.
    hidden_size: width of the projector's hidden layer.
    projection_size: size of the embedding.
    num_assigned: number W of views whose embeddings are clustered.
    temperature: of the softmax.
    num_iterations: of k-means.
    dtype: compute dtype of the projector.

  Returns:
    A Method whose features are the encoder's output.

  Raises:
    BadInputError: there are more clusters than examples.

  References:
    Caron et al., Unsupervised learning of visual features by contrasting
    cluster assignments, https://arxiv.org/abs/2006.09882, 2020, appendix;
    main_deepclusterv2.py of https://github.com/facebookresearch/swav.

  Deviations:
    The banks first hold the embeddings of whole images, as evaluation sees
    them; the official code takes views. An example that no batch of an epoch
    had keeps its last embedding and gets a label; there it gets none. A cluster
    that loses its last image moves to the one farthest from its centroid; there
    it stays.
  """
  check_counts(num_examples, 'method.num_prototypes', num_prototypes)
  projector = mlp(hidden=(hidden_size,), features=projection_size, dtype=dtype)
  whole = chain(encoder=encoder, projector=projector)
  project = project_crops(encoder, projector)
  wide = param_dtype(dtype)

  def init(rng, batch):
    params, stats = whole.init(rng, batch['views'][0])
    shape = (memory_bank.padded(num_examples), projection_size)
    bank = tuple(jnp.zeros(shape, wide) for _ in range(num_assigned))
    prototypes = tuple(
      memory_bank.init(rng, count, projection_size, wide)
      for count in num_prototypes
    )
    first = jnp.arange(num_examples, dtype=jnp.int32)
    labels = tuple(first % count for count in num_prototypes)
    return params, DeepclusterV2State(stats, bank, prototypes, labels)

  def loss(params, state, batch, *, rng, step):
    del step
    z, stats = project(params, state.stats, batch['views'], train=True, rng=rng)
    z, index = [normalize(x) for x in z], batch['index']
    scores = [[x @ c.T for x in z] for c in state.prototypes]
    labels = [label[index] for label in state.labels]
    value = losses.deepcluster_v2(scores, labels, temperature=temperature)
    bank = tuple(
      memory_bank.update(rows, index, x, momentum=0.0)
      for rows, x in zip(state.bank, z, strict=False)
    )
    _, accuracy = classify(scores[0][0], labels[0])
    metrics = {'embedding_std': embedding_std(z[0]), 'accuracy': accuracy}
    return value, (state._replace(stats=stats, bank=bank), metrics)

  def embed(params, state, inputs):
    return normalize(whole.apply(params, state.stats, inputs, train=False)[0])

  def run(params, state, dataset, *, rng, step):
    bank = state.bank
    if step == 0:
      x = dataset.map(embed, params, state)
      rows = np.pad(x, ((0, len(bank[0]) - num_examples), (0, 0)))
      bank = (rows.astype(wide),) * num_assigned
    rows = [rows[:num_examples] for rows in bank]
    prototypes, labels = clusterings(rng, rows, num_prototypes, num_iterations)
    return params, DeepclusterV2State(state.stats, bank, prototypes, labels)

  def pictures(params, state, batch, *, rng):
    del rng
    view = batch['views'][0]
    scores = embed(params, state, view) @ state.prototypes[0].T
    return (contact_sheet.of_clusters(view, jnp.argmax(scores, -1)),)

  return Method(
    init,
    loss,
    unchanged,
    encoder_features(encoder),
    refresh=Refresh(every_steps, run),
    safeguard='k-means, of which no cluster may stay empty',
    pictures=pictures,
  )
