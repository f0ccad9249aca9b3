"""Exact minimum-cost matching, on the host."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from sslax import shapes


def hungarian(cost):
  """Matches every row to its own column at the least total cost.

  min_π Σ_i C[i, π(i)] over one-to-one maps π, exact (scipy's modified
  Jonker-Volgenant algorithm). Runs on the host and may be called under
  `jax.jit`; no gradient.

  Args:
    cost: [B, K] cost of each pair, finite, B ≤ K. Negate a gain to maximize it.

  Returns:
    [B] int32, the column π(i) of each row.

  Raises:
    ValueError: there are fewer columns than rows.

  References:
    Kuhn, The Hungarian method for the assignment problem,
    https://doi.org/10.1002/nav.3800020109, 1955.
  """
  sizes = shapes.check(cost=(cost, 'B K'))
  if sizes['B'] > sizes['K']:
    raise ValueError(
      f'cost has shape {list(np.shape(cost))}; expected at least as many'
      ' columns as rows'
    )
  columns = jax.ShapeDtypeStruct((sizes['B'],), np.int32)
  cost = jax.lax.stop_gradient(jnp.asarray(cost))
  return jax.pure_callback(_match, columns, cost)


def _match(cost):
  _, columns = scipy.optimize.linear_sum_assignment(np.asarray(cost))
  return columns.astype(np.int32)
