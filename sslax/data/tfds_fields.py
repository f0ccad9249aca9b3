"""What among the features of a TFDS set goes to which key of a batch."""

from typing import NamedTuple

from sslax.errors import BadInputError, nearest

# Names under which sets keep what is learned from; ids and notes are text too.
_CAPTIONS = ('caption', 'text', 'sentence')
_PAIRS = (
  ('sentence1', 'sentence2'),
  ('question1', 'question2'),
  ('premise', 'hypothesis'),
)
_SCORES = ('label', 'score')


class Fields(NamedTuple):
  """Names of features; None, or none, where a set does not have such.

  Attributes:
    video: a sequence of color images.
    audio: samples of one sound.
    image: a color image.
    texts: a caption or a text, or the two texts of a pair.
    score: how alike the texts of a pair are, a float.
    label: a class.
    class_names: of the label.
  """

  video: str | None = None
  audio: str | None = None
  image: str | None = None
  texts: tuple[str, ...] = ()
  score: str | None = None
  label: str | None = None
  class_names: tuple[str, ...] | None = None

  @property
  def kind(self) -> str | None:
    """The key of a batch that a source of the set holds first."""
    for key in ('video', 'audio', 'image'):
      if getattr(self, key):
        return key
    return 'text' if self.texts else None


def find(features, name: str, labels: str | None = None) -> Fields:
  """Looks at the types of features, and at names where types do not tell.

  Args:
    features: FeaturesDict of a set.
    name: as in `data.name`, for messages.
    labels: the ClassLabel to take; default `label`, if it is one.

  Raises:
    BadInputError: there is nothing to learn from, or no such label.
  """
  features = dict(features.items())
  of_kind = {
    kind: [key for key, feature in features.items() if test(key, feature)]
    for kind, test in _TESTS.items()
  }
  in_color = lambda key: features[key].shape[-1] == 3  # noqa: E731
  chosen = {
    kind: kind if kind in keys else max(keys, key=in_color)
    for kind, keys in of_kind.items()
    if keys
  }
  label = _label(features, name, labels)
  fields = Fields(
    **chosen,
    texts=_texts(features),
    score=next((k for k in _SCORES if _is_score(features.get(k))), None),
    label=label,
    class_names=tuple(features[label].names) if label else None,
  )
  if fields.kind is None:
    raise BadInputError(
      f'data.name is {name!r}, which has no image, video, sound or text among'
      f' its features {", ".join(sorted(features))}'
    )
  return fields


def _types():
  import tensorflow_datasets as tfds

  return tfds.features


def _is_image(key, feature) -> bool:
  del key
  types = _types()
  mask = isinstance(feature, types.LabeledImage)
  return isinstance(feature, types.Image) and not mask


def _is_video(key, feature) -> bool:
  sequence = isinstance(feature, _types().Sequence)
  return sequence and _is_image(key, feature.feature)


def _is_audio(key, feature) -> bool:
  if isinstance(feature, _types().Audio):
    return True
  samples = key == 'audio' and len(feature.shape) == 1
  return samples and feature.dtype.name == 'int16'


_TESTS = {'video': _is_video, 'audio': _is_audio, 'image': _is_image}


def _texts(features) -> tuple[str, ...]:
  is_text = lambda key: isinstance(features.get(key), _types().Text)  # noqa: E731
  for names in (*_PAIRS, *((name,) for name in _CAPTIONS)):
    if all(map(is_text, names)):
      return names
  return ()


def _is_score(feature) -> bool:
  types = _types()
  return (
    isinstance(feature, types.Tensor)
    and feature.shape == ()
    and feature.dtype.name.startswith('float')
  )


def _label(features, name: str, labels: str | None) -> str | None:
  classes = [
    key
    for key, feature in features.items()
    if isinstance(feature, _types().ClassLabel)
  ]
  if labels is None:
    return 'label' if 'label' in classes else None
  if labels not in classes:
    raise BadInputError(
      f'data.labels is {labels!r}, which is no class label of {name}; it has'
      f' {", ".join(sorted(classes)) or "none"}' + nearest(labels, classes)
    )
  return labels
