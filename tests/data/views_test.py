import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from sslax.data import view_recipes, views
from sslax.data.view_policy import ViewPolicy, augmented
from sslax.errors import BadInputError

_IMAGES = np.random.default_rng(0).integers(
  0, 256, (8, 24, 28, 3), dtype=np.uint8
)
_BYOL = view_recipes.build('byol', size=20)


@functools.cache
def _run():
  return jax.jit(_BYOL.apply)


@functools.cache
def _byol_views():
  return [np.asarray(v) for v in _run()(jax.random.key(0), _IMAGES)]


def test_byol_is_table_6_of_its_paper():
  first, second = view_recipes.build('byol').policies
  assert first == ViewPolicy(
    size=224,
    crop_scale=(0.08, 1.0),
    crop_ratio=(3 / 4, 4 / 3),
    interpolation='bicubic',
    flip_prob=0.5,
    jitter_prob=0.8,
    brightness=0.4,
    contrast=0.4,
    saturation=0.2,
    hue=0.1,
    grayscale_prob=0.2,
    blur_prob=1.0,
    blur_sigma=(0.1, 2.0),
    solarize_prob=0.0,
  )
  assert second == first._replace(blur_prob=0.1, solarize_prob=0.2)


def test_simclr_has_two_crops_of_one_kind():
  (policy,) = view_recipes.build('simclr').policies
  assert policy.num_crops == 2
  assert policy[7:11] == (0.8, 0.8, 0.8, 0.2)
  assert (policy.blur_prob, policy.solarize_prob) == (0.5, 0.0)


def test_multi_crop_gives_global_crops_first():
  made = view_recipes.build('dino', size=(12, 12, 6), num_crops=(1, 1, 3))
  assert [p.blur_prob for p in made.policies] == [1.0, 0.1, 0.5]
  assert [p.crop_scale[1] for p in made.policies] == [1.0, 1.0, 0.4]
  crops = jax.eval_shape(made.apply, jax.random.key(0), _IMAGES)
  assert [c.shape[1] for c in crops] == [12, 12, 6, 6, 6]
  without = view_recipes.build('swav', num_crops=(2, 0))
  assert len(without.policies) == 1


def test_a_pair_is_one_value_and_a_row_of_pairs_one_for_each_kind():
  one = view_recipes.build('swav', crop_scale=(0.5, 1.0)).policies
  assert [p.crop_scale for p in one] == [(0.5, 1.0)] * 2
  own = view_recipes.build('swav', crop_scale=[[0.5, 1.0], [0.1, 0.5]]).policies
  assert [p.crop_scale for p in own] == [(0.5, 1.0), (0.1, 0.5)]


def test_crops_of_one_policy_differ():
  made = view_recipes.build('simclr', size=8, jitter_prob=0.0, blur_prob=0.0)
  first, second = jax.jit(made.apply)(jax.random.key(0), _IMAGES)
  assert (np.abs(first - second).max((1, 2, 3)) > 0.01).all()


def test_views_are_finite_and_within_the_normalized_range():
  low, high = (
    (b - np.array(views.IMAGENET_MEAN)) / np.array(views.IMAGENET_STD)
    for b in (0, 1)
  )
  for view in _byol_views():
    assert view.shape == (8, 20, 20, 3)
    assert view.dtype == np.float32
    assert (view >= low - 1e-5).all()
    assert (view <= high + 1e-5).all()


def test_a_view_depends_on_its_image_and_place_alone():
  changed = _IMAGES.copy()
  changed[3] = 255 - changed[3]
  for view, after in zip(
    _byol_views(), _run()(jax.random.key(0), changed), strict=True
  ):
    same = (view == np.asarray(after)).all((1, 2, 3))
    np.testing.assert_array_equal(same, np.arange(8) != 3)


def test_a_view_does_not_depend_on_the_batch_size():
  made = view_recipes.build('byol', size=8, jitter_prob=0.0, blur_prob=0.0)
  whole, half = (
    made.apply(jax.random.key(0), images) for images in (_IMAGES, _IMAGES[:4])
  )
  for view, small in zip(whole, half, strict=True):
    np.testing.assert_allclose(small, view[:4], atol=1e-5)


def test_another_key_gives_other_views():
  for view, other in zip(
    _byol_views(), _run()(jax.random.key(1), _IMAGES), strict=True
  ):
    assert (np.abs(view - np.asarray(other)).max((1, 2, 3)) > 1e-3).all()


def test_eight_devices_equal_one():
  mesh = Mesh(np.array(jax.devices()), ('data',))
  images = jax.device_put(_IMAGES, NamedSharding(mesh, PartitionSpec('data')))
  split = _run()(jax.random.key(0), images)
  for view, sharded in zip(_byol_views(), split, strict=True):
    assert len(sharded.sharding.device_set) == 8
    np.testing.assert_allclose(sharded, view, atol=1e-5)


_STILL = ViewPolicy(
  size=24,
  crop_scale=(1.0, 1.0),
  crop_ratio=(1.0, 1.0),
  flip_prob=0.0,
  jitter_prob=0.0,
  grayscale_prob=0.0,
  blur_prob=0.0,
)


def _with(**changes):
  policy = _STILL._replace(**changes)
  images = jnp.asarray(_IMAGES[:, :, :24]).astype(jnp.float32) / 255
  keys = jax.random.split(jax.random.key(0), 8)
  view = functools.partial(augmented, policy=policy)
  return np.asarray(images), np.asarray(jax.jit(jax.vmap(view))(keys, images))


def test_probability_zero_changes_nothing():
  images, still = _with()
  np.testing.assert_array_equal(still, images)


def test_probability_one_changes_every_image():
  images, views_ = _with(flip_prob=1.0, solarize_prob=1.0)
  flipped = images[:, :, ::-1]
  expected = np.where(flipped < 0.5, flipped, 1 - flipped)
  np.testing.assert_allclose(views_, expected, atol=1e-6)


def test_a_flip_happens_as_often_as_it_should():
  view = functools.partial(
    augmented, policy=_STILL._replace(size=2, flip_prob=0.3)
  )
  image = jnp.asarray(np.arange(12).reshape(2, 2, 3) / 12, jnp.float32)
  keys = jax.random.split(jax.random.key(0), 4000)
  seen = jax.jit(jax.vmap(view, (0, None)))(keys, image)
  flipped = np.asarray(seen)[:, 0, 0, 0] > 0.1
  assert abs(flipped.mean() - 0.3) < 5 * (0.21 / 4000) ** 0.5


def test_plain_is_the_evaluation():
  made = view_recipes.build('plain', size=12)
  (view,) = made.apply(jax.random.key(0), _IMAGES)
  np.testing.assert_array_equal(view, made.evaluate(_IMAGES))


def test_evaluation_sees_the_center_and_unnormalize_undoes_it():
  how = {'mean': (0.1, 0.2, 0.3), 'std': (0.5, 1.0, 2.0)}
  made = view_recipes.build('byol', size=24, **how)
  seen = made.evaluate(_IMAGES)
  center = _IMAGES[:, :, 2:26]
  expected = (center / 255 - how['mean']) / how['std']
  np.testing.assert_allclose(seen, expected, atol=1e-5)
  np.testing.assert_array_equal(made.unnormalize(seen), center)
  kept = views.evaluation(_IMAGES, 12, center_ratio=0.5, **how)
  expected = (_IMAGES[:, 6:18, 8:20] / 255 - how['mean']) / how['std']
  np.testing.assert_allclose(kept, expected, atol=1e-5)


def test_dtypes(x64):
  single = views.evaluation(_IMAGES, 9)
  half = views.evaluation(_IMAGES, 9, dtype='bfloat16')
  double = views.evaluation(_IMAGES, 9, dtype='float64')
  kinds = [v.dtype.name for v in (single, half, double)]
  assert kinds == ['float32', 'bfloat16', 'float64']
  np.testing.assert_array_equal(half, single.astype('bfloat16'))
  np.testing.assert_allclose(double, single, atol=1e-5)


def test_float_images_are_refused():
  with pytest.raises(ValueError, match='float32; expected uint8'):
    views.evaluation(_IMAGES.astype(np.float32), 9)


@pytest.mark.parametrize(
  ('name', 'kwargs', 'message'),
  [
    ('byoll', {}, "views.name is 'byoll'.*did you mean 'byol'"),
    ('byol', {'colour': 1}, "views.colour is not an argument of '?byol"),
    ('byol', {'crop_scales': 1}, "did you mean 'crop_scale'"),
    ('byol', {'size': 0}, 'views.size is 0; .* at least 1'),
    ('byol', {'flip_prob': 1.5}, r'views.flip_prob is 1.5; .*\[0, 1\]'),
    ('byol', {'crop_scale': (0.5, 0.1)}, 'views.crop_scale is .*smaller first'),
    ('byol', {'crop_ratio': (0, 1)}, 'views.crop_ratio is .*above 0'),
    ('byol', {'hue': 0.6}, 'views.hue is 0.6'),
    ('byol', {'brightness': -1}, 'views.brightness is -1'),
    ('byol', {'blur_prob': (1, 2, 3)}, 'views.blur_prob is .*one value, or 2'),
    ('byol', {'interpolation': 'area'}, "views.interpolation is 'area'"),
    ('byol', {'dtype': 'int8'}, "views.dtype is 'int8'"),
    ('byol', {'std': (1, 0, 1)}, 'views.std is'),
    ('byol', {'mean': (1,)}, 'views.mean is'),
    ('plain', {'center_ratio': 0}, 'views.center_ratio is 0'),
    ('plain', {'flip_prob': 0.5}, 'views.flip_prob is not an argument'),
    ('swav', {'crop_scale': ((0, 1), (0, 1))}, 'views.crop_scale is'),
    ('swav', {'num_crops': (2, -1)}, 'views.num_crops is -1'),
    ('dino', {'size': (32, 16)}, 'views.size is .*one value, or 3'),
  ],
)
def test_a_bad_argument_is_named(name, kwargs, message):
  with pytest.raises(BadInputError, match=message):
    view_recipes.build(name, **kwargs)


def test_build_passes_arguments_on():
  built = view_recipes.build('plain', size=7)
  assert built.policies == view_recipes.build('plain', size=7).policies


def test_views_say_their_size_and_what_they_read():
  assert (_BYOL.size, _BYOL.reads) == (20, 'image')
  assert _BYOL._replace(policies=()).size is None
  seen = view_recipes.build('plain', size=24).evaluate(_IMAGES)
  np.testing.assert_array_equal(_BYOL.restore(seen), _IMAGES[:, :, 2:26])


def test_clip_crops_little_and_changes_no_color():
  made = view_recipes.build('clip')
  (policy,) = made.policies
  assert (policy.crop_scale, policy.interpolation) == ((0.9, 1.0), 'bicubic')
  chances = [v for k, v in policy._asdict().items() if k.endswith('_prob')]
  assert chances == [0] * 5
  small = view_recipes.build('clip', size=24, crop_scale=(1, 1),
                             crop_ratio=(1, 1))  # fmt: skip
  (view,) = small.apply(jax.random.key(0), _IMAGES[:, :, :24])
  gap = np.asarray(small.unnormalize(view)).astype(int) - _IMAGES[:, :, :24]
  assert np.abs(gap).max() <= 1
  assert made.reads == 'image'


def test_crops_from_the_host_are_views_of_their_kind():
  made = view_recipes.build('dino', size=(12, 12, 6), num_crops=(1, 1, 3))
  rng = np.random.default_rng(0)
  crops = tuple(
    jnp.asarray(rng.integers(0, 256, (2, n, s, s, 3)), jnp.uint8)
    for n, s in ((1, 12), (1, 12), (3, 6))
  )
  whole = jax.jit(made.apply)(jax.random.key(0), crops)
  assert [v.shape for v in whole] == [(2, 12, 12, 3)] * 2 + [(2, 6, 6, 3)] * 3
  assert len({float(jnp.mean(v)) for v in whole}) == 5
