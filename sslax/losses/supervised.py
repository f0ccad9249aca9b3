"""Contrastive losses that use labels."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import cross_entropy
from sslax.ops import distance, labeled_views, pair_sums
from sslax.ops.masked import masked_logsumexp, masked_mean
from sslax.ops.precision import at_least_float32
from sslax.ops.selectors import label_masks

__all__ = [
  'exemplar_moco',
  'l_spread',
  'ntxent_pairs',
  'paco',
  'self_supcon',
  'supcon',
  'ubernce',
]


def supcon(
  features,
  labels=None,
  mask=None,
  *,
  temperature=0.07,
  base_temperature=None,
  form='out',
  contrast_mode='all',
  count_lonely=True,
):
  """Supervised contrastive loss over all views of all images.

  p_i(a) = e^{z_i·z_a/τ} / Σ_{k≠i} e^{z_i·z_k/τ}, P(i) the positives of i;
  out: mean_i −(τ/τ_b) (1/|P(i)|) Σ_{a∈P(i)} log p_i(a);
  in: mean_i −(τ/τ_b) log (1/|P(i)|) Σ_{a∈P(i)} p_i(a).

  Args:
    features: [B, V, D] unit rows, V views of each image.
    labels: optional [B] int; P(i) holds the other views of the same class.
      Without labels and mask, the other views of the same image (SimCLR).
    mask: optional [B, B], instead of labels: how far (0 to 1) image j counts
      as a positive of image i; may be asymmetric.
    temperature: τ, above 0.
    base_temperature: τ_b, which scales the loss by τ/τ_b; by default τ.
    form: 'out', or 'in' with the mean over positives inside the logarithm.
    contrast_mode: 'all' views are anchors, or 'one', the first.
    count_lonely: whether an anchor without positives counts, as a zero, in
      the mean.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes do not fit, both labels and mask are given, or an
      unknown form or contrast_mode.

  References:
    Khosla et al., Supervised contrastive learning,
    https://arxiv.org/abs/2004.11362, 2020.

  Deviations:
    The official code sets τ_b = 0.07 whatever τ is.

  >>> z = jnp.eye(2)[:, None, :].repeat(2, 1)  # two images, two equal views
  >>> round(float(supcon(z, jnp.array([0, 1]), temperature=1.0)), 4)
  0.5514
  """
  sizes = shapes.check(features=(features, 'B V D'))
  if form not in ('out', 'in') or contrast_mode not in ('all', 'one'):
    raise ValueError(
      f"form is {form!r}, contrast_mode is {contrast_mode!r}; expected 'out'"
      " or 'in', and 'all' or 'one'"
    )
  if labels is not None and mask is not None:
    raise ValueError('labels and mask are given; expected one of them')
  if labels is not None:
    shapes.check(labels=(labels, f'{sizes["B"]}'))
  features = at_least_float32(features) * (1 / temperature) ** 0.5
  num_rows = sizes['B'] * sizes['V']
  num_anchors = sizes['B'] if contrast_mode == 'one' else num_rows
  if mask is None and pair_sums.too_many(num_anchors, num_rows, features):
    terms = labeled_views.supcon_terms(features, labels, form, contrast_mode)
  else:
    positives = _image_mask(labels, mask, sizes['B'], features.dtype)
    terms = _supcon_terms(features, positives, form, contrast_mode)
  scale = 1 if base_temperature is None else temperature / base_temperature
  if count_lonely:
    return scale * jnp.mean(terms[0])
  return scale * masked_mean(*terms)


def _image_mask(labels, mask, num_images, dtype):
  """[B, B] weights of the positives among images, self included."""
  if labels is not None:
    mask = labels[:, None] == labels[None, :]
  if mask is None:
    mask = jnp.eye(num_images)
  shapes.check(mask=(mask, f'{num_images} {num_images}'))
  return jnp.asarray(mask).astype(dtype)


def _view_major(features, positives, contrast_mode):
  """Similarities, positives and not-self of anchors against all views."""
  num_images, num_views, _ = features.shape
  flat = jnp.swapaxes(features, 0, 1).reshape(num_images * num_views, -1)
  num_anchors = 1 if contrast_mode == 'one' else num_views
  similarities = flat[: num_images * num_anchors] @ flat.T
  others = ~jnp.eye(*similarities.shape, dtype=bool)
  tiled = jnp.tile(positives, (num_anchors, num_views))
  return similarities, tiled * others.astype(tiled.dtype), others


def _supcon_terms(features, positives, form, contrast_mode):
  """[B·V] losses, zero where there is no positive, and whether there is."""
  logits, positives, others = _view_major(features, positives, contrast_mode)
  count, some = jnp.sum(positives, 1), jnp.any(positives > 0, 1)
  total = masked_logsumexp(logits, others)
  if form == 'in':
    safe = jnp.where(positives > 0, positives, jnp.ones_like(positives))
    inside = masked_logsumexp(logits + jnp.log(safe), positives > 0, empty=0)
    losses = total - inside + jnp.log(jnp.maximum(count, 1e-6))
    return jnp.where(count > 0, losses, jnp.zeros_like(losses)), some
  summed = jnp.sum(positives * (total[:, None] - logits), 1)
  return summed / jnp.where(count < 1e-6, jnp.ones_like(count), count), some


def ubernce(embeddings, labels, *, temperature=0.1):
  """Multi-positive InfoNCE with the sum over positives inside the log.

  mean_i −log Σ_{p∈P(i)} e^{s(i,p)/τ} / (Σ_{p∈P(i)} e^{s(i,p)/τ} +
  Σ_{n∈N(i)} e^{s(i,n)/τ}), over the anchors that have positives.

  Args:
    embeddings: [B, D], any scale; normalized here.
    labels: [B] int, class or image identity.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Han et al., Self-supervised co-training for video representation learning,
    https://arxiv.org/abs/2010.09709, 2020.

  >>> z = jnp.eye(2).repeat(2, 0)
  >>> round(float(ubernce(z, jnp.array([0, 0, 1, 1]), temperature=1.0)), 4)
  0.5514
  """
  shapes.check(embeddings=(embeddings, 'B D'), labels=(labels, 'B'))
  positives, negatives = label_masks(labels)
  logits = distance.cosine(embeddings, embeddings) / temperature
  inside = masked_logsumexp(logits, positives, empty=0)
  losses = cross_entropy(inside, logits, negatives)
  return masked_mean(losses, jnp.any(positives, 1))


def ntxent_pairs(embeddings, labels, *, temperature=0.1):
  """NT-Xent with one term for each ordered positive pair.

  mean over (i, p), y_p = y_i, p ≠ i, of −log e^{s(i,p)/τ} / (e^{s(i,p)/τ} +
  Σ_{n: y_n≠y_i} e^{s(i,n)/τ}); other positives leave the denominator.

  Args:
    embeddings: [B, D], any scale; normalized here.
    labels: [B] int, class or image identity.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0; 0 where there is no positive pair.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Chen et al., A simple framework for contrastive learning of visual
    representations, https://arxiv.org/abs/2002.05709, 2020; with labels as in
    https://github.com/KevinMusgrave/pytorch-metric-learning.

  >>> z = jnp.eye(2).repeat(2, 0)
  >>> round(float(ntxent_pairs(z, jnp.array([0, 0, 1, 1]), temperature=1.0)), 4)
  0.5514
  """
  shapes.check(embeddings=(embeddings, 'B D'), labels=(labels, 'B'))
  positives, negatives = label_masks(labels)
  logits = distance.cosine(embeddings, embeddings) / temperature
  total = masked_logsumexp(logits, negatives)
  losses = jax.nn.softplus(total[:, None] - logits)
  return masked_mean(losses, positives)


def self_supcon(features, labels, *, temperature=0.1, weight=1.0):
  """SupCon together with its self-supervised form on the same views.

  L_SupCon(labels) + weight · L_SupCon(image identity).

  Args:
    features: [B, V, D] unit rows, V ≥ 2 views of each image.
    labels: [B] int.
    temperature: above 0.
    weight: of the self-supervised term, at least 0.

  Returns:
    Scalar.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Islam et al., A broad study on the transferability of visual
    representations with contrastive learning,
    https://arxiv.org/abs/2103.13517, 2021.

  >>> z = jnp.eye(2)[:, None, :].repeat(2, 1)
  >>> round(float(self_supcon(z, jnp.array([0, 1]), temperature=1.0)), 4)
  1.1029
  """
  by_class = supcon(features, labels, temperature=temperature)
  return by_class + weight * supcon(features, temperature=temperature)


def l_spread(z1, z2, labels, *, alpha=0.5, temperature=0.5):
  """Attracts a class against the others and spreads it within (L_spread).

  α·mean_i −1/|P(i)| Σ_{p∈P(i)} log e^{s(i,p)/τ} / (e^{s(i,p)/τ} +
  Σ_{n: y_n≠y_i} e^{s(i,n)/τ}) + (1 − α)·mean_i −log e^{s(i,i')/τ} /
  Σ_{a: y_a=y_i, a≠i} e^{s(i,a)/τ}, with i' the other view of i and P(i) the
  other embeddings of its class.

  Args:
    z1: [B, D] first views, any scale; normalized here.
    z2: [B, D] second views.
    labels: [B] int.
    alpha: α in [0, 1], the share of the attracting term.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Fu et al., The details matter: preventing class collapse in supervised
    contrastive learning, AAAI workshop, 2022; its sequel: Chen et al.,
    Perfectly balanced, https://arxiv.org/abs/2204.07596, 2022. The official
    code: HazyResearch/thanos-code, unagi/tasks/loss_fns/contrastive_loss.py.

  Deviations:
    In the official code the anchors are the second views and all that they
    are compared with are first views; the positives of the attracting term
    are cut at s/τ = 1.

  >>> z = jnp.eye(2)  # one class: half of log(1 + 2/e) is left
  >>> round(float(l_spread(z, z, jnp.array([0, 0]), temperature=1.0)), 4)
  0.2757
  """
  shapes.check(z1=(z1, 'B D'), z2=(z2, 'B D'), labels=(labels, 'B'))
  z = jnp.concatenate(at_least_float32(z1, z2))
  logits = distance.cosine(z, z) / temperature
  positives, negatives = label_masks(jnp.concatenate([labels, labels]))
  total = masked_logsumexp(logits, negatives)
  pairs = jax.nn.softplus(total[:, None] - logits)
  attract = jnp.mean(masked_mean(pairs, positives, axis=1))
  num = z1.shape[0]
  view = jnp.roll(jnp.eye(2 * num, dtype=bool), num, axis=1)
  other_view = jnp.sum(jnp.where(view, logits, jnp.zeros_like(logits)), 1)
  spread = cross_entropy(other_view, logits, positives & ~view)
  return alpha * attract + (1 - alpha) * jnp.mean(spread)


def paco(
  queries,
  others,
  class_logits,
  labels,
  other_labels,
  *,
  temperature=0.2,
  alpha=0.05,
  beta=1.0,
):
  """Parametric contrastive loss: learned class centers join the contrast.

  mean_i −(1/w_i)·[β·log p_i(c_{y_i}) + α·Σ_{k∈P(i)} log p_i(k)],
  w_i = β + α·|P(i)|, p_i the softmax over the C class logits and the
  similarities e^{q_i·k/τ} of the other queries and of `others`.

  Args:
    queries: [B, D] unit rows.
    others: [K, D] unit rows of the other views and the queue.
    class_logits: [B, C], the learned centers' scores; for long-tailed data add
      the log of the class frequencies.
    labels: [B] int in [0, C).
    other_labels: [K] int.
    temperature: τ, above 0.
    alpha: α, weight of each sample of the same class.
    beta: β, weight of the class center.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Cui et al., Parametric contrastive learning,
    https://arxiv.org/abs/2107.12028, 2021.

  >>> q, y = jnp.zeros((2, 2)), jnp.array([0, 1])  # 2 centers, 2 others: log 4
  >>> round(float(paco(q, q[:1], q, y, jnp.array([5]))), 4)
  1.3863
  """
  sizes = shapes.check(
    queries=(queries, 'B D'),
    others=(others, 'K D'),
    class_logits=(class_logits, 'B C'),
    labels=(labels, 'B'),
    other_labels=(other_labels, 'K'),
  )
  queries, others, class_logits = at_least_float32(
    queries, others, class_logits
  )
  samples = queries @ jnp.concatenate([queries, others]).T / temperature
  sample_labels = jnp.concatenate([labels, other_labels])
  counted = ~jnp.eye(sizes['B'], samples.shape[1], dtype=bool)
  same = (labels[:, None] == sample_labels[None, :]) & counted
  center = jax.nn.one_hot(labels, sizes['C'], dtype=samples.dtype)
  logits = jnp.concatenate([class_logits, samples], axis=1)
  keep = jnp.concatenate([jnp.ones(center.shape, bool), counted], axis=1)
  weights = jnp.concatenate(
    [beta * center, alpha * same.astype(center.dtype)], axis=1
  )
  gaps = masked_logsumexp(logits, keep)[:, None] - logits
  return jnp.mean(jnp.sum(weights * gaps, 1) / jnp.sum(weights, 1))


def exemplar_moco(
  queries, keys, queue, labels, queue_labels, *, temperature=0.07
):
  """MoCo whose queue loses the keys of the query's own class.

  mean_i −log e^{q·k⁺/τ} / (e^{q·k⁺/τ} + Σ_{n: y_n≠y_i} e^{q·n/τ}): labels only
  remove false negatives, each image stays its own exemplar.

  Args:
    queries: [B, D] student's, any scale; normalized here.
    keys: [B, D] teacher's, any scale; normalized here; no gradient.
    queue: [K, D] unit rows of past keys; no gradient.
    labels: [B] int.
    queue_labels: [K] int.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Zhao et al., What makes instance discrimination good for transfer
    learning?, https://arxiv.org/abs/2006.06606, 2020.

  >>> q, y = jnp.eye(2), jnp.array([0, 1])  # one negative each
  >>> round(float(exemplar_moco(q, q, q, y, y, temperature=1.0)), 4)
  0.3133
  """
  shapes.check(
    queries=(queries, 'B D'),
    keys=(keys, 'B D'),
    queue=(queue, 'K D'),
    labels=(labels, 'B'),
    queue_labels=(queue_labels, 'K'),
  )
  queries, keys, queue = at_least_float32(queries, keys, queue)
  keys, queue = jax.lax.stop_gradient((keys, queue))
  queries, keys = distance.normalize(queries), distance.normalize(keys)
  negatives = labels[:, None] != queue_labels[None, :]
  positive = jnp.sum(queries * keys, -1) / temperature
  logits = queries @ queue.T / temperature
  return jnp.mean(cross_entropy(positive, logits, negatives))
