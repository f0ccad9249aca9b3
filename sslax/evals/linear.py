"""Linear probe: multinomial logistic regression on frozen features."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sslax import shapes
from sslax.ops.precision import at_least_float32

__all__ = ['LinearResult', 'fit', 'linear_probe']

REGULARIZATIONS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


class LinearResult(NamedTuple):
  """What the probe found.

  Attributes:
    accuracy: on test, in [0, 1].
    top5: on test, the true class among the min(5, K) highest.
    regularization: the one chosen.
    held_out_accuracy: of each regularization, in the order given.
    weights: [D, K], for features as they came.
    bias: [K].
    num_steps: L-BFGS steps of the slowest regularization.
  """

  accuracy: float
  top5: float
  regularization: float
  held_out_accuracy: tuple[float, ...]
  weights: jax.Array
  bias: jax.Array
  num_steps: int


def linear_probe(
  train,
  train_labels,
  test,
  test_labels,
  *,
  num_classes,
  seed=0,
  regularizations=REGULARIZATIONS,
  held_out_ratio=0.1,
  max_steps=200,
  tolerance=1e-4,
):
  """Accuracy on test of the best regularized logistic regression on train.

  Features are standardized with train's mean and deviation. All
  regularizations are fitted at once on a part of train and compared on the
  rest of it (stratified by class); of equal ones the strongest is taken and
  fitted again on all of train. Test is looked at once, after that.

  Args:
    train: [N, D] features, any scale; may be split over devices by rows.
    train_labels: [N] int in [0, num_classes).
    test: [M, D] features.
    test_labels: [M] int in [0, num_classes).
    num_classes: K.
    seed: chooses the held-out rows.
    regularizations: λ of the objective in `fit`; positive.
    held_out_ratio: share of each class that is held out, in (0, 1).
    max_steps: most L-BFGS steps.
    tolerance: stop when no derivative exceeds it.

  Returns:
    LinearResult.

  Raises:
    ValueError: shapes that do not fit, labels or arguments out of range, or
      non-finite features.
  """
  _check(train, train_labels, 'train', num_classes)
  _check(test, test_labels, 'test', num_classes)
  shapes.check(train=(train, 'N D'), test=(test, 'M D'))
  if not 0 < held_out_ratio < 1:
    raise ValueError(f'held_out_ratio is {held_out_ratio}; expected (0, 1)')
  train, test = at_least_float32(train, test)
  mean, deviation = _statistics(train)
  strengths = sorted(regularizations, reverse=True)
  held_out = _stratified(train_labels, held_out_ratio, seed)
  standardized = (train - mean) / deviation
  run = functools.partial(
    fit,
    standardized,
    train_labels,
    num_classes=num_classes,
    regularizations=strengths,
    max_steps=max_steps,
    tolerance=tolerance,
  )
  w, b, steps = run(sample_weights=~held_out)
  shares = _accuracies(standardized, train_labels, held_out, w, b)
  best = int(np.argmax(shares))
  # All are fitted again, of which one is wanted: compiling costs more.
  w, b, more_steps = run(start=(w, b))
  w, b = w[best] / deviation.T, b[best]
  b = b - (mean @ w)[0]
  accuracy, top5 = _test_accuracy(test, test_labels, w, b)
  own = dict(zip(strengths, shares.tolist(), strict=True))
  return LinearResult(
    accuracy=accuracy,
    top5=top5,
    regularization=strengths[best],
    held_out_accuracy=tuple(own[r] for r in regularizations),
    weights=w,
    bias=b,
    num_steps=max(int(steps), int(more_steps)),
  )


def _check(features, labels, name, num_classes):
  shapes.check(**{name: (features, 'N D'), f'{name}_labels': (labels, 'N')})
  if not len(labels):
    raise ValueError(f'{name} has no rows')
  if not bool(jnp.isfinite(jnp.asarray(features)).all()):
    raise ValueError(f'{name} holds values that are not finite')
  low, high = int(jnp.min(labels)), int(jnp.max(labels))
  if low < 0 or high >= num_classes:
    raise ValueError(
      f'{name}_labels lie in [{low}, {high}]; expected [0, {num_classes - 1}]'
    )


@jax.jit
def _statistics(train):
  """Mean and deviation, [1, D]; a constant column keeps its scale."""
  mean = jnp.mean(train, 0, keepdims=True)
  deviation = jnp.std(train, 0, keepdims=True)
  # A constant column has a deviation of rounding size, not always zero.
  eps = jnp.finfo(train.dtype).eps
  is_constant = deviation <= 10 * eps * jnp.max(jnp.abs(train), 0)[None, :]
  return mean, jnp.where(is_constant, 1, deviation)


def _stratified(labels, ratio, seed):
  """[N] bool: the share of each class that is held out, never a whole class."""
  labels = np.asarray(labels)
  rng = np.random.default_rng(seed)
  held_out = np.zeros(len(labels), bool)
  for label in np.unique(labels):
    rows = rng.permutation(np.flatnonzero(labels == label))
    held_out[rows[: min(max(round(ratio * len(rows)), 1), len(rows) - 1)]] = (
      True
    )
  if not held_out.any():
    raise ValueError(
      'no class of train has the two rows that holding out needs'
    )
  return held_out


def fit(
  features,
  labels,
  *,
  num_classes,
  regularizations,
  sample_weights=None,
  start=None,
  max_steps=200,
  tolerance=1e-4,
):
  """Multinomial logistic regression for many L2 penalties at once, by L-BFGS.

  min Σ_i a_i·CE(x_i W + b, y_i) / Σ_i a_i + λ/2·‖W‖², the bias is free. Scikit-
  learn's C is 1 / (λ·N).

  Args:
    features: [N, D], best standardized; may be split over devices by rows.
    labels: [N] int in [0, num_classes).
    num_classes: K.
    regularizations: R values of λ, positive.
    sample_weights: [N] a, at least 0; default ones.
    start: (weights [R, D, K], biases [R, K]); default zeros.
    max_steps: most L-BFGS steps.
    tolerance: stop when no derivative exceeds it.

  Returns:
    (weights [R, D, K], biases [R, K], steps that the slowest one took).

  Raises:
    ValueError: shapes that do not fit, or a λ that is not positive.
  """
  shapes.check(features=(features, 'N D'), labels=(labels, 'N'))
  if not len(regularizations) or not min(regularizations) > 0:
    raise ValueError(f'regularizations are {regularizations}; expected > 0')
  features = at_least_float32(features)
  if sample_weights is None:
    sample_weights = np.ones(len(labels))
  shapes.check(labels=(labels, 'N'), sample_weights=(sample_weights, 'N'))
  shares = jnp.asarray(sample_weights).astype(features.dtype)
  strengths = jnp.asarray(regularizations, features.dtype)
  if start is None:
    biases = jnp.zeros((len(strengths), num_classes), features.dtype)
    shape = len(strengths), features.shape[1], num_classes
    start = jnp.zeros(shape, features.dtype), biases
  # The optimizer mixes types on its own.
  with jax.numpy_dtype_promotion('standard'):
    return _fit(
      features,
      jnp.asarray(labels),
      shares / jnp.sum(shares),
      strengths,
      start,
      max_steps,
      tolerance,
    )


@jax.jit
def _fit(features, labels, shares, strengths, start, max_steps, tolerance):
  solver = optax.lbfgs()

  def minimize(strength, params):
    def loss(params):
      w, b = params
      logits = features @ w + b[None, :]
      losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
      return jnp.sum(shares * losses) + strength / 2 * jnp.sum(w * w)

    return _minimize(solver, loss, params, max_steps, tolerance)

  (w, b), steps = jax.vmap(minimize)(strengths, start)
  return w, b, jnp.max(steps)


def _minimize(solver, loss, params, max_steps, tolerance):
  """L-BFGS until no derivative exceeds the tolerance: (params, steps)."""
  value_and_grad = optax.value_and_grad_from_state(loss)

  def largest(gradient):
    return jnp.max(jnp.stack([jnp.max(jnp.abs(g)) for g in gradient]))

  def goes_on(carry):
    _, _, gradient, step = carry
    return (step < max_steps) & (largest(gradient) > tolerance)

  def advance(carry):
    params, state, _, step = carry
    value, gradient = value_and_grad(params, state=state)
    updates, state = solver.update(
      gradient, state, params, value=value, grad=gradient, value_fn=loss
    )
    params = optax.apply_updates(params, updates)
    return params, state, optax.tree.get(state, 'grad'), step + 1

  state = solver.init(params)
  carry = params, state, jax.grad(loss)(params), jnp.int32(0)
  params, _, _, steps = jax.lax.while_loop(goes_on, advance, carry)
  return params, steps


@jax.jit
def _accuracies(features, labels, held_out, weights, biases):
  """[R] accuracy of each regularization on the held-out rows."""

  def accuracy(w, b):
    hits = jnp.argmax(features @ w + b[None, :], -1) == labels
    return jnp.sum(hits & held_out) / jnp.sum(held_out)

  return jax.vmap(accuracy)(weights, biases)


def _test_accuracy(test, labels, w, b):
  """Shares of rows whose class is the highest, and among the five highest."""
  logits = test @ w + b[None, :]
  labels = jnp.asarray(labels)[:, None]
  own = jnp.take_along_axis(logits, labels, -1)
  classes = jnp.arange(logits.shape[1], dtype=labels.dtype)[None, :]
  first = (logits > own) | ((logits == own) & (classes < labels))
  rank = jnp.sum(first, -1)
  return tuple(int(jnp.sum(rank < n)) / len(rank) for n in (1, 5))
