import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.data import masks
from sslax.errors import BadInputError
from sslax.nets.decoder import decoder
from sslax.nets.positions import sincos

_TINY = {
  'grid': (2, 3),
  'patch_size': 2,
  'width': 8,
  'depth': 1,
  'num_heads': 2,
}


def _inputs(dtype='float32'):
  rng = np.random.default_rng(0)
  tokens = rng.normal(size=(2, 2, 5)).astype(dtype)
  visible = np.array([[1, 4], [0, 5]], np.int32)
  return tokens, visible, rng.normal(size=(2, 5)).astype(dtype)


def _apply(net):
  return jax.jit(
    lambda params, *inputs: net.apply(params, {}, *inputs, train=False)[0]
  )


@pytest.fixture(scope='module')
def tiny():
  net = decoder(**_TINY)
  params, _ = net.init(jax.random.key(0), *_inputs())
  rng = np.random.default_rng(1)
  params = jax.tree.map(
    lambda x: x + 0.2 * rng.normal(size=x.shape).astype(np.float32), params
  )
  return _apply(net), params


def test_parameter_count_is_maes():
  # decoder_* and mask_token of the official mae_vit_base_patch16_dec512d8b,
  # without its fixed positions.
  tokens = jax.ShapeDtypeStruct((1, 49, 768), jnp.float32)
  visible = jax.ShapeDtypeStruct((1, 49), jnp.int32)
  params, _ = jax.eval_shape(decoder().init, jax.random.key(0), tokens, visible)
  count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
  assert count == 26_008_320


def test_shapes_and_dtypes(tiny):
  _, params = tiny
  tokens, visible, class_token = _inputs()
  apply = _apply(decoder(**_TINY, dtype='bfloat16'))
  pixels = apply(params, jnp.bfloat16(tokens), visible, class_token)
  assert (pixels.shape, pixels.dtype) == ((2, 6, 12), jnp.float32)


def test_tokens_go_where_they_come_from(tiny):
  apply, params = tiny
  tokens, visible, _ = _inputs()
  want = apply(params, tokens, visible)
  swapped = apply(params, tokens[:, ::-1], visible[:, ::-1])
  np.testing.assert_allclose(want, swapped, atol=1e-5)
  moved = apply(params, tokens[:, ::-1], visible)
  assert np.abs(want - moved).max() > 1e-3


def test_mask_tokens_differ_by_their_positions_alone():
  # Without blocks, a decoder is one linear layer after another on each token.
  tokens, visible, _ = _inputs()
  net = decoder(**_TINY)
  params, _ = net.init(jax.random.key(0), tokens, visible)
  for branch in ('attn', 'mlp'):
    layer = {'attn': 'proj', 'mlp': 'fc2'}[branch]
    kernel = params['blocks']['0'][branch][layer]
    kernel['kernel'] = 0 * kernel['kernel']
  pixels = _apply(net)(params, tokens, visible)
  x = np.tile(np.asarray(params['mask_token']), (2, 6, 1))
  embed, pred = (
    jax.tree.map(np.asarray, params[name]) for name in ('embed', 'pred')
  )
  for example in range(2):
    for token, place in zip(tokens[example], visible[example], strict=True):
      x[example, place] = token @ embed['kernel'] + embed['bias']
  x = x + sincos((2, 3), 8)
  x = x - x.mean(-1, keepdims=True)
  x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
  want = x @ pred['kernel'] + pred['bias']
  np.testing.assert_allclose(pixels, want, atol=1e-5)


def test_class_token_is_decoded_along(tiny):
  apply, params = tiny
  tokens, visible, class_token = _inputs()
  with_class = apply(params, tokens, visible, class_token)
  assert with_class.shape == (2, 6, 12)
  other = apply(params, tokens, visible, class_token + 1)
  assert np.abs(with_class - other).max() > 1e-4


def test_takes_the_indices_of_masks(tiny):
  apply, params = tiny
  tokens, _, _ = _inputs()
  keys = jax.random.split(jax.random.key(0), 2)
  mask = jax.vmap(lambda key: masks.random_mask(key, 6, 2 / 3))(keys)
  visible, _ = masks.indices(mask, 2)
  assert apply(params, tokens, visible).shape == (2, 6, 12)


def test_equals_timms_blocks(tiny):
  """The official decoder is made of timm's blocks."""
  torch = pytest.importorskip('torch', reason='torch, the oracle, is absent')
  timm = pytest.importorskip('timm', reason='timm, the oracle, is absent')
  apply, params = tiny
  tokens, visible, class_token = _inputs()
  flat = {
    '.'.join(key.key for key in path): torch.from_numpy(np.array(leaf))
    for path, leaf in jax.tree.leaves_with_path(params)
  }
  block = timm.models.vision_transformer.Block(8, 2, qkv_bias=True).eval()
  block.norm1.eps = block.norm2.eps = 1e-6
  prefix = 'blocks.0.'
  state = {k.removeprefix(prefix): v for k, v in flat.items() if prefix in k}
  for name in list(state):
    renamed = re.sub('kernel|scale', 'weight', name)
    state[renamed] = state.pop(name)
    state[renamed] = state[renamed].mT if 'kernel' in name else state[renamed]
  block.load_state_dict(state)

  def linear(x, name):
    return x @ flat[f'{name}.kernel'] + flat[f'{name}.bias']

  x = torch.from_numpy(np.concatenate([class_token[:, None], tokens], 1))
  x = linear(x, 'embed')
  full = flat['mask_token'].repeat(2, 6, 1)
  for example in range(2):
    full[example, visible[example]] = x[example, 1:]
  full = full + torch.from_numpy(sincos((2, 3), 8).astype(np.float32))
  with torch.no_grad():
    x = block(torch.cat([x[:, :1], full], 1))[:, 1:]
  norm = flat['norm.scale'], flat['norm.bias']
  x = torch.nn.functional.layer_norm(x, (8,), *norm, eps=1e-6)
  x = linear(x, 'pred')
  got = apply(params, tokens, visible, class_token)
  np.testing.assert_allclose(got, x.numpy(), atol=1e-5)


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'grid': 0}, r'net.grid=\(0, 0\)'),
    ({'grid': (2, 3, 4)}, 'net.grid'),
    ({'width': 10}, 'net.width=10'),
    ({'num_heads': 3}, 'net.num_heads=3'),
    ({'depth': 0}, 'net.depth=0'),
    ({'dtype': 'float23'}, "dtype='float23'"),
  ],
)
def test_bad_input(kwargs, message):
  with pytest.raises(BadInputError, match=message):
    decoder(**kwargs)


def test_wrong_arrays():
  tokens, visible, class_token = _inputs()
  net = decoder(**_TINY)
  with pytest.raises(ValueError, match=r'visible has shape \[2, 1\]'):
    net.init(jax.random.key(0), tokens, visible[:, :1])
  with pytest.raises(ValueError, match='class_token has shape'):
    net.init(jax.random.key(0), tokens, visible, class_token[:, :3])
