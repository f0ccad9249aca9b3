"""Supervised training, the yardstick of the self-supervised methods."""

from typing import Any, NamedTuple

from sslax.errors import BadInputError
from sslax.method import Method, encoder_features, unchanged
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from sslax.nets.net import Net
from sslax.ops.classification import classify


class SupervisedState(NamedTuple):
  """What changes beside the parameters."""

  stats: dict[str, Any]  # batch statistics of encoder and head


def supervised(
  encoder: Net,
  *,
  num_classes: int,
  dtype: str = 'float32',
) -> Method:
  """Supervised training: a linear layer on the encoder predicts the label.

  loss = −mean_i log softmax(h(f(x_i)))[y_i]. Reads one view, and `label`.

  Args:
    encoder: [B, H, W, C] -> [B, D].
    num_classes: labels are in [0, num_classes); one outside makes the loss not
      a number, and the run stops.
    dtype: compute dtype of the linear layer.

  Returns:
    A Method whose features are the encoder's output.

  References:
    He et al., Deep residual learning for image recognition,
    https://arxiv.org/abs/1512.03385, 2015, section 4.
  """
  head = mlp(hidden=(), features=num_classes, dtype=dtype)
  whole = chain(encoder=encoder, head=head)

  def init(rng, batch):
    params, stats = whole.init(rng, batch['views'][0])
    return params, SupervisedState(stats)

  def loss(params, state, batch, *, rng, step):
    del step
    if 'label' not in batch:
      raise BadInputError(
        'method.name is supervised, but the source has no labels; for a folder'
        ' of images data.labels=folders would be right'
      )
    logits, stats = whole.apply(
      params, state.stats, batch['views'][0], train=True, rng=rng
    )
    value, accuracy = classify(logits, batch['label'])
    return value, (SupervisedState(stats), {'accuracy': accuracy})

  return Method(init, loss, unchanged, encoder_features(encoder))
