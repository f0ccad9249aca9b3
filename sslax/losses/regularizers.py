"""Terms that regularize another loss: smoothness, worst groups, affinities."""

import jax
import jax.numpy as jnp

from sslax import shapes
from sslax.ops.precision import at_least_float32

__all__ = [
  'affinity_field',
  'group_dro',
  'vat',
]


def vat(logits_fn, inputs, direction, *, radius, num_iterations=1):
  """Virtual adversarial training: stay the same where it is hardest to.

  mean_i KL(p(x_i) ‖ p(x_i + r_i)), where r_i, of length ε, is the direction in
  which the divergence grows fastest: the top eigenvector of its Hessian at
  r = 0, by power iterations d ← H d / ‖H d‖. No gradient flows into p(x) or r.

  Args:
    logits_fn: [B, ...] -> [B, K] class scores; the same function (mode, dropout
      mask, batch statistics) for both calls, row i depending on input i.
    inputs: x [B, ...], any scale.
    direction: [B, ...] random start of the power iteration, nonzero rows (for
      instance `jax.random.normal`).
    radius: ε > 0, Euclidean length of each r_i, in units of the inputs.
    num_iterations: power iterations, at least 1.

  Returns:
    Scalar, at least 0.

  Raises:
    ValueError: inputs and direction differ in shape.

  References:
    Miyato et al., Virtual adversarial training: a regularization method for
    supervised and semi-supervised learning, https://arxiv.org/abs/1704.03976,
    2018.

  Deviations:
    The authors estimate H d by a finite difference of step 1e-6, which float32
    rounds away. At r = 0 the Hessian is Jᵀ(diag p − p pᵀ)J exactly, so here
    the product is exact.

  >>> import numpy as np
  >>> x, d = np.zeros((1, 2)), np.ones((1, 2))
  >>> loss = vat(lambda x: x @ np.diag([2.0, 0.0]), x, d, radius=1.0)
  >>> round(float(loss), 4)
  0.4338
  """
  spec = 'B ' + ' '.join(f'A{i}' for i in range(1, jnp.ndim(direction)))
  shapes.check(direction=(direction, spec), inputs=(inputs, spec))
  inputs, direction = at_least_float32(inputs, direction)
  fixed = jax.lax.stop_gradient(inputs)
  logits, jacobian = jax.linearize(logits_fn, fixed)
  transpose = jax.linear_transpose(jacobian, fixed)
  probability = jax.nn.softmax(logits)
  for _ in range(num_iterations):
    change = jacobian(_unit_rows(direction))
    mean = jnp.sum(probability * change, -1, keepdims=True)
    (direction,) = transpose(probability * (change - mean))
  step = radius * _unit_rows(direction)
  moved = logits_fn(inputs + jax.lax.stop_gradient(step))
  return jnp.mean(_divergence(jax.lax.stop_gradient(logits), moved))


def group_dro(losses, groups, weights, *, step_size=0.01):
  """Group DRO: the worst group's loss, by exponentiated-gradient weights.

  q_g ← q_g e^{η L_g} / Σ_h q_h e^{η L_h}, then Σ_g q_g L_g with the new q and
  L_g the mean loss of group g in the batch (0 for a group that is absent). No
  gradient flows through q.

  Args:
    losses: [B] loss of each example.
    groups: [B] group in [0, K), int.
    weights: [K] positive q that sum to 1 (uniform to begin with).
    step_size: η ≥ 0.

  Returns:
    (loss, weights): the scalar and the new q.

  Raises:
    ValueError: the shapes differ.

  References:
    Sagawa et al., Distributionally robust neural networks for group shifts,
    https://arxiv.org/abs/1911.08731, 2020.

  >>> import numpy as np
  >>> per_example, groups = np.array([1.0, 3.0, 5.0]), np.array([0, 1, 1])
  >>> loss, weights = group_dro(per_example, groups, np.array([0.5, 0.5]))
  >>> round(float(loss), 4), weights.shape
  (2.5225, (2,))
  """
  sizes = shapes.check(
    losses=(losses, 'B'), groups=(groups, 'B'), weights=(weights, 'K')
  )
  losses, weights = at_least_float32(losses, weights)
  member = jax.nn.one_hot(groups, sizes['K'], dtype=losses.dtype)
  group_losses = losses @ member / jnp.maximum(jnp.sum(member, 0), 1)
  weights = jax.nn.softmax(jnp.log(weights) + step_size * group_losses)
  weights = jax.lax.stop_gradient(weights)
  return jnp.sum(weights * group_losses), weights


def affinity_field(
  probabilities, labels, *, margin=3.0, distance=1, floor=1e-4
):
  """Affinity field loss: neighbors agree within a label, differ across edges.

  For every pixel i, each of its eight neighbors j and each class c, with the
  divergence D = KL(Bernoulli(p_jc) ‖ Bernoulli(p_ic)): mean D over the entries
  where both or neither pixel has label c, plus mean max(0, m − D) over the
  others. Either mean is 0 where it has no entry.

  Args:
    probabilities: [B, H, W, C] class probabilities in [0, 1].
    labels: [B, H, W] class in [0, C); a pixel with another number is ignored.
    margin: m > 0, in nats.
    distance: pixels between neighbors, below H and W.
    floor: probabilities are clipped to [floor, 1] before logarithms.

  Returns:
    Scalar, at least 0 up to the clipping.

  Raises:
    ValueError: the shapes differ.

  References:
    Ke et al., Adaptive affinity fields for semantic segmentation,
    https://arxiv.org/abs/1803.10335, 2018.

  >>> import numpy as np
  >>> labels = np.array([[[0, 0], [1, 1]]])
  >>> loss = affinity_field(np.full((1, 2, 2, 2), 0.5), labels)
  >>> float(loss)
  3.0
  """
  shapes.check(
    probabilities=(probabilities, 'B H W C'), labels=(labels, 'B H W')
  )
  probabilities = at_least_float32(probabilities)
  num_classes = probabilities.shape[-1]
  truth = jax.nn.one_hot(labels, num_classes, dtype=probabilities.dtype)
  known = jnp.logical_and(labels >= 0, labels < num_classes)
  same = [jnp.zeros((), probabilities.dtype)] * 2  # sum, count
  edge = list(same)
  for shift in _eight_directions(distance):
    center, other = _neighbors(probabilities, *shift)
    divergence = _bernoulli_divergence(other, center, floor)
    valid = jnp.logical_and(*_neighbors(known, *shift))[..., None]
    differs = jnp.not_equal(*_neighbors(truth, *shift))
    for total, entries, term in (
      (same, jnp.logical_and(valid, ~differs), divergence),
      (edge, jnp.logical_and(valid, differs), jax.nn.relu(margin - divergence)),
    ):
      total[0] += jnp.sum(jnp.where(entries, term, 0))
      total[1] += jnp.sum(entries.astype(term.dtype))
  return sum(total / jnp.maximum(count, 1) for total, count in (same, edge))


def _divergence(teacher_logits, student_logits):
  """KL(softmax(t) ‖ softmax(s)) of each row."""
  teacher = jax.nn.log_softmax(teacher_logits)
  gap = teacher - jax.nn.log_softmax(student_logits)
  return jnp.sum(jnp.exp(teacher) * gap, -1)


def _unit_rows(x):
  """Rows of unit length over all axes but the first; zero rows stay zero."""
  axes = tuple(range(1, x.ndim))
  largest = jnp.max(jnp.abs(x), axes, keepdims=True)
  x = x / jnp.where(largest > 0, largest, 1)  # tiny gradients do not underflow
  norm = jnp.sqrt(jnp.sum(x * x, axes, keepdims=True))
  return x / jnp.where(norm > 0, norm, 1)


def _eight_directions(distance):
  offsets = (-distance, 0, distance)
  return [(i, j) for i in offsets for j in offsets if (i, j) != (0, 0)]


def _neighbors(x, down, right):
  """Every pixel that has a neighbor at this offset, and the neighbors."""
  height, width = x.shape[1:3]

  def window(down, right):
    rows = slice(max(down, 0), height + min(down, 0))
    return x[:, rows, max(right, 0) : width + min(right, 0)]

  return window(-down, -right), window(down, right)


def _bernoulli_divergence(p, q, floor):
  total = jnp.zeros_like(p)
  for a, b in ((p, q), (1 - p, 1 - q)):
    a, b = jnp.clip(a, floor, 1.0), jnp.clip(b, floor, 1.0)
    total = total + a * (jnp.log(a) - jnp.log(b))
  return total
