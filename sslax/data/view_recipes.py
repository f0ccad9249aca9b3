"""Recipes of views: which augmentations, how strong, how often.

A recipe is a row of a table: the values in which it differs from ViewPolicy's
own, for each kind of view. `factory` makes a function of it whose arguments are
the fields of ViewPolicy, so that a config can set them all: one value for all
kinds, or one for each.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sslax import lookup
from sslax.data import sound_views, text_views, video_views, views
from sslax.data.view_policy import ViewPolicy, require


class Recipe(NamedTuple):
  """A row of the table.

  Attributes:
    kinds: what its kinds of views are, in order.
    values: field of ViewPolicy -> one value, or one for each kind.
    source: where it is from, and in what it deviates from there.
    reads: the key of a batch that it makes views of.
    make: makes Views of policies, one a kind; where there are no kinds, of its
      own arguments alone.
  """

  kinds: tuple[str, ...]
  values: Mapping[str, Any]
  source: str
  reads: str = 'image'
  make: Callable[..., views.Views] = views.make


_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_UNTOUCHED = {
  'crop_scale': (1.0, 1.0),
  'crop_ratio': (1.0, 1.0),
  'flip_prob': 0.0,
  'jitter_prob': 0.0,
  'grayscale_prob': 0.0,
  'blur_prob': 0.0,
}
_STRONG_JITTER = {
  'brightness': 0.8, 'contrast': 0.8, 'saturation': 0.8, 'hue': 0.2
}  # fmt: skip

RECIPES = {
  'byol': Recipe(
    ('first', 'second'),
    {'blur_prob': (1.0, 0.1), 'solarize_prob': (0.0, 0.2)},
    'Grill et al., https://arxiv.org/abs/2006.07733, 2020, table 6; also the'
    ' views of Barlow Twins, VICReg and MoCo v3. Deviations: those of'
    ' augment.color_jitter and augment.blur.',
  ),
  'simclr': Recipe(
    ('both',),
    {'num_crops': 2, **_STRONG_JITTER},
    'Chen et al., https://arxiv.org/abs/2002.05709, 2020, and its official'
    ' data_util.py, at color strength 1. Deviations: those of'
    ' augment.color_jitter and augment.blur.',
  ),
  'moco_v1': Recipe(
    ('both',),
    {
      'num_crops': 2,
      'crop_scale': (0.2, 1.0),
      'interpolation': 'bilinear',
      'jitter_prob': 1.0,
      'saturation': 0.4,
      'hue': 0.4,
      'blur_prob': 0.0,
    },
    'He et al., https://arxiv.org/abs/1911.05722, 2019, and the official'
    ' main_moco.py; also the views of InstDisc. Deviations: the official code'
    ' takes the colors away before it jitters them.',
  ),
  'moco_v2': Recipe(
    ('both',),
    {
      'num_crops': 2,
      'crop_scale': (0.2, 1.0),
      'interpolation': 'bilinear',
      'saturation': 0.4,
    },
    'Chen et al., https://arxiv.org/abs/2003.04297, 2020, and the official'
    ' main_moco.py --aug-plus. Deviations: the official code blurs with'
    ' Pillow, whose kernel has no fixed width.',
  ),
  'swav': Recipe(
    ('global', 'local'),
    {
      'size': (224, 96),
      'num_crops': (2, 6),
      'crop_scale': ((0.14, 1.0), (0.05, 0.14)),
      'interpolation': 'bilinear',
      **_STRONG_JITTER,
    },
    'Caron et al., https://arxiv.org/abs/2006.09882, 2020, and the official'
    ' multicropdataset.py.',
  ),
  'dino': Recipe(
    ('first global', 'second global', 'local'),
    {
      'size': (224, 224, 96),
      'num_crops': (1, 1, 8),
      'crop_scale': ((0.4, 1.0), (0.4, 1.0), (0.05, 0.4)),
      'blur_prob': (1.0, 0.1, 0.5),
      'solarize_prob': (0.0, 0.2, 0.0),
    },
    'Caron et al., https://arxiv.org/abs/2104.14294, 2021, and the official'
    ' main_dino.py. Deviations: the official code blurs with Pillow, whose'
    ' kernel has no fixed width.',
  ),
  'crop_flip': Recipe(
    ('one',),
    {**_UNTOUCHED, 'crop_scale': (0.2, 1.0), 'crop_ratio': (3 / 4, 4 / 3),
     'flip_prob': 0.5},
    'He et al., https://arxiv.org/abs/2111.06377, 2021, and the official'
    ' main_pretrain.py of MAE: a random resized crop and a flip.',
  ),
  'plain': Recipe(
    ('one',), _UNTOUCHED, 'The center of each image, as evaluation sees it.'
  ),
  'clip': Recipe(
    ('one',),
    {**_UNTOUCHED, 'crop_scale': (0.9, 1.0), 'crop_ratio': (3 / 4, 4 / 3),
     'mean': _CLIP_MEAN, 'std': _CLIP_STD},
    'Radford et al., https://arxiv.org/abs/2103.00020, 2021: of the images of'
    ' image-text pairs a random square crop. Deviations: share and shape of the'
    ' crop are those of https://github.com/mlfoundations/open_clip,'
    ' transform.py, whose colors these are too.',
  ),
  'cvrl': Recipe(
    ('first', 'second'),
    {
      'crop_scale': (0.3, 1.0),
      'crop_ratio': (0.5, 2.0),
      'interpolation': 'bilinear',
      **_STRONG_JITTER,
      'blur_prob': (1.0, 0.1),
      'solarize_prob': (0.0, 0.2),
    },
    'Qian et al., https://arxiv.org/abs/2008.03800, 2020, and the official'
    ' video_ssl_input.py. Deviations: those of augment.color_jitter and'
    ' augment.blur.',
    'video',
    video_views.make,
  ),
  'waveform': Recipe(
    (), {}, 'Saeed et al., https://arxiv.org/abs/2010.10915, 2020.',
    'audio', sound_views.make,
  ),
  'tokens': Recipe(
    (), {}, 'Gao et al., https://arxiv.org/abs/2104.08821, 2021.',
    'text', text_views.make,
  ),
}  # fmt: skip
_PAIRS = ('crop_scale', 'crop_ratio', 'blur_sigma')  # a value is two numbers


def factory(name: str) -> Callable[..., views.Views]:
  """Returns the function that makes the recipe of that name.

  Its attribute `reads` is the key of a batch that its views are made of.

  Args:
    name: a key of RECIPES.

  Raises:
    BadInputError: no such recipe, with the nearest valid name.
  """
  lookup.choose('views', name, RECIPES)
  recipe = RECIPES[name]
  own = [
    p
    for p in inspect.signature(recipe.make).parameters.values()
    if p.kind == p.KEYWORD_ONLY
  ]

  def make(**kwargs):
    lookup.check_arguments('views', make, kwargs)
    values = {'size': 224, **recipe.values, **kwargs}
    how = {p.name: values.pop(p.name) for p in own if p.name in values}
    policies = [_policies(recipe.kinds, values)] if recipe.kinds else []
    made = recipe.make(*policies, **how)._replace(reads=recipe.reads)
    if name != 'plain':
      return made
    return made._replace(apply=lambda rng, images: (made.evaluate(images),))

  make.reads = recipe.reads
  make.__name__ = name
  make.__doc__ = recipe.source
  if recipe.make is not views.make:
    make.__doc__ += f'\n\n{inspect.getdoc(recipe.make)}'
  make.__signature__ = inspect.Signature(_parameters(recipe, own))
  return make


def build(name: str, **kwargs) -> views.Views:
  """Makes the views of the recipe of that name.

  Args:
    name: a key of RECIPES.
    **kwargs: fields of ViewPolicy, and arguments of `views.make`.

  Raises:
    BadInputError: no such recipe or argument, with the nearest valid name, or
      a value out of range.
  """
  return factory(name)(**kwargs)


def _parameters(recipe: Recipe, own) -> list[inspect.Parameter]:
  """What a config can set: the fields of its policies, then the maker's own."""
  if not recipe.kinds:
    fields = {}
  elif recipe.values is _UNTOUCHED:  # there is nothing to choose but the size
    fields = {'size': 224}
  else:
    fields = {'size': 224, **ViewPolicy._field_defaults, **recipe.values}
  own = [p.replace(default=recipe.values.get(p.name, p.default)) for p in own]
  taken = {p.name for p in own}
  return [
    inspect.Parameter(field, inspect.Parameter.KEYWORD_ONLY, default=value)
    for field, value in fields.items()
    if field not in taken
  ] + own


def _policies(kinds, values) -> list[ViewPolicy]:
  columns = {k: _each(k, v, len(kinds)) for k, v in values.items()}
  return [
    ViewPolicy(**{key: column[i] for key, column in columns.items()})
    for i in range(len(kinds))
    if columns.get('num_crops', (1,) * len(kinds))[i] != 0
  ]


def _each(key, value, num):
  """One value for each kind of view, from one for all or a sequence."""
  several = isinstance(value, list | tuple)
  if several and key in _PAIRS:
    several = bool(value) and isinstance(value[0], list | tuple)
  if not several:
    return (value,) * num
  require(len(value) == num, key, value, f'one value, or {num}')
  return tuple(tuple(v) if isinstance(v, list) else v for v in value)
