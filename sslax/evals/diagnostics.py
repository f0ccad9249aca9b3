"""Health and geometry of embeddings: arrays in, numbers out."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from sslax import losses, shapes
from sslax.ops.distance import normalize, safe_norm
from sslax.ops.precision import at_least_float32


def embedding_std(z):
  """Deviation of normalized embeddings over the batch, times √D.

  √D·mean_d std_i(z_id / ‖z_i‖): 1 where they fill the sphere evenly, 0 where
  all are equal.

  Args:
    z: [B, D], any scale; normalized here.

  Returns:
    Scalar in [0, 1].

  References:
    Chen & He, Exploring simple Siamese representation learning,
    https://arxiv.org/abs/2011.10566, 2020, section 4.1 (there without √D).

  >>> z = jnp.array([[1.0, 0.0], [-2.0, 0.0], [0.0, 3.0], [0.0, -4.0]])
  >>> round(float(embedding_std(z)), 4)
  1.0
  """
  shapes.check(z=(z, 'B D'))
  z = normalize(z)
  return jnp.sqrt(z.shape[1]).astype(z.dtype) * jnp.mean(jnp.std(z, 0))


def singular_values(z):
  """Singular values of the embeddings as they are, the largest first.

  Args:
    z: [B, D], any scale.

  Returns:
    [min(B, D)].

  >>> singular_values(jnp.array([[0.0, 3.0], [4.0, 0.0]])).tolist()
  [4.0, 3.0]
  """
  shapes.check(z=(z, 'B D'))
  return jnp.linalg.svd(at_least_float32(z), compute_uv=False)


def covariance_spectrum(z):
  """Eigenvalues of the embeddings' covariance, the largest first.

  Args:
    z: [B, D], any scale; the mean is removed here, the divisor is B − 1.

  Returns:
    [min(B, D)], not negative.

  >>> spectrum = covariance_spectrum(jnp.array([[3.0, 1.0], [1.0, 1.0]]))
  >>> [round(value, 4) for value in spectrum.tolist()]
  [2.0, 0.0]
  """
  shapes.check(z=(z, 'B D'))
  z = at_least_float32(z)
  values = singular_values(z - jnp.mean(z, 0, keepdims=True))
  return values**2 / max(len(z) - 1, 1)


def _exp_entropy(values, eps):
  """Exp of the entropy of values / their sum + eps."""
  total = jnp.maximum(jnp.sum(values), jnp.finfo(values.dtype).tiny)
  p = values / total + eps
  logs = jnp.log(jnp.where(p > 0, p, 1))
  return jnp.exp(-jnp.sum(p * logs))


def rankme(z, eps=1e-7):
  """RankMe: a smooth rank of the embeddings.

  exp(−Σ_k p_k log p_k), p_k = σ_k / Σ_j σ_j + eps.

  Args:
    z: [B, D], any scale, not centered; better B > D.
    eps: added to each share.

  Returns:
    Scalar, about [1, min(B, D)].

  References:
    Garrido et al., RankMe, https://arxiv.org/abs/2210.02885, 2023.

  >>> round(float(rankme(jnp.diag(jnp.array([5.0, 5.0, 0.0])))), 3)
  2.0
  """
  return _exp_entropy(singular_values(z), eps)


def effective_rank(z):
  """Effective rank: RankMe without its eps.

  exp(−Σ_k p_k log p_k), p_k = σ_k / Σ_j σ_j.

  Args:
    z: [B, D], any scale, not centered.

  Returns:
    Scalar in [1, min(B, D)]; 1 for all zeros.

  References:
    Roy & Vetterli, The effective rank: a measure of effective
    dimensionality, EUSIPCO, 2007.

  >>> round(float(effective_rank(jnp.eye(3))), 4)
  3.0
  """
  return _exp_entropy(singular_values(z), 0.0)


def alpha_req(z, first=0, last=None):
  """Decay α of the covariance spectrum, λ_i ∝ i^−α, by least squares.

  The slope of log λ_i against log i. Eigenvalues of rounding size are left
  out.

  Args:
    z: [B, D], any scale.
    first: number of leading eigenvalues to leave out.
    last: eigenvalues from this one on are left out; default none.

  Returns:
    Scalar; about 1 where representations generalize best, large where few
    dimensions carry everything.

  References:
    Agrawal et al., α-ReQ: assessing representation quality in self-supervised
    learning by measuring eigenspectrum decay, NeurIPS, 2022.

  >>> z = jnp.diag(jnp.array([4.0, 2.0, 4 / 3]))
  >>> round(float(alpha_req(jnp.concatenate([z, -z]))), 3)  # λ ∝ i^−2
  2.0
  """
  values = covariance_spectrum(z)
  eps = jnp.finfo(values.dtype).eps * max(z.shape)
  kept = (values > eps * values[0])[first:last]
  ranks = jnp.log(jnp.arange(1, len(values) + 1, dtype=values.dtype))
  x, y = (
    ranks[first:last],
    jnp.log(jnp.where(values > 0, values, 1))[first:last],
  )
  count = jnp.maximum(jnp.sum(kept.astype(x.dtype)), 1)
  x = jnp.where(kept, x - jnp.sum(jnp.where(kept, x, 0)) / count, 0)
  return -jnp.sum(x * y) / jnp.maximum(jnp.sum(x * x), jnp.finfo(x.dtype).tiny)


def lidar(z, delta=1e-4, eps=1e-7):
  """LiDAR: the smooth rank of the linear discriminant of augmented images.

  exp of the entropy of the normalized eigenvalues (+ eps) of
  Σ_w^−½ Σ_b Σ_w^−½, each image being a class of its views:
  Σ_b = cov of the images' means, Σ_w = mean cov within images + delta·I.

  Args:
    z: [B, V, D], V views of each of B images, any scale.
    delta: keeps Σ_w invertible.
    eps: added to each share.

  Returns:
    Scalar, about [1, min(B − 1, D)].

  References:
    Thilak et al., LiDAR: sensing linear probing performance in joint embedding
    SSL architectures, https://arxiv.org/abs/2312.04000, 2023.

  >>> means = jnp.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
  >>> round(float(lidar(jnp.stack([means, means], 1))), 3)
  2.0
  """
  shapes.check(z=(z, 'B V D'))
  z = at_least_float32(z)
  means = jnp.mean(z, 1)
  within = (z - means[:, None, :]).reshape(-1, z.shape[-1])
  between = means - jnp.mean(means, 0, keepdims=True)
  sigma_w = within.T @ within / len(within)
  sigma_w += delta * jnp.eye(z.shape[-1], dtype=z.dtype)
  values, vectors = jnp.linalg.eigh(sigma_w)
  # Singular values of the whitened means: roots of the eigenvalues wanted.
  roots = (between @ vectors) / jnp.sqrt(values)[None, :]
  return _exp_entropy(singular_values(roots) ** 2, eps)


def alignment(x, y, alpha=2):
  """How near the positive pairs are: mean_i ‖x̄_i − ȳ_i‖^α.

  Args:
    x: [B, D], any scale; normalized here (losses.alignment takes unit rows).
    y: [B, D], positives of x; normalized here.
    alpha: power, positive.

  Returns:
    Scalar in [0, 2^α], 0 where every pair agrees.

  References:
    Wang & Isola, Understanding contrastive representation learning through
    alignment and uniformity on the hypersphere,
    https://arxiv.org/abs/2005.10242, 2020.

  >>> float(alignment(jnp.array([[2.0, 0.0]]), jnp.array([[0.0, 1.0]])))
  2.0
  """
  shapes.check(x=(x, 'B D'), y=(y, 'B D'))
  return losses.alignment(*map(normalize, (x, y)), alpha=alpha)


def uniformity(z, t=2):
  """How evenly the sphere is covered: log mean_{i<j} exp(−t‖z̄_i − z̄_j‖²).

  Args:
    z: [B, D], any scale; normalized here; B at least 2.
    t: sharpness, positive.

  Returns:
    Scalar in [−4t, 0], 0 where all are equal.

  References:
    Wang & Isola, Understanding contrastive representation learning through
    alignment and uniformity on the hypersphere,
    https://arxiv.org/abs/2005.10242, 2020.

  >>> round(float(uniformity(jnp.array([[1.0, 0.0], [-3.0, 0.0]]))), 4)
  -8.0
  """
  shapes.check(z=(z, 'B D'))
  return losses.uniformity(normalize(z), t=t)


def tolerance(z, labels):
  """Mean cosine of two different embeddings of one class.

  Args:
    z: [B, D], any scale; normalized here.
    labels: [B] int.

  Returns:
    Scalar in [-1, 1]; 0 where no class has two members.

  References:
    Wang & Liu, Understanding the behaviour of contrastive loss,
    https://arxiv.org/abs/2012.09740, 2021.

  Deviations:
    The mean is over pairs of one class, so that it does not depend on how many
    classes there are; a row is no pair with itself.

  >>> z = jnp.array([[1.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
  >>> round(float(tolerance(z, jnp.array([0, 0, 1]))), 4)
  0.6
  """
  shapes.check(z=(z, 'B D'), labels=(labels, 'B'))
  z, labels = normalize(z), jnp.asarray(labels)
  same = (labels[:, None] == labels[None, :]) & ~jnp.eye(len(z), dtype=bool)
  total = jnp.sum(jnp.where(same, z @ z.T, 0))
  return total / jnp.maximum(jnp.sum(same.astype(z.dtype)), 1)


def off_diagonal_correlation(z):
  """Mean absolute correlation of two different dimensions.

  Args:
    z: [B, D], any scale; D at least 2. A constant dimension correlates with
      nothing.

  Returns:
    Scalar in [0, 1], 0 where dimensions are uncorrelated.

  References:
    Hua et al., On feature decorrelation in self-supervised learning,
    https://arxiv.org/abs/2105.00470, 2021.

  >>> z = jnp.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
  >>> round(float(off_diagonal_correlation(z)), 4)
  1.0
  """
  shapes.check(z=(z, 'B D'))
  z = at_least_float32(z)
  z = normalize(z - jnp.mean(z, 0, keepdims=True), axis=0)
  d = z.shape[1]
  sizes = jnp.where(jnp.eye(d, dtype=bool), 0, jnp.abs(z.T @ z))
  return jnp.sum(sizes) / max(d * (d - 1), 1)


class InfoNCEBound(NamedTuple):
  """A lower bound of the mutual information of two views.

  Attributes:
    bound: [], nats, at most `limit`.
    limit: [], log B: no batch of B can show more.
    is_saturated: [], bool: the bound is within the margin of the limit, so it
      tells nothing about how much information there is.
  """

  bound: jax.Array
  limit: jax.Array
  is_saturated: jax.Array


def infonce_bound(scores, margin=0.1):
  """Shows log B + mean_i (s_ii − log Σ_j exp s_ij) ≤ I(x; y), and its limit.

  Args:
    scores: [B, B] critic s (cosine / temperature, say), the diagonal positive.
    margin: nats below log B from which on the bound counts as saturated.

  Returns:
    InfoNCEBound.

  References:
    van den Oord et al., Representation learning with contrastive predictive
    coding, https://arxiv.org/abs/1807.03748, 2018.
    Poole et al., On variational bounds of mutual information,
    https://arxiv.org/abs/1905.06922, 2019.

  >>> round(float(infonce_bound(jnp.zeros((4, 4))).bound), 4)
  0.0
  >>> bool(infonce_bound(99 * jnp.eye(4)).is_saturated)
  True
  """
  b = shapes.check(scores=(scores, 'B B'))['B']
  scores = at_least_float32(scores)
  limit = jnp.log(b).astype(scores.dtype)
  bound = limit + jnp.mean(jnp.diag(jax.nn.log_softmax(scores, -1)))
  return InfoNCEBound(bound, limit, bound >= limit - margin)


class ClassGeometry(NamedTuple):
  """How near the embeddings are to the simplex of collapsed classes.

  Attributes:
    within_ratio: [], variance within classes / all variance, in [0, 1]; 0
      where each class is one point.
    mean_cosine: [], mean cosine of two centered class means.
    cosine_gap: [], mean |cosine + 1/(C − 1)| over pairs, 0 at the simplex.
    norm_variation: [], deviation / mean of the norms of centered class means,
      0 at the simplex.
  """

  within_ratio: jax.Array
  mean_cosine: jax.Array
  cosine_gap: jax.Array
  norm_variation: jax.Array


def class_collapse(z, labels, *, num_classes):
  """Geometry of the classes: variance within, and angles of their means.

  Args:
    z: [B, D], any scale, not normalized here.
    labels: [B] int in [0, num_classes); every class must occur.
    num_classes: C, at least 2.

  Returns:
    ClassGeometry. Centers are means over classes of the class means.

  References:
    Papyan et al., Prevalence of neural collapse during the terminal phase of
    deep learning training, https://arxiv.org/abs/2008.08186, 2020.
    Graf et al., Dissecting supervised contrastive learning,
    https://arxiv.org/abs/2102.08817, 2021.

  >>> z = jnp.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
  >>> geometry = class_collapse(z, jnp.array([0, 0, 1, 1]), num_classes=2)
  >>> [round(float(value), 4) for value in geometry]
  [0.0, -1.0, 0.0, 0.0]
  """
  shapes.check(z=(z, 'B D'), labels=(labels, 'B'))
  z = at_least_float32(z)
  tiny = jnp.finfo(z.dtype).tiny
  members = jax.nn.one_hot(labels, num_classes, dtype=z.dtype)
  counts = jnp.maximum(jnp.sum(members, 0), 1)
  means = (members.T @ z) / counts[:, None]
  within = jnp.sum((z - members @ means) ** 2)
  total = jnp.sum((z - jnp.mean(z, 0, keepdims=True)) ** 2)
  centered = means - jnp.mean(means, 0, keepdims=True)
  unit, norms = normalize(centered), safe_norm(centered)
  pairs = ~jnp.eye(num_classes, dtype=bool)
  num_pairs = num_classes * (num_classes - 1)
  cosines = unit @ unit.T
  gaps = jnp.abs(cosines + 1 / (num_classes - 1))
  return ClassGeometry(
    within_ratio=within / jnp.maximum(total, tiny),
    mean_cosine=jnp.sum(jnp.where(pairs, cosines, 0)) / num_pairs,
    cosine_gap=jnp.sum(jnp.where(pairs, gaps, 0)) / num_pairs,
    norm_variation=jnp.std(norms) / jnp.maximum(jnp.mean(norms), tiny),
  )
