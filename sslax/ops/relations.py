"""Relations: pairs of objects, and what is learned from them."""

import jax.numpy as jnp

from sslax import shapes

_AGGREGATE = {
  'cat': lambda x, y: jnp.concatenate([x, y], -1),
  'sum': lambda x, y: x + y,
  'mean': lambda x, y: (x + y) / 2,
  'max': jnp.maximum,
}


def object_pairs(objects, question=None):
  """All ordered pairs of an example's objects, with the question beside them.

  Args:
    objects: [B, N, D] feature vectors of N objects, or of the cells of a map.
    question: optional [B, Q] vector that the relations depend on.

  Returns:
    [B, N², 2D + Q]: (o_i, o_j, q), j counting faster.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Santoro et al., A simple neural network module for relational reasoning,
    https://arxiv.org/abs/1706.01427, 2017.

  >>> object_pairs(jnp.array([[[1.0], [2.0]]]))[0].tolist()
  [[1.0, 1.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0]]
  """
  sizes = shapes.check(objects=(objects, 'B N D'))
  batch, num, dim = (sizes[letter] for letter in 'BND')
  whole = (batch, num, num, dim)
  first = jnp.broadcast_to(objects[:, :, None, :], whole)
  second = jnp.broadcast_to(objects[:, None, :, :], whole)
  pairs = jnp.concatenate([first, second], -1).reshape(batch, num * num, -1)
  if question is None:
    return pairs
  shapes.check(question=(question, f'{batch} Q'))
  asked = jnp.broadcast_to(
    question[:, None, :], (batch, num * num, question.shape[1])
  )
  return jnp.concatenate([pairs, asked], -1)


def relation(objects, relate, combine, question=None):
  """Relation network: what all pairs of objects say together.

  f(Σ_ij g(o_i, o_j, q)), which does not know the order of the objects.

  Args:
    objects: [B, N, D].
    relate: g, from [B, N², 2D + Q] to [B, N², H].
    combine: f, from [B, H] to the answer.
    question: optional [B, Q].

  Returns:
    What `combine` returns.

  Raises:
    ValueError: the shapes do not fit.

  References:
    Santoro et al., A simple neural network module for relational reasoning,
    https://arxiv.org/abs/1706.01427, 2017.

  >>> objects = jnp.array([[[1.0], [2.0]]])
  >>> relation(objects, lambda p: p[..., :1] * p[..., 1:], jnp.sqrt).tolist()
  [[3.0]]
  """
  return combine(jnp.sum(relate(object_pairs(objects, question)), axis=1))


def view_pairs(views, *, aggregate='cat'):
  """Pairs of augmentations of one image, and as many of two images.

  Of each two views the first is joined with the second of its own image, and
  with that of an image further on, by one more place with every pair of views.

  Args:
    views: V ≥ 2 arrays [B, D], representations of the augmentations; B ≥ 2.
    aggregate: how a pair is joined: 'cat', 'sum', 'mean' or 'max'.

  Returns:
    pairs: [V (V − 1) B, D] or, where they are concatenated, 2D features.
    labels: [V (V − 1) B] float32, 1 for one image, 0 for two, as
      `sslax.losses.relational_reasoning` takes them.

  Raises:
    ValueError: the shapes differ, there is one view or one image, or the
      aggregate is unknown.

  References:
    Patacchiola & Storkey, Self-supervised relational reasoning for
    representation learning, https://arxiv.org/abs/2006.05849, 2020. The
    official code: mpatacchiola/self-supervised-relational-reasoning,
    methods/relationnet.py.

  >>> x = jnp.array([[1.0], [2.0]])
  >>> pairs, labels = view_pairs((x, 10 * x), aggregate='sum')
  >>> pairs[:, 0].tolist(), labels.tolist()
  ([11.0, 22.0, 21.0, 12.0], [1.0, 1.0, 0.0, 0.0])
  """
  if aggregate not in _AGGREGATE:
    raise ValueError(
      f'aggregate is {aggregate!r}; expected one of {sorted(_AGGREGATE)}'
    )
  specs = {f'views[{i}]': (view, 'B D') for i, view in enumerate(views)}
  batch, join = shapes.check(**specs)['B'], _AGGREGATE[aggregate]
  if len(views) < 2 or batch < 2:
    raise ValueError(
      f'views are {len(views)} of batch {batch}; expected at least 2 of each'
    )
  pairs, shift = [], 0
  for i, first in enumerate(views):
    for second in views[i + 1 :]:
      shift = shift % (batch - 1) + 1  # never back to the own image
      pairs += [join(first, second), join(first, jnp.roll(second, shift, 0))]
  one, two = jnp.ones(batch), jnp.zeros(batch)
  labels = jnp.tile(jnp.concatenate([one, two]), len(pairs) // 2)
  return jnp.concatenate(pairs), labels
