"""Consistency of a sample's similarity distribution between views."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import info_nce
from sslax.ops import distance
from sslax.ops.precision import at_least_float32

__all__ = ['clsa', 'co2', 'relic', 'relic_invariance', 'ressl']


def ressl(
  queries, keys, queue, *, student_temperature=0.1, teacher_temperature=0.04
):
  """Relational consistency of student and teacher over a queue (ReSSL).

  mean_i −Σ_k softmax(k_i·n_k/τ_t) log softmax(q_i·n_k/τ_s).

  Args:
    queries: [B, D] student's, unit rows.
    keys: [B, D] teacher's on weakly augmented views, unit rows; no gradient.
    queue: [K, D] unit rows of past keys; no gradient.
    student_temperature: τ_s, above 0.
    teacher_temperature: τ_t, above 0, the smaller of the two.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Zheng et al., ReSSL: relational self-supervised learning with weak
    augmentation, https://arxiv.org/abs/2107.09282, 2021, and its code,
    https://github.com/KyleZheng1997/ReSSL.

  >>> q, queue = jnp.zeros((1, 2)), jnp.eye(2)
  >>> round(float(ressl(q, q, queue)), 4)  # uniform over two: log 2
  0.6931
  """
  shapes.check(
    queries=(queries, 'B D'), keys=(keys, 'B D'), queue=(queue, 'K D')
  )
  queries, keys, queue = at_least_float32(queries, keys, queue)
  keys, queue = jax.lax.stop_gradient((keys, queue))
  targets = jax.nn.softmax(keys @ queue.T / teacher_temperature)
  logs = jax.nn.log_softmax(queries @ queue.T / student_temperature)
  return -jnp.mean(jnp.sum(targets * logs, -1))


def clsa(weak, strong, keys, queue, *, temperature=0.2):
  """Distributional divergence of strong from weak views (CLSA).

  mean_i −Σ_c p(c|weak_i) log p(c|strong_i), p the softmax of x·c/τ over the
  batch's keys and the queue. CLSA adds it to MoCo's InfoNCE on the weak views.

  Args:
    weak: [B, D] student's weak views, any scale; normalized here; no gradient.
    strong: [B, D] student's strong views, any scale; normalized here.
    keys: [B, D] teacher's, any scale; normalized here; no gradient.
    queue: [K, D] unit rows of past keys; no gradient.
    temperature: τ, above 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Wang & Qi, Contrastive learning with stronger augmentations,
    https://arxiv.org/abs/2104.07713, 2021, and its code,
    https://github.com/maple-research-lab/CLSA.

  Deviations:
    As in the official code the batch's keys join the queue; the log of the
    softmax is fused, so that a vanishing probability stays finite.

  >>> x, queue = jnp.zeros((1, 2)), jnp.eye(2)
  >>> round(float(clsa(x, x, x, queue)), 4)  # uniform over three: log 3
  1.0986
  """
  shapes.check(
    weak=(weak, 'B D'),
    strong=(strong, 'B D'),
    keys=(keys, 'B D'),
    queue=(queue, 'K D'),
  )
  weak, strong, keys, queue = at_least_float32(weak, strong, keys, queue)
  weak, keys, queue = jax.lax.stop_gradient((weak, keys, queue))
  candidates = jnp.concatenate([distance.normalize(keys), queue]).T
  targets = jax.nn.softmax(distance.normalize(weak) @ candidates / temperature)
  logits = distance.normalize(strong) @ candidates / temperature
  return -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(logits), -1))


def co2(queries, keys, queue, *, temperature=0.04):
  """Symmetric consistency of query and positive over the negatives (CO2).

  mean_i ½[KL(P_i‖Q_i) + KL(Q_i‖P_i)], P_i = softmax(k_i·n/τ) and
  Q_i = softmax(q_i·n/τ) over the queue. CO2 adds it to MoCo's InfoNCE.

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
    Wei et al., CO2: consistent contrast for unsupervised visual
    representation learning, https://arxiv.org/abs/2010.02217, 2020.

  >>> q, k, queue = jnp.eye(2)[:1], jnp.eye(2)[1:], jnp.eye(2)
  >>> round(float(co2(q, k, queue, temperature=1.0)), 4)  # tanh(1/2)
  0.4621
  """
  shapes.check(
    queries=(queries, 'B D'), keys=(keys, 'B D'), queue=(queue, 'K D')
  )
  queries, keys, queue = at_least_float32(queries, keys, queue)
  keys, queue = jax.lax.stop_gradient((keys, queue))
  log_p = jax.nn.log_softmax(distance.normalize(keys) @ queue.T / temperature)
  log_q = jax.nn.log_softmax(
    distance.normalize(queries) @ queue.T / temperature
  )
  # KL(P‖Q) + KL(Q‖P) = Σ (P − Q)(log P − log Q)
  gap = (jnp.exp(log_p) - jnp.exp(log_q)) * (log_p - log_q)
  return jnp.mean(jnp.sum(gap, -1)) / 2


def relic(queries, keys, *, temperature=0.1, weight=0.5):
  """Instance contrast with invariant prediction across augmentations (ReLIC).

  mean_i −log softmax_j(s_ij/τ)_i + α · relic_invariance(queries, keys).

  Args:
    queries: [B, D] student's predictions of one view, normalized here.
    keys: [B, D] teacher's projections of the other view, normalized here; put
      them under stop_gradient where they come from a teacher.
    temperature: τ, above 0; a number or an array scalar.
    weight: α, at least 0.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Mitrovic et al., Representation learning via invariant causal mechanisms,
    https://arxiv.org/abs/2010.07922, 2020.

  >>> z = jnp.eye(2)  # symmetric: the invariance term is zero
  >>> round(float(relic(z, z, temperature=1.0)), 4)
  0.3133
  """
  contrast = info_nce(queries, keys, temperature=temperature)
  invariance = relic_invariance(queries, keys, temperature=temperature)
  return contrast + weight * invariance


def relic_invariance(queries, keys, *, temperature=0.1):
  """Divergence between the similarity distributions of the two views.

  mean_i KL(p_i^{k→q} ‖ p_i^{q→k}), with p^{q→k} the softmax over keys of
  cos(q_i, k_j)/τ and p^{k→q} the softmax over queries of cos(q_j, k_i)/τ.

  Args:
    queries: [B, D] one view, any scale; normalized here.
    keys: [B, D] the other view, any scale; normalized here.
    temperature: τ, above 0; a number or an array scalar.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: the shapes differ.

  References:
    Mitrovic et al., Representation learning via invariant causal mechanisms,
    https://arxiv.org/abs/2010.07922, 2020.

  >>> float(relic_invariance(jnp.eye(2), jnp.eye(2)))
  0.0
  """
  shapes.check(queries=(queries, 'B D'), keys=(keys, 'B D'))
  # Two products: to transpose one would cost more.
  forward = jax.nn.log_softmax(distance.cosine(queries, keys) / temperature)
  backward = jax.nn.log_softmax(distance.cosine(keys, queries) / temperature)
  gap = jnp.exp(backward) * (backward - forward)
  return jnp.mean(jnp.sum(gap, -1))
