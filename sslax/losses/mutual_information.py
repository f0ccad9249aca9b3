"""Bounds on mutual information and losses that maximize it.

The bounds read a matrix of critic scores whose diagonal holds the pairs of the
joint distribution. They return the bound itself: minimize its negative.
"""

import math

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.contrastive import cross_entropy
from sslax.ops.distance import normalize
from sslax.ops.precision import at_least_float32

__all__ = [
  'dv_bound',
  'imax',
  'infonce_bound',
  'js_nwj_bound',
  'jsd_bound',
  'mine_bound',
  'nwj_bound',
  'restricted_infonce',
  'rpc',
  'smile_bound',
]


def infonce_bound(scores):
  """InfoNCE lower bound on mutual information, at most log B.

  I(X;Y) ≥ log B + mean_i (f_ii − log Σ_j exp f_ij).

  Args:
    scores: [B, B] critic scores f(x_i, y_j), any scale; the diagonal holds the
      pairs of the joint.

  Returns:
    Scalar in nats, at most log B; to be maximized.

  Raises:
    ValueError: scores is not square.

  References:
    van den Oord et al., Representation learning with contrastive predictive
    coding, https://arxiv.org/abs/1807.03748, 2018.
    Poole et al., On variational bounds of mutual information,
    https://arxiv.org/abs/1905.06922, 2019.

  >>> import numpy as np
  >>> round(float(infonce_bound(np.array([[9.0, 0.0], [0.0, 9.0]]))), 4)
  0.693
  """
  scores = _checked(scores)
  log_ratio = jnp.diagonal(scores) - jax.nn.logsumexp(scores, axis=1)
  return math.log(scores.shape[0]) + jnp.mean(log_ratio)


def dv_bound(scores):
  """Donsker-Varadhan bound on mutual information.

  I(X;Y) ≥ mean_i f_ii − log mean_{i≠j} exp f_ij. The log of a batch mean
  makes the estimate, but not the population's value, biased upwards.

  Args:
    scores: [B, B] critic scores, the diagonal is the joint; B ≥ 2.

  Returns:
    Scalar in nats; to be maximized.

  Raises:
    ValueError: scores is not square.

  References:
    Belghazi et al., MINE: mutual information neural estimation,
    https://arxiv.org/abs/1801.04062, 2018.

  >>> import numpy as np
  >>> float(dv_bound(np.array([[3.0, 1.0], [1.0, 3.0]])))
  2.0
  """
  scores = _checked(scores)
  return jnp.mean(jnp.diagonal(scores)) - _log_mean_exp_off_diagonal(scores)


def nwj_bound(scores):
  """Nguyen-Wainwright-Jordan (f-GAN KL) bound on mutual information.

  I(X;Y) ≥ mean_i f_ii − mean_{i≠j} exp(f_ij − 1); unbiased, high variance.

  Args:
    scores: [B, B] critic scores, the diagonal is the joint; B ≥ 2. The value
      overflows float32 where an off-diagonal score passes 88; `js_nwj_bound`
      keeps its gradient finite there, `smile_bound` its value too.

  Returns:
    Scalar in nats; to be maximized.

  Raises:
    ValueError: scores is not square.

  References:
    Nguyen et al., Estimating divergence functionals and the likelihood ratio by
    convex risk minimization, https://arxiv.org/abs/0809.0853, 2008.
    Poole et al., On variational bounds of mutual information,
    https://arxiv.org/abs/1905.06922, 2019.

  >>> import numpy as np
  >>> float(nwj_bound(np.array([[3.0, 1.0], [1.0, 3.0]])))
  2.0
  """
  scores = _checked(scores)
  marginal = jnp.exp(_log_mean_exp_off_diagonal(scores - 1))
  return jnp.mean(jnp.diagonal(scores)) - marginal


def jsd_bound(scores):
  """Jensen-Shannon bound, the estimator of Deep InfoMax.

  mean_i −softplus(−f_ii) − mean_{i≠j} softplus(f_ij): a bound on a Jensen-
  Shannon divergence (shifted by 2·log 2), not on mutual information in nats.

  Args:
    scores: [B, B] critic scores, the diagonal is the joint; B ≥ 2.

  Returns:
    Scalar, at most 0; to be maximized.

  Raises:
    ValueError: scores is not square.

  References:
    Hjelm et al., Learning deep representations by mutual information estimation
    and maximization, https://arxiv.org/abs/1808.06670, 2018.

  >>> import numpy as np
  >>> round(float(jsd_bound(np.zeros((2, 2)))), 4)
  -1.3863
  """
  scores = _checked(scores)
  joint = jnp.mean(-jax.nn.softplus(-jnp.diagonal(scores)))
  return joint - _mean_off_diagonal(jax.nn.softplus(scores))


def js_nwj_bound(scores):
  """Value of the NWJ bound with the gradient of the Jensen-Shannon bound.

  The Jensen-Shannon objective trains the critic with less variance; its
  optimal critic gives the density ratio that the NWJ bound reads.

  Args:
    scores: [B, B] critic scores, the diagonal is the joint; B ≥ 2.

  Returns:
    Scalar in nats; to be maximized.

  Raises:
    ValueError: scores is not square.

  References:
    Poole et al., On variational bounds of mutual information,
    https://arxiv.org/abs/1905.06922, 2019.

  >>> import numpy as np
  >>> float(js_nwj_bound(np.array([[3.0, 1.0], [1.0, 3.0]])))
  2.0
  """
  return _value_of(nwj_bound(scores), jsd_bound(scores))


def smile_bound(scores, *, clip=5.0):
  """SMILE: Donsker-Varadhan with clipped scores in the partition function.

  Value: mean_i f_ii − log mean_{i≠j} exp(clip(f_ij, −τ, τ)); gradient: that of
  the Jensen-Shannon bound.

  Args:
    scores: [B, B] critic scores, the diagonal is the joint; B ≥ 2.
    clip: τ > 0, the largest score that the partition function sees.

  Returns:
    Scalar in nats; to be maximized. Not a lower bound for finite τ.

  Raises:
    ValueError: scores is not square.

  References:
    Song & Ermon, Understanding the limitations of variational mutual
    information estimators, https://arxiv.org/abs/1910.06222, 2019.

  >>> import numpy as np
  >>> float(smile_bound(np.array([[3.0, 9.0], [9.0, 3.0]]), clip=2.0))
  1.0
  """
  scores = _checked(scores)
  clipped = jnp.clip(scores, -clip, clip)
  marginal = _log_mean_exp_off_diagonal(clipped)
  value = jnp.mean(jnp.diagonal(scores)) - marginal
  return _value_of(value, jsd_bound(scores))


def mine_bound(scores, log_average, *, momentum=0.9, floor=1e-4):
  """MINE: Donsker-Varadhan with a gradient corrected by a running mean.

  Value: mean_i f_ii − log mean_{i≠j} exp f_ij. Gradient of the second term:
  ∇ mean_{i≠j} exp(f_ij) / a with the running mean a ← momentum·a +
  (1 − momentum)·mean exp f, in place of the biased ratio of batch means.

  Args:
    scores: [B, B] critic scores, the diagonal is the joint; B ≥ 2.
    log_average: [] log of the running mean of exp f before this step; 0 (the
      mean 1) to begin with. Kept as a logarithm so that it does not overflow.
    momentum: share of the running mean kept, in [0, 1); 0 gives the plain
      Donsker-Varadhan gradient.
    floor: smallest running mean.

  Returns:
    (bound, log_average): the scalar in nats, to be maximized, and the new
    state.

  Raises:
    ValueError: scores is not square, or log_average is not a scalar.

  References:
    Belghazi et al., MINE: mutual information neural estimation,
    https://arxiv.org/abs/1801.04062, 2018.

  >>> import numpy as np
  >>> bound, state = mine_bound(np.array([[3.0, 1.0], [1.0, 3.0]]), 0.0)
  >>> float(bound), round(float(state), 4)
  (2.0, 0.1586)
  """
  shapes.check(log_average=(log_average, ''))
  scores, log_average = at_least_float32(_checked(scores), log_average)
  log_mean = _log_mean_exp_off_diagonal(scores)
  kept = log_average + math.log(max(momentum, 1e-37))
  new = jnp.logaddexp(kept, log_mean + math.log1p(-momentum))
  new = jax.lax.stop_gradient(jnp.maximum(new, math.log(floor)))
  # Value log_mean, gradient exp(log_mean) ∇log_mean / exp(new).
  ratio = jax.lax.stop_gradient(jnp.exp(log_mean - new))
  marginal = _value_of(log_mean, ratio * log_mean)
  return jnp.mean(jnp.diagonal(scores)) - marginal, new


def rpc(scores, *, alpha, beta, gamma):
  """Relative predictive coding, a bounded-variance contrastive objective.

  L = −E_P[r] + α E_Q[r] + (β/2) E_P[r²] + (γ/2) E_Q[r²], P the joint (the
  diagonal), Q the product of marginals (off the diagonal). The best score is
  r* = (p/q − α) / (β p/q + γ), bounded by −α/γ and 1/β.

  Args:
    scores: [B, B] scores r(x_i, y_j), the diagonal is the joint; B ≥ 2.
    alpha: weight α > 0 of the marginals' mean.
    beta: weight β > 0 of the joint's second moment.
    gamma: weight γ > 0 of the marginals' second moment.

  Returns:
    Scalar; to be minimized.

  Raises:
    ValueError: scores is not square.

  References:
    Tsai et al., Self-supervised representation learning with relative
    predictive coding, https://arxiv.org/abs/2103.11275, 2021.

  Deviations:
    The authors' vision code also counts same-view pairs as marginals, with a
    zero score for a row with itself; here the marginals are the off-diagonal
    scores that are given, as in the definition.

  >>> import numpy as np
  >>> scores = np.array([[1.0, 0.5], [0.5, 1.0]])
  >>> float(rpc(scores, alpha=1.0, beta=1.0, gamma=2.0))
  0.25
  """
  scores = _checked(scores)
  joint = jnp.diagonal(scores)
  reward = jnp.mean(joint - beta / 2 * joint**2)
  return _mean_off_diagonal(alpha * scores + gamma / 2 * scores**2) - reward


def imax(outputs1, outputs2, *, eps=1e-6):
  """IMAX: Gaussian mutual information of two nets' outputs about their cause.

  L = −½ log[(Var(a + b) + ε) / (Var(a − b) + ε)]: the two outputs a and b
  agree on a signal and differ by noise.

  Args:
    outputs1: [B] scalar outputs of the net on one patch, any scale.
    outputs2: [B] scalar outputs of the net on the neighboring patch.
    eps: added to both variances; bounds the objective where a equals b.

  Returns:
    Scalar in nats; to be minimized.

  Raises:
    ValueError: the shapes differ.

  References:
    Becker & Hinton, Self-organizing neural network that discovers surfaces in
    random-dot stereograms, https://doi.org/10.1038/355161a0, 1992.

  >>> import numpy as np
  >>> a, b = np.array([0.0, 0.0, 4.0, 4.0]), np.array([0.0, 2.0, 2.0, 4.0])
  >>> round(float(imax(a, b)), 4)
  -0.8047
  """
  shapes.check(outputs1=(outputs1, 'B'), outputs2=(outputs2, 'B'))
  outputs1, outputs2 = at_least_float32(outputs1, outputs2)
  signal = jnp.var(outputs1 + outputs2) + eps
  noise = jnp.var(outputs1 - outputs2) + eps
  return -0.5 * (jnp.log(signal) - jnp.log(noise))


def restricted_infonce(
  queries, keys, bank, *, lower=0.0, upper=1.0, temperature=0.07
):
  """InfoNCE whose negatives come from a band of similarity to the query.

  −mean_i log e^{s⁺/τ} / (e^{s⁺/τ} + Σ_{k∈B_i} e^{s_ik/τ}), where B_i holds the
  bank rows whose similarity to query i ranks from quantile `lower` to quantile
  `upper` (0 the least similar). lower=0 and upper=1 take the whole bank; a
  ball is upper=1, a ring both inside (0, 1). Still a lower bound on mutual
  information, but a looser one with harder negatives.

  Args:
    queries: [B, D], any scale; normalized here.
    keys: [B, D] positives, any scale; normalized here.
    bank: [K, D] negatives, any scale; normalized here; no gradient.
    lower: lower quantile of the band, in [0, 1).
    upper: upper quantile, in (lower, 1]; the band keeps at least one row.
    temperature: divides the similarities, > 0.

  Returns:
    Scalar, at least 0; to be minimized.

  Raises:
    ValueError: the shapes differ, or the band is empty.

  References:
    Wu et al., On mutual information in contrastive learning for visual
    representations, https://arxiv.org/abs/2005.13149, 2020.

  Deviations:
    The band is a pair of quantiles for every query, so that its size is fixed;
    anneal them by calling with other quantiles.

  >>> import numpy as np
  >>> q, bank = np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [-1.0, 0.0]])
  >>> loss = restricted_infonce(q, q, bank, lower=0.5, temperature=1.0)
  >>> round(float(loss), 4)
  0.6931
  """
  sizes = shapes.check(
    queries=(queries, 'B D'), keys=(keys, 'B D'), bank=(bank, 'K D')
  )
  first, last = int(lower * sizes['K']), math.ceil(upper * sizes['K'])
  if not 0 <= first < last <= sizes['K']:
    raise ValueError(
      f'lower={lower} and upper={upper} leave no row of a bank of'
      f' {sizes["K"]}; expected 0 <= lower < upper <= 1'
    )
  queries, keys, bank = map(normalize, at_least_float32(queries, keys, bank))
  positive = jnp.sum(queries * keys, -1) / temperature
  ranked = jnp.sort(queries @ jax.lax.stop_gradient(bank).T, axis=1)
  return jnp.mean(cross_entropy(positive, ranked[:, first:last] / temperature))


def _checked(scores):
  shapes.check(scores=(scores, 'B B'))
  return at_least_float32(scores)


def _value_of(value, gradient):
  """The value of the first argument with the gradient of the second."""
  return jax.lax.stop_gradient(value) + (
    gradient - jax.lax.stop_gradient(gradient)
  )


def _log_mean_exp_off_diagonal(scores):
  size = scores.shape[0]
  hidden = jnp.where(jnp.eye(size, dtype=bool), -jnp.inf, scores)
  return jax.nn.logsumexp(hidden) - math.log(size * (size - 1))


def _mean_off_diagonal(x):
  size = x.shape[0]
  off_diagonal = jnp.where(jnp.eye(size, dtype=bool), 0, x)
  return jnp.sum(off_diagonal) / (size * (size - 1))
