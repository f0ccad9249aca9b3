"""The matrix operations that a method asks for, whatever a compiler adds."""

import math

import jax

from sslax import train
from sslax.plan import costs


def of_step(parts, train_state, batch) -> float:
  """Returns the FLOPs of a step's products and convolutions, of all devices.

  Those of loss and gradients, which are what a paper would count; the views,
  the optimizer, and all that is elementwise are left out. What is computed
  again to save memory (`remat`) counts twice, as it is written twice.

  Args:
    parts: from sslax.build.
    train_state: its shapes.
    batch: shapes of a global batch.
  """

  def loss(params, state, batch, rng, step):
    return parts.method.loss(params, state, batch, rng=rng, step=step)

  rng = jax.eval_shape(lambda: jax.random.key(0))
  seen = jax.eval_shape(
    lambda rng, batch: train.with_views(parts.views, rng, batch), rng, batch
  )
  step = jax.ShapeDtypeStruct((), 'int32')
  traced = jax.make_jaxpr(jax.value_and_grad(loss, has_aux=True))(
    train_state.params, train_state.state, seen, rng, step
  )
  return of_jaxpr(traced.jaxpr)


def of_jaxpr(jaxpr) -> float:
  """Counts products and convolutions; of branches the dearest, loops in full.

  Args:
    jaxpr: of jax.make_jaxpr(...).jaxpr.
  """
  return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation) -> float:
  name, params = equation.primitive.name, equation.params
  if name == 'dot_general':
    return _dot(equation)
  if name == 'conv_general_dilated':
    return _convolution(equation)
  inner = [_inner(value) for value in params.values()]
  counts = [of_jaxpr(jaxpr) for jaxprs in inner for jaxpr in jaxprs]
  if name == 'cond':
    return max(counts, default=0.0)
  if name == 'shard_map':
    return sum(counts) * params['mesh'].size
  return sum(counts) * (params['length'] if name == 'scan' else 1)


def _inner(value) -> list:
  """Returns the programs in a parameter of an equation."""
  values = value if isinstance(value, tuple | list) else (value,)
  found = [getattr(v, 'jaxpr', v) for v in values]
  return [v for v in found if hasattr(v, 'eqns')]


def _dot(equation) -> float:
  (contracted, _), _ = equation.params['dimension_numbers']
  lhs = equation.invars[0].aval.shape
  inner = math.prod(lhs[axis] for axis in contracted)
  return 2.0 * inner * math.prod(equation.outvars[0].aval.shape)


def _convolution(equation) -> float:
  p = equation.params
  lhs, kernel = (v.aval.shape for v in equation.invars)
  out = equation.outvars[0].aval.shape
  n = p['dimension_numbers']
  flops = 2.0 * kernel[n.rhs_spec[1]]
  flops *= out[n.out_spec[0]] * out[n.out_spec[1]]
  for i, (low, _) in enumerate(p['padding']):
    flops *= costs.pairs(
      lhs[n.lhs_spec[2 + i]],
      out[n.out_spec[2 + i]],
      size=kernel[n.rhs_spec[2 + i]],
      stride=p['window_strides'][i],
      low=low,
      lhs_dilation=p['lhs_dilation'][i],
      rhs_dilation=p['rhs_dilation'][i],
    )
  return flops
