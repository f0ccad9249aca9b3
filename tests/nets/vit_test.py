import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.nets import build
from sslax.nets.vit import vit

# timm's counts without the classifier, learned positions, 224 pixels.
_COUNTS = {
  ('tiny', 16): 5_524_416,
  ('small', 16): 21_665_664,
  ('base', 16): 85_798_656,
  ('large', 16): 303_301_632,
  ('huge', 14): 630_764_800,
}
_TINY = {
  'width': 16,
  'depth': 2,
  'num_heads': 2,
  'patch_size': 4,
  'image_size': 16,
}
_ALL = ('features', 'tokens', 'class', 'blocks', 'ffn', 'attention')


def _images(size=(16, 16), batch=2, dtype='float32'):
  images = np.random.default_rng(0).normal(size=(batch, *size, 3))
  return images.astype(dtype)


def _mask():
  return np.random.default_rng(1).random((2, 16)) < 0.4


def _shapes(net, *inputs):
  params, stats = jax.eval_shape(net.init, jax.random.key(0), *inputs)
  outputs, _ = jax.eval_shape(
    lambda p, *inputs: net.apply(p, stats, *inputs, train=False),
    params,
    *inputs,
  )
  return params, jax.tree.map(lambda x: (x.shape, x.dtype.name), outputs)


def _close(a, b, tolerance=1e-5):
  np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def _apply(net):
  return jax.jit(
    lambda params, *inputs: net.apply(params, {}, *inputs, train=False)[0]
  )


@pytest.fixture(scope='module')
def tiny():
  """Parameters away from their start, so that every part shows."""
  net = vit(**_TINY, positions='learned', masking='token', taps=_ALL)
  params, _ = net.init(jax.random.key(0), _images())
  generator = np.random.default_rng(2)
  params = jax.tree.map(
    lambda x: x + 0.2 * generator.normal(size=x.shape).astype(np.float32),
    params,
  )
  return _apply(net), params


@pytest.mark.parametrize(('size', 'patch_size'), _COUNTS)
def test_parameter_count(size, patch_size):
  net = vit(size=size, patch_size=patch_size, positions='learned')
  images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
  params, _ = jax.eval_shape(net.init, jax.random.key(0), images)
  count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
  assert count == _COUNTS[size, patch_size]


def test_taps_and_their_dtypes():
  net = vit(**_TINY, registers=3, taps=_ALL, dtype='bfloat16')
  params, outputs = _shapes(net, _images((16, 24)))
  assert outputs == {
    'features': ((2, 16), 'float32'),
    'tokens': ((2, 24, 16), 'float32'),
    'class': ((2, 16), 'float32'),
    'blocks': ((2, 2, 28, 16), 'bfloat16'),
    'ffn': ((2, 2, 28, 16), 'bfloat16'),
    'attention': ((2, 2, 28, 28), 'float32'),
  }
  assert {x.dtype.name for x in jax.tree.leaves(params)} == {'float32'}


def _norm(x, params):
  x = np.asarray(x, np.float64)
  centered = x - x.mean(-1, keepdims=True)
  normed = centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-6)
  return normed * params['scale'] + params['bias']


def _linear(x, params):
  return x @ params['kernel'] + params['bias']


def test_taps_are_parts_of_one_computation(tiny):
  apply, params = tiny
  outputs = jax.tree.map(np.asarray, apply(params, _images()))
  params = jax.tree.map(np.asarray, params)
  np.testing.assert_array_equal(outputs['features'], outputs['class'])
  want = _norm(outputs['blocks'][-1], params['norm'])
  _close(outputs['tokens'], want[:, 1:], 1e-4)
  _close(outputs['class'], want[:, 0], 1e-4)
  block = params['blocks']['1']
  x = _norm(outputs['blocks'][1] - outputs['ffn'][1], block['norm2'])
  x = np.asarray(jax.nn.gelu(_linear(x, block['mlp']['fc1']), False))
  _close(outputs['ffn'][1], _linear(x, block['mlp']['fc2']), 1e-4)


def test_attention_equals_a_loop_over_heads(tiny):
  apply, params = tiny
  seen = jax.tree.map(np.asarray, apply(params, _images()))
  block = jax.tree.map(np.asarray, params['blocks']['1'])
  x = seen['blocks'][0][0]
  qkv = _linear(_norm(x, block['norm1']), block['attn']['qkv'])
  mixed = np.zeros(x.shape)
  for head in range(2):
    q, k, v = (qkv[:, 16 * i + 8 * head :][:, :8] for i in range(3))
    weights = np.exp(q @ k.T / math.sqrt(8))
    weights /= weights.sum(-1, keepdims=True)
    _close(seen['attention'][0, head], weights, 1e-4)
    mixed[:, 8 * head : 8 * head + 8] = weights @ v
  want = x + _linear(mixed, block['attn']['proj'])
  _close(seen['blocks'][1][0] - seen['ffn'][1][0], want, 1e-4)


def test_masked_tokens_are_not_seen(tiny):
  apply, params = tiny
  mask = _mask()
  images = _images()
  hidden = mask.reshape(2, 4, 4).repeat(4, 1).repeat(4, 2)[..., None]
  scrambled = np.where(hidden, 7 * images + 3, images).astype(np.float32)
  want = apply(params, images, mask)
  got = apply(params, scrambled, mask)
  np.testing.assert_array_equal(want['tokens'], got['tokens'])
  assert (apply(params, images)['tokens'] != want['tokens']).any()
  other = params | {'mask_token': params['mask_token'] + 1}
  assert (apply(other, images, mask)['tokens'] != want['tokens']).any()
  unmasked = apply(other, images, np.zeros_like(mask))
  _close(unmasked['tokens'], apply(params, images)['tokens'])


def test_masked_tokens_keep_their_positions(tiny):
  apply, params = tiny
  everything = np.ones((2, 16), bool)
  tokens = np.asarray(apply(params, _images(), everything)['tokens'])
  _close(tokens[0], tokens[1])  # the images are not seen
  assert (np.abs(tokens[0, :1] - tokens[0, 1:]).max(-1) > 1e-3).all()


def test_dropped_tokens_do_not_enter(tiny):
  _, params = tiny
  params = {k: v for k, v in params.items() if k != 'mask_token'}
  net = vit(**_TINY, positions='learned', masking='drop', taps=_ALL)
  apply = _apply(net)
  visible = np.array([[3, 5, 6, 9], [0, 1, 2, 15]], np.int32)
  shuffled = visible[:, [2, 0, 3, 1]]
  images = _images()
  outputs = apply(params, images, visible)
  again = apply(params, images, shuffled)
  assert outputs['tokens'].shape == (2, 4, 16)
  _close(outputs['class'], again['class'], 1e-4)
  _close(outputs['tokens'][:, [2, 0, 3, 1]], again['tokens'], 1e-4)
  seen = np.zeros((2, 16), bool)
  seen[np.arange(2)[:, None], visible] = True
  seen = seen.reshape(2, 4, 4).repeat(4, 1).repeat(4, 2)[..., None]
  scrambled = np.where(seen, images, -5).astype(np.float32)
  blind = apply(params, scrambled, visible)
  np.testing.assert_array_equal(outputs['tokens'], blind['tokens'])
  every = np.tile(np.arange(16, dtype=np.int32), (2, 1))
  _close(
    apply(params, images, every)['tokens'], apply(params, images)['tokens']
  )


def _from_timm(tensors):
  """The parameters of a timm VisionTransformer, under our names."""
  params = {}
  for name, tensor in tensors.items():
    name = name.replace('patch_embed.proj', 'patch_embed')
    *path, leaf = name.replace('.gamma', '').split('.')
    array = tensor.numpy().copy()
    if leaf == 'weight':
      leaf = 'scale' if array.ndim == 1 else 'kernel'
      array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
    branch = params
    for key in path:
      branch = branch.setdefault(key, {})
    branch[leaf] = array
  return params


@pytest.mark.parametrize('registers', [0, 2])
def test_equals_timm(registers):
  torch = pytest.importorskip('torch', reason='torch, the oracle, is absent')
  timm = pytest.importorskip('timm', reason='timm, the oracle, is absent')
  model = timm.models.VisionTransformer(
    img_size=16,
    patch_size=4,
    embed_dim=16,
    depth=2,
    num_heads=2,
    num_classes=0,
    reg_tokens=registers,
    no_embed_class=bool(registers),  # timm has no positions for registers so
    init_values=0.3,
  ).eval()
  generator = torch.Generator().manual_seed(0)
  tensors = model.state_dict()
  for tensor in tensors.values():
    tensor.normal_(0, 0.3, generator=generator)
  params = _from_timm(tensors)
  if registers:
    zero = np.zeros((1, 1, 16), np.float32)
    params['pos_embed'] = np.concatenate([zero, params['pos_embed']], axis=1)
  net = vit(**_TINY, positions='learned', registers=registers, layer_scale=0.3)
  like, _ = net.init(jax.random.key(0), _images())
  assert jax.tree.map(jnp.shape, like) == jax.tree.map(jnp.shape, params)
  with torch.no_grad():
    want = model(torch.from_numpy(_images().transpose(0, 3, 1, 2).copy()))
  _close(_apply(net)(params, _images()), want.numpy(), 2e-5)


def test_learned_positions_follow_the_image(tiny):
  apply, params = tiny
  assert apply(params, _images((24, 8)))['tokens'].shape == (2, 12, 16)


def test_registers_are_read_by_nobody_but_attended_to():
  net = vit(**_TINY, registers=2, pool='mean', taps=('features', 'tokens'))
  params, _ = net.init(jax.random.key(0), _images())
  apply = _apply(net)
  outputs = apply(params, _images())
  assert outputs['tokens'].shape == (2, 16, 16)
  _close(outputs['features'], np.asarray(outputs['tokens']).mean(1))
  params['reg_token'] = params['reg_token'] + 1
  assert (apply(params, _images())['tokens'] != outputs['tokens']).any()


def test_drop_path_rises_with_depth_and_is_off_in_evaluation():
  taps = ('blocks', 'features')
  net = vit(**_TINY | {'depth': 3}, drop_path=0.5, final_norm=False, taps=taps)
  images = np.repeat(_images(batch=1), 64, 0)
  params, _ = net.init(jax.random.key(0), images)
  apply = jax.jit(net.apply, static_argnames='train')
  outputs, _ = apply(params, {}, images, train=True, rng=jax.random.key(1))
  blocks = np.asarray(outputs['blocks'])[:, :, 0]
  kinds = [len(np.unique(block.round(4), axis=0)) for block in blocks]
  assert kinds[0] == 1  # rate 0
  assert kinds[1] > 1
  same = (np.abs(blocks[2] - blocks[1]).max(-1) < 1e-6).mean()
  assert 0.1 < same < 0.4  # both branches dropped, a quarter at rate 0.5
  same = (np.abs(blocks[1] - blocks[0]).max(-1) < 1e-6).mean()
  assert same < 0.2  # a sixteenth at rate 0.25
  want, _ = apply(params, {}, images, train=False)
  full = vit(**_TINY | {'depth': 3}, final_norm=False, taps=taps)
  got, _ = full.apply(params, {}, images[:2], train=False)
  _close(want['features'][:2], got['features'])


def test_layer_scale_starts_blocks_near_the_identity():
  net = vit(**_TINY, layer_scale=1e-6, taps=('blocks', 'ffn'))
  params, _ = net.init(jax.random.key(0), _images())
  assert params['blocks']['0']['ls1'].shape == (16,)
  outputs = _apply(net)(params, _images())
  _close(outputs['blocks'][0], outputs['blocks'][1], 1e-4)
  assert 0 < np.abs(outputs['ffn']).max() < 1e-4


def test_remat_gives_the_same_gradients():
  images = _images()

  def gradients(remat):
    net = vit(**_TINY | {'depth': 1}, layer_scale=0.1, remat=remat)
    params, _ = net.init(jax.random.key(0), images)

    def loss(params):
      out, _ = net.apply(params, {}, images, train=True)
      return jnp.square(out * jnp.arange(16.0)[None]).sum()

    gradient = jax.jit(jax.grad(loss))
    return gradient(params), jax.make_jaxpr(gradient)(params)

  (want, _), (got, jaxpr) = gradients(False), gradients(True)
  assert jax.tree.structure(want) == jax.tree.structure(got)
  for a, b in zip(jax.tree.leaves(want), jax.tree.leaves(got), strict=True):
    _close(a, b, 1e-4 * max(1, np.abs(a).max()))
    assert np.abs(a).max() > 0
  assert 'remat' in str(jaxpr) or 'checkpoint' in str(jaxpr)


@pytest.mark.parametrize(
  ('initializer', 'qkv', 'patch', 'fc2', 'cls'),
  [
    ('dino', 0.02, 1 / math.sqrt(3 * 192), 0.02, 0.02),
    ('mae', math.sqrt(2 / 256), math.sqrt(2 / 256), math.sqrt(2 / 320), 0.02),
    ('moco_v3', math.sqrt(2 / 128), math.sqrt(2 / 256), None, 1e-6),
    ('data2vec', 0.02, 1 / math.sqrt(576), 0.02 / math.sqrt(2), 0.02),
  ],
)
def test_initializers_are_the_official_ones(initializer, qkv, patch, fc2, cls):
  sizes = {'width': 64, 'depth': 1, 'num_heads': 2, 'patch_size': 8}
  net = vit(**sizes, image_size=16, initializer=initializer)
  params, _ = net.init(jax.random.key(0), _images())
  block = params['blocks']['0']
  assert np.std(block['attn']['qkv']['kernel']) == pytest.approx(qkv, rel=0.05)
  std = np.std(params['patch_embed']['kernel'])
  assert std == pytest.approx(patch, rel=0.05)
  if fc2:
    assert np.std(block['mlp']['fc2']['kernel']) == pytest.approx(fc2, rel=0.05)
  assert np.std(params['cls_token']) == pytest.approx(cls, rel=0.3)
  np.testing.assert_array_equal(block['attn']['qkv']['bias'], 0)
  bias = np.std(params['patch_embed']['bias'])
  want = 0 if initializer == 'moco_v3' else 1 / math.sqrt(3 * 192)
  assert bias == pytest.approx(want, rel=0.3)


def test_bfloat16_is_near_float32(tiny):
  apply, params = tiny
  want = apply(params, _images())['features']
  net = vit(
    **_TINY, positions='learned', masking='token', dtype='bfloat16', taps=_ALL
  )
  _close(_apply(net)(params, _images())['features'], want, 0.15)


def test_float64_stays(x64):
  net = vit(**_TINY, dtype='float64', layer_scale=0.1)
  params, _ = net.init(jax.random.key(0), _images())
  features = _apply(net)(params, _images())
  dtypes = {x.dtype.name for x in jax.tree.leaves((params, features))}
  assert dtypes == {'float64'}


@pytest.mark.parametrize(
  ('masking', 'inputs', 'message'),
  [
    ('token', (np.zeros((2, 16, 16, 3), np.uint8),), 'uint8'),
    ('token', (_images((16, 18)),), r'multiples of 4'),
    ('token', (_images(), np.zeros((2, 15), bool)), r'mask has shape \[2, 15'),
    ('token', (_images(), np.zeros((2, 16), np.int32)), 'int32.*bool'),
    ('drop', (_images(), np.zeros((2, 4), bool)), 'bool.*integer'),
    ('none', (_images(), np.zeros((2, 16), bool)), "'none'"),
  ],
)
def test_wrong_arrays(masking, inputs, message):
  net = vit(**_TINY, masking=masking)
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(net.init, jax.random.key(0), *inputs)


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'size': 'smal'}, "net.size='smal' .*'small'"),
    ({'pool': 'max'}, "net.pool='max'"),
    ({'positions': 'learnt'}, "net.positions='learnt' .*'learned'"),
    ({'masking': 'tokens'}, "net.masking='tokens' .*'token'"),
    ({'initializer': 'dno'}, "net.initializer='dno' .*'dino'"),
    ({'taps': ('token',)}, "net.taps .*'token'.*'tokens'"),
    ({'class_token': False}, "net.pool='class'"),
    (
      {'class_token': False, 'pool': 'mean', 'taps': ('class',)},
      "net.taps .*'class'",
    ),
    ({'num_heads': 5}, 'net.width=384 .*net.num_heads=5'),
    ({'image_size': 225}, 'net.image_size=225 .*net.patch_size=16'),
    ({'drop_path': 1.0}, r'net.drop_path=1.0 .*\[0, 1\)'),
    ({'depth': 0}, 'net.depth=0'),
    ({'registers': -1}, 'net.registers=-1'),
    ({'dtype': 'float23'}, "dtype='float23' .*'float32'"),
    ({'widht': 3}, "net.widht.*'width'"),
  ],
)
def test_bad_input(kwargs, message):
  with pytest.raises(BadInputError, match=message):
    build('vit', **kwargs)
