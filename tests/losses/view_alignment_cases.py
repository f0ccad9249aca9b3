"""Cases of sslax.losses.view_alignment."""

import numpy as np

from sslax import losses
from tests.losses.case import Case
from tests.losses.distillation_cases import normal


def _plan(costs, num_steps, step_size, num_projections=10):
  """The loops of the differentiable Hungarian algorithm."""
  num = len(costs)
  plan = np.zeros((num, num))
  left = np.full((num, num), costs.max())
  for j in range(num):
    i = costs[:, j].argmin()
    left[i, j] = costs[i, j]
  for i in range(num):
    plan[i, left[i].argmin()] = 1
  kept = [np.zeros((num, num)) for _ in range(3)]
  for _ in range(num_steps):
    plan = plan - step_size * costs
    for _ in range(num_projections):
      for k in range(3):
        moved = plan + kept[k]
        if k < 2:
          plan = moved - (moved.sum(1 - k, keepdims=True) - 1) / num
        else:
          plan = np.maximum(moved, 0)
        kept[k] = moved - plan
  return plan


def _pvc(z1, z2, plan, plan_weight=10.0, num_steps=30, step_size=0.1):
  num, dim = z1.shape
  total = 0.0
  for i in range(num):
    mixed = sum(plan[i, j] * z2[j] for j in range(num))
    total += sum((z1[i] - mixed) ** 2) / (num * dim)
  costs = np.array([[sum((a - b) ** 2) for b in z2] for a in z1])
  found = _plan(costs, num_steps, step_size)
  return total + plan_weight * ((found - plan) ** 2).mean()


def _views(rng):
  order = rng.permutation(8)
  z = normal(rng, 8, 4)
  return {
    'z1': z,
    'z2': (z + 0.5 * normal(rng, 8, 4))[order],
    'plan': np.eye(8, dtype=np.float32)[:, np.argsort(order)].T,
  }


CASES = [
  Case(
    losses.pvc,
    _views,
    _pvc,
    wrt=('z1', 'z2'),
    frozen=('plan',),
    kwargs={'plan_weight': 3.0, 'num_steps': 8},
  ),
]
