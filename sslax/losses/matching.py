"""VICRegL: VICReg between matched cells of feature maps."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.losses.redundancy import covariance, variance_hinge, vicreg
from sslax.ops.cross_entropy import of_views
from sslax.ops.precision import at_least_float32

__all__ = ['nearest_matches', 'vicregl', 'vicregl_local']


def vicregl(
  features,
  maps,
  locations,
  *,
  num_global=2,
  num_matches=(20, 4),
  global_weight=0.75,
  invariance_weight=25.0,
  variance_weight=25.0,
  covariance_weight=1.0,
  eps=1e-4,
):
  """VICReg of whole images and of the matched cells of their maps.

  α·[VICReg criteria over pairs (global view, other view)] + (1 − α)·mean over
  the same pairs of `vicregl_local`.

  Args:
    features: V views [B, D], any scale; global crops first.
    maps: V views [B, N_v, C] of cells; N may differ between views.
    locations: V views [B, N_v, 2], places of the cells in the image.
    num_global: number of global crops.
    num_matches: matches kept (from the first map, from the second).
    global_weight: α in [0, 1].
    invariance_weight: see `vicreg`.
    variance_weight: see `vicreg`.
    covariance_weight: see `vicreg`; here a mean over views.
    eps: added to the variance.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Bardes et al., VICRegL: self-supervised learning of local visual features,
    https://arxiv.org/abs/2210.01571, 2022. The official code:
    facebookresearch/VICRegL, main_vicregl.py.

  >>> import numpy as np
  >>> z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
  >>> maps, places = (z[:, None],) * 2, (np.zeros((4, 1, 2)),) * 2
  >>> round(float(vicregl((z, z), maps, places)), 4)
  0.0
  """
  shapes.check(**of_views(features=(features, 'B D')))
  features = [at_least_float32(view) for view in features]
  weights = {
    'invariance_weight': invariance_weight,
    'variance_weight': variance_weight,
    'covariance_weight': covariance_weight,
    'eps': eps,
  }
  num_views = len(features)
  pairs = [
    (i, j) for i in range(num_global) for j in range(num_views) if i != j
  ]
  whole = _global_criterion(features, pairs, **weights)
  cells = [
    vicregl_local(
      (maps[i], maps[j]),
      (locations[i], locations[j]),
      num_matches=num_matches,
      **weights,
    )
    for i, j in pairs
  ]
  local = sum(cells) / len(pairs)
  return global_weight * whole + (1 - global_weight) * local


def _global_criterion(
  features, pairs, invariance_weight, variance_weight, covariance_weight, eps
):
  num = len(features)
  invariance = sum(
    jnp.mean((features[i] - features[j]) ** 2) for i, j in pairs
  ) / len(pairs)
  spread = sum(variance_hinge(z, eps) for z in features) / num
  redundancy = sum(covariance(z) for z in features) / num
  return (
    invariance_weight * invariance
    + variance_weight * spread
    + covariance_weight * redundancy
  )


def vicregl_local(
  maps, locations, *, num_matches=(20, 4), covariance_weight=1.0, **weights
):
  """VICReg of the nearest cells, by location and by feature.

  VICReg(best matches by location) + VICReg(best by feature distance), each
  the mean of matching the first map to the second and back.

  Args:
    maps: (first, second), [B, N, C] and [B, M, C], any scale.
    locations: (first, second), [B, N, 2] and [B, M, 2].
    num_matches: matches kept (from the first, from the second).
    covariance_weight: of the mean over the two sides.
    **weights: further weights of `vicreg`.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: a shape is wrong.

  References:
    Bardes et al., VICRegL: self-supervised learning of local visual features,
    https://arxiv.org/abs/2210.01571, 2022.

  >>> import numpy as np
  >>> z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
  >>> maps, places = (z[:, None],) * 2, (np.zeros((4, 1, 2)),) * 2
  >>> round(float(vicregl_local(maps, places)), 4)
  0.0
  """
  first, second = maps
  place1, place2 = locations
  shapes.check(
    **{
      'maps[0]': (first, 'B N C'),
      'maps[1]': (second, 'B M C'),
      'locations[0]': (place1, 'B N 2'),
      'locations[1]': (place2, 'B M 2'),
    }
  )
  loss = 0.0
  for key1, key2 in ((first, second), (place1, place2)):
    for x, y, key_x, key_y, num in (
      (first, second, key1, key2, num_matches[0]),
      (second, first, key2, key1, num_matches[1]),
    ):
      kept, matched = nearest_matches(x, y, key_x, key_y, num)
      criterion = vicreg(
        kept, matched, covariance_weight=covariance_weight / 2, **weights
      )
      loss = loss + criterion / 2
  return loss


def nearest_matches(x, y, keys_x, keys_y, num):
  """The cells of x whose nearest cell of y is nearest, with that cell.

  Args:
    x: [B, N, C].
    y: [B, M, C].
    keys_x: [B, N, K] what distances are measured on: x or its locations.
    keys_y: [B, M, K].
    num: pairs kept for every image; at most N are.

  Returns:
    ([B, num, C] cells of x, [B, num, C] cells of y), nearest first.
  """
  x, y, keys_x, keys_y = at_least_float32(x, y, keys_x, keys_y)
  gap = jax.lax.stop_gradient(keys_x[:, :, None, :] - keys_y[:, None, :, :])
  squared = jnp.sum(gap**2, -1)
  _, kept = jax.lax.top_k(-jnp.min(squared, -1), min(num, x.shape[1]))
  nearest = jnp.take_along_axis(jnp.argmin(squared, -1), kept, 1)
  return (
    jnp.take_along_axis(x, kept[..., None], 1),
    jnp.take_along_axis(y, nearest[..., None], 1),
  )
