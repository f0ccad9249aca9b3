"""Colors as classes: bins of the ab plane, and the way there and back."""

import jax
import jax.numpy as jnp
import numpy as np

from sslax import shapes
from sslax.ops.precision import at_least_float32

# Of each column a of the grid of 10, the first and last b that is a bin: the
# 313 points of pts_in_hull.npy in https://github.com/richzhang/colorization.
# The corners of the grid's squares that hold a color of sRGB are 309 of them.
_COLUMNS = {
  -90: (50, 90), -80: (20, 90), -70: (0, 90), -60: (-20, 90), -50: (-30, 100),
  -40: (-40, 100), -30: (-50, 100), -20: (-50, 100), -10: (-60, 100),
  0: (-70, 100), 10: (-80, 90), 20: (-80, 90), 30: (-90, 90), 40: (-100, 90),
  50: (-100, 80), 60: (-110, 80), 70: (-110, 80), 80: (-110, 70),
  90: (-110, 70), 100: (-90, 0),
}  # fmt: skip
AB_BINS = np.array(
  [(a, b) for a, (low, high) in _COLUMNS.items()
   for b in range(low, high + 10, 10)], np.float32
)  # fmt: skip
AB_BINS.flags.writeable = False


def soft_encode(ab, *, num_neighbors=5, sigma=5.0):
  """Shares each color among the nearest bins, by a Gaussian of the distance.

  z_q ∝ exp(−‖ab − bin_q‖² / (2·sigma²)) for the nearest bins, 0 for others.

  Args:
    ab: [..., 2], the a and b of CIE Lab.
    num_neighbors: how many bins share a color; of equally near ones all do.
    sigma: deviation of the Gaussian, in units of Lab.

  Returns:
    [..., 313], rows of sum 1; no gradient flows.

  References:
    Zhang et al., Colorful image colorization,
    https://arxiv.org/abs/1603.08511, 2016, section 2.1.
  """
  shapes.check(ab=(ab, '... 2'))
  ab = jax.lax.stop_gradient(at_least_float32(ab))
  points = ab.reshape(-1, 2, 1)
  bins = jnp.asarray(AB_BINS.T[None], ab.dtype)
  distances = jnp.sum((points - bins) ** 2, 1)
  nearest = -jax.lax.top_k(-distances, num_neighbors)[0]
  exponents = (nearest[:, :1] - distances) / (2 * sigma**2)
  near = distances <= nearest[:, -1:]
  shares = jax.nn.softmax(jnp.where(near, exponents, -jnp.inf), -1)
  return shares.reshape(*ab.shape[:-1], len(AB_BINS))


def rarity_weights(prior, *, uniform_ratio=0.5):
  """Weights of the bins that make rare colors count.

  w_q ∝ 1 / ((1 − λ)·p_q + λ/Q), with Σ_q p_q·w_q = 1.

  Args:
    prior: [Q] p, how often each bin occurs; sum 1.
    uniform_ratio: λ in [0, 1], the share of the uniform distribution.

  Returns:
    [Q].

  References:
    Zhang et al., Colorful image colorization,
    https://arxiv.org/abs/1603.08511, 2016, section 2.2.

  >>> rarity_weights(jnp.array([0.5, 0.5, 0.0])).round(2).tolist()
  [1.0, 1.0, 2.5]
  """
  prior = at_least_float32(prior)
  mixed = (1 - uniform_ratio) * prior + uniform_ratio / len(prior)
  return 1 / mixed / jnp.sum(prior / mixed)


def annealed_mean(logits, *, temperature=0.38):
  """The mean color of a sharpened distribution over the bins.

  ab = Σ_q softmax(logits / T)_q·bin_q: between the mean (T = 1), which is
  grayish, and the mode (T → 0), which jumps from pixel to pixel.

  Args:
    logits: [..., 313], any scale.
    temperature: T, above 0.

  Returns:
    [..., 2], the a and b of CIE Lab.

  References:
    Zhang et al., Colorful image colorization,
    https://arxiv.org/abs/1603.08511, 2016, section 2.3.
  """
  logits = at_least_float32(logits)
  probs = jax.nn.softmax(logits / temperature, -1)
  bins = jnp.asarray(AB_BINS, probs.dtype)
  return jnp.matmul(probs, bins, precision='highest')
