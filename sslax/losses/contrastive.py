"""Contrastive losses: tell the positive of a query from its negatives."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops import distance, pair_sums
from sslax.ops.masked import masked_logsumexp
from sslax.ops.precision import at_least_float32
from sslax.ops.two_views import two_view_sums

__all__ = [
  'decoupled',
  'decoupled_weighted',
  'directclr',
  'info_nce',
  'macl',
  'moco',
  'mocov3',
  'ntxent',
]


def info_nce(
  queries,
  keys,
  negatives=None,
  weights=None,
  *,
  temperature=0.1,
  in_batch=True,
  normalize=True,
  symmetric=False,
):
  """InfoNCE: classify the positive key of each query among the negatives.

  mean_i −log e^{s(q_i,k_i)/τ} / (e^{s(q_i,k_i)/τ} + Σ_n e^{s(q_i,n)/τ}), with
  s the cosine (`normalize`), the dot product, or qᵀWk (`weights`).

  Args:
    queries: [B, D].
    keys: [B, D']; row i is the positive of query i. D' = D without weights.
    negatives: optional [K, D'] shared by all queries, or [B, K, D'] of each
      query; taken as they are, so give unit rows.
    weights: optional [D, D'] matrix W of the bilinear score.
    temperature: τ, above 0; a number or an array scalar.
    in_batch: whether the other keys of the batch are negatives too.
    normalize: whether queries and keys are brought to unit norm here.
    symmetric: average with the direction from keys to queries; in-batch
      negatives only.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit, there are no negatives at all, or
      symmetric with external negatives.

  References:
    van den Oord et al., Representation learning with contrastive predictive
    coding, https://arxiv.org/abs/1807.03748, 2018.

  >>> q = jnp.array([[1.0, 0.0], [0.0, 1.0]])
  >>> round(float(info_nce(q, q, temperature=1.0)), 4)  # log(1 + 1/e)
  0.3133
  """
  if negatives is None and not in_batch:
    raise ValueError('negatives are needed where in_batch is False')
  if symmetric and negatives is not None:
    raise ValueError('symmetric goes with in-batch negatives only')
  keys_spec = 'B D' if weights is None else 'B E'
  sizes = shapes.check(queries=(queries, 'B D'), keys=(keys, keys_spec))
  queries, keys = at_least_float32(queries, keys)
  if normalize:
    queries, keys = distance.normalize(queries), distance.normalize(keys)
  if weights is not None:
    shapes.check(weights=(weights, f'{sizes["D"]} {sizes["E"]}'))
    queries = queries @ weights.astype(queries.dtype)
  if negatives is not None:
    negatives = negative_logits(queries, negatives) / temperature
  if not in_batch:
    positive = jnp.sum(queries * keys, -1) / temperature
    return jnp.mean(cross_entropy(positive, negatives))
  if pair_sums.too_many(sizes['B'], sizes['B'], queries):
    return _streamed_entropy(queries / temperature, keys, negatives, symmetric)
  logits = queries @ keys.T / temperature
  forward = _diagonal_entropy(logits, negatives)
  if symmetric:
    return (forward + _diagonal_entropy(logits.T)) / 2
  return forward


def negative_logits(queries, negatives):
  """[B, K] dot products with shared or own negatives, shapes checked."""
  sizes = dict(zip('BD', queries.shape, strict=True))
  own = jnp.ndim(negatives) == 3
  spec = f'{sizes["B"]} K {sizes["D"]}' if own else f'K {sizes["D"]}'
  shapes.check(negatives=(negatives, spec))
  negatives = negatives.astype(queries.dtype)
  return jnp.einsum('bd,bkd->bk' if own else 'bd,kd->bk', queries, negatives)


def cross_entropy(positive, negatives, keep=None):
  """−log softmax at the positive, exact to rounding even near zero.

  log(1 + Σ_n e^{n − p}), which does not cancel where the positive wins.

  Args:
    positive: [...] logits.
    negatives: [..., K] logits.
    keep: optional [..., K] bool; True = counted.

  Returns:
    [...].
  """
  keep = jnp.ones(negatives.shape, bool) if keep is None else keep
  return jax.nn.softplus(masked_logsumexp(negatives, keep) - positive)


def _diagonal_entropy(logits, more=None):
  """Mean cross-entropy of rows whose positive stands on the diagonal."""
  keep = ~jnp.eye(logits.shape[0], dtype=bool)
  positive = jnp.diagonal(logits)
  if more is not None:
    logits = jnp.concatenate([logits, more], axis=1)
    keep = jnp.concatenate([keep, jnp.ones(more.shape, bool)], axis=1)
  return jnp.mean(cross_entropy(positive, logits, keep))


def _streamed_entropy(queries, keys, more, symmetric):
  """As the mean of `_diagonal_entropy`, without the matrix of all pairs."""
  positive = jnp.sum(queries * keys, -1)
  ids = jnp.arange(len(queries), dtype=jnp.int32)
  if symmetric:
    totals = pair_sums.logsumexp_both(queries, keys, ids, ids)
    return jnp.mean(jax.nn.softplus(jnp.stack(totals) - positive[None, :]))
  total = pair_sums.logsumexp(queries, keys, ids, ids)
  if more is not None:
    total = jnp.logaddexp(total, jax.nn.logsumexp(more, 1))
  return jnp.mean(jax.nn.softplus(total - positive))


def ntxent(z1, z2, *, temperature=0.5, normalize=True):
  """Normalized temperature-scaled cross-entropy over 2B views (SimCLR).

  mean over the 2B embeddings of −log e^{s(i,j)/τ} / Σ_{k≠i} e^{s(i,k)/τ},
  with j the other view of i.

  Args:
    z1: [B, D] first views, any scale; normalized here.
    z2: [B, D] second views; row i is the positive of row i of z1.
    temperature: τ, above 0.
    normalize: False compares raw dot products.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Chen et al., A simple framework for contrastive learning of visual
    representations, https://arxiv.org/abs/2002.05709, 2020.

  Deviations:
    The official TensorFlow code sums the means of the two views: twice this.

  >>> z = jnp.array([[1.0, 0.0], [0.0, 1.0]])
  >>> round(float(ntxent(z, z, temperature=1.0)), 4)  # log(1 + 2/e)
  0.5514
  """
  positive, negatives = two_view_sums(z1, z2, temperature, normalize)
  return jnp.mean(jax.nn.softplus(negatives - positive[None]))


def moco(queries, keys, queue, *, temperature=0.07):
  """InfoNCE of student queries against teacher keys and a queue (MoCo).

  mean_i −log e^{q_i·k_i/τ} / (e^{q_i·k_i/τ} + Σ_n e^{q_i·n/τ}), n in the queue.

  Args:
    queries: [B, D] student's, any scale; normalized here.
    keys: [B, D] teacher's, any scale; normalized here; no gradient.
    queue: [K, D] unit rows of past keys; no gradient.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    He et al., Momentum contrast for unsupervised visual representation
    learning, https://arxiv.org/abs/1911.05722, 2019, equation 1.

  >>> q, queue = jnp.array([[2.0, 0.0]]), jnp.array([[0.0, 1.0]])
  >>> round(float(moco(q, q, queue, temperature=1.0)), 4)
  0.3133
  """
  keys, queue = jax.lax.stop_gradient((keys, queue))
  return info_nce(queries, keys, queue, temperature=temperature, in_batch=False)


def mocov3(queries, keys, *, temperature=0.2):
  """In-batch InfoNCE of MoCo v3, one direction, times 2τ.

  2τ · mean_i −log e^{q_i·k_i/τ} / Σ_j e^{q_i·k_j/τ}. Symmetrize by summing the
  two directions.

  Args:
    queries: [B, D] student's predictions, any scale; normalized here.
    keys: [B, D] teacher's projections, any scale; normalized here; no gradient.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Chen et al., An empirical study of training self-supervised vision
    transformers, https://arxiv.org/abs/2104.02057, 2021.

  >>> q = jnp.array([[1.0, 0.0], [0.0, 1.0]])
  >>> round(float(mocov3(q, q, temperature=1.0)), 4)  # 2 log(1 + 1/e)
  0.6265
  """
  keys = jax.lax.stop_gradient(keys)
  return 2 * temperature * info_nce(queries, keys, temperature=temperature)


def decoupled(z1, z2, *, temperature=0.1):
  """Decoupled contrastive loss: the positive leaves the denominator.

  mean over the 2B embeddings of −s(i,j)/τ + log Σ_{k∉{i,j}} e^{s(i,k)/τ}.

  Args:
    z1: [B, D] first views, any scale; normalized here; B ≥ 2.
    z2: [B, D] second views.
    temperature: τ, above 0.

  Returns:
    Scalar; may be negative.

  Raises:
    ValueError: the shapes differ.

  References:
    Yeh et al., Decoupled contrastive learning,
    https://arxiv.org/abs/2110.06848, 2021.

  >>> z = jnp.array([[1.0, 0.0], [0.0, 1.0]])
  >>> round(float(decoupled(z, z, temperature=1.0)), 4)  # log 2 − 1
  -0.3069
  """
  positive, negatives = two_view_sums(z1, z2, temperature)
  return jnp.mean(negatives - positive[None])


def decoupled_weighted(z1, z2, *, temperature=0.1, sigma=0.5):
  """Decoupled contrastive loss with von Mises-Fisher weighted positives.

  As `decoupled`, the positive term times w_i = 2 − e^{s_i/σ} / mean e^{s/σ}.

  Args:
    z1: [B, D] first views, any scale; normalized here; B ≥ 2.
    z2: [B, D] second views.
    temperature: τ, above 0.
    sigma: σ, above 0; no gradient flows through the weights.

  Returns:
    Scalar; may be negative.

  Raises:
    ValueError: the shapes differ.

  References:
    Yeh et al., Decoupled contrastive learning,
    https://arxiv.org/abs/2110.06848, 2021.

  >>> z = jnp.array([[1.0, 0.0], [0.0, 1.0]])  # equal positives: weights 1
  >>> round(float(decoupled_weighted(z, z, temperature=1.0)), 4)
  -0.3069
  """
  positive, negatives = two_view_sums(z1, z2, temperature)
  similarity = jax.lax.stop_gradient(positive) * temperature
  weights = 2 - len(positive) * jax.nn.softmax(similarity / sigma)
  return jnp.mean(negatives - (weights * positive)[None])


def directclr(z1, z2, *, num_dims, temperature=0.1):
  """NT-Xent on the first coordinates of the representation (DirectCLR).

  ntxent(r1[:, :d0], r2[:, :d0]); no projector is needed.

  Args:
    z1: [B, D] representations of the first views, any scale.
    z2: [B, D] of the second views.
    num_dims: d0, the size of the subvector, at most D.
    temperature: above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ or num_dims exceeds D.

  References:
    Jing et al., Understanding dimensional collapse in contrastive
    self-supervised learning, https://arxiv.org/abs/2110.09348, 2021.

  >>> z = jnp.array([[1.0, 0.0, 5.0], [0.0, 1.0, 7.0]])
  >>> round(float(directclr(z, z, num_dims=2, temperature=1.0)), 4)
  0.5514
  """
  sizes = shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  if not 0 < num_dims <= sizes['D']:
    raise ValueError(f'num_dims is {num_dims}; expected 1 to D={sizes["D"]}')
  return ntxent(z1[:, :num_dims], z2[:, :num_dims], temperature=temperature)


def macl(z1, z2, *, temperature=0.1, alpha=0.5, threshold=0.0, eps=1e-8):
  """Model-aware contrastive loss: the temperature follows the alignment.

  mean over 2B of −log P_i / (1 − P_i) with the factor 1/(1 − P_i) held fixed,
  P_i the NT-Xent probability at temperature τ·(1 + α·(A − A₀)), A the mean
  cosine of the positives, also held fixed.

  Args:
    z1: [B, D] first views, any scale; normalized here.
    z2: [B, D] second views.
    temperature: τ, above 0.
    alpha: α in [0, 1]; 0 keeps the temperature constant.
    threshold: A₀ in [0, 1].
    eps: keeps the division by 1 − P finite.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Huang et al., Model-aware contrastive learning: towards escaping the
    dilemmas, https://arxiv.org/abs/2207.07874, 2022.

  >>> z = jnp.array([[1.0, 0.0], [0.0, 1.0]])  # -log P / (1 - P)
  >>> round(float(macl(z, z, temperature=1.0, alpha=0.0)), 4)
  1.3009
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'))
  cosines = jnp.sum(distance.normalize(z1) * distance.normalize(z2), -1)
  mean = jax.lax.stop_gradient(jnp.mean(cosines))
  adapted = temperature * (1 + alpha * (mean - threshold))
  positive, negatives = two_view_sums(z1, z2, adapted)
  losses = jax.nn.softplus(negatives - positive[None])
  gain = 1 / (-jnp.expm1(-losses) + eps)
  return jnp.mean(jax.lax.stop_gradient(gain) * losses)
