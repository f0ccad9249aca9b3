import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax.errors import BadInputError
from sslax.nets import build
from sslax.nets.text_transformer import text_transformer

_TINY = {
  'vocab_size': 11,
  'max_length': 8,
  'width': 8,
  'depth': 2,
  'num_heads': 2,
}
_TOKENS = np.array(
  [[1, 4, 5, 2, 0, 0], [1, 7, 2, 0, 0, 0], [1, 3, 9, 8, 6, 2]], np.int32
)


def _apply(net):
  return jax.jit(
    lambda params, tokens: net.apply(params, {}, tokens, train=False)[0]
  )


def _close(a, b, tolerance=1e-5):
  np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


@pytest.fixture(scope='module')
def params():
  """Of every tiny network, away from their start."""
  params, _ = text_transformer(**_TINY).init(jax.random.key(0), _TOKENS)
  rng = np.random.default_rng(0)
  return jax.tree.map(
    lambda x: x + 0.3 * rng.normal(size=x.shape).astype(np.float32), params
  )


def test_parameter_count_is_clips():
  # CLIP ViT-B/32's text tower without its projection: embeddings 49,408 and 77
  # rows, 12 blocks, the last normalization.
  net = text_transformer(
    vocab_size=49_408,
    max_length=77,
    width=512,
    depth=12,
    num_heads=8,
    pool='end',
    causal=True,
  )
  tokens = jax.ShapeDtypeStruct((2, 77), jnp.int32)
  params, _ = jax.eval_shape(net.init, jax.random.key(0), tokens)
  count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
  assert count == 63_165_952
  features, _ = jax.eval_shape(
    lambda p, x: net.apply(p, {}, x, train=False), params, tokens
  )
  assert (features.shape, features.dtype) == ((2, 512), jnp.float32)


@pytest.mark.parametrize('pool', ['class', 'mean', 'end'])
@pytest.mark.parametrize('causal', [False, True])
def test_padding_changes_nothing(params, pool, causal):
  if causal and pool == 'class':
    return
  apply = _apply(text_transformer(**_TINY, pool=pool, causal=causal))
  features = apply(params, _TOKENS)
  assert features.shape == (3, 8)
  for row, length in enumerate((4, 3, 6)):
    alone = apply(params, _TOKENS[row : row + 1, :length])
    _close(features[row], alone[0])
  longer = np.pad(_TOKENS, ((0, 0), (0, 2)))
  _close(features, apply(params, longer))
  zeroed = params | {'token_embed': params['token_embed'].at[0].set(9.0)}
  _close(features, apply(zeroed, _TOKENS))


def test_pools_read_the_tokens_they_name(params):
  """Without blocks' outputs, each token stands for itself."""
  blocks = jax.tree.map(jnp.zeros_like, params['blocks'])
  params = params | {'blocks': blocks}
  x = np.asarray(params['token_embed'])[_TOKENS]
  x = x + np.asarray(params['pos_embed'])[None, :6]
  x = x - x.mean(-1, keepdims=True)
  x = x / np.sqrt((x**2).mean(-1, keepdims=True))
  x = x * np.asarray(params['norm']['scale'])
  x = x + np.asarray(params['norm']['bias'])
  want = {
    'class': x[:, 0],
    'mean': np.stack([x[0, :4].mean(0), x[1, :3].mean(0), x[2].mean(0)]),
    'end': np.stack([x[0, 3], x[1, 2], x[2, 5]]),
  }
  for pool, features in want.items():
    apply = _apply(text_transformer(**_TINY, pool=pool))
    _close(apply(params, _TOKENS), features, 1e-4)


def test_causal_tokens_do_not_see_what_follows(params):
  apply = _apply(text_transformer(**_TINY, pool='end', causal=True))
  free = _apply(text_transformer(**_TINY, pool='end'))
  tokens = _TOKENS[2:].copy()
  others = tokens.copy()
  others[0, 1] = 10
  assert np.abs(apply(params, tokens) - apply(params, others)).max() > 1e-3
  assert np.abs(apply(params, tokens) - free(params, tokens)).max() > 1e-3
  # the mean of what causal tokens say grows by one term with each token
  mean = _apply(text_transformer(**_TINY, pool='mean', causal=True))
  for length in (3, 4, 5):
    short, long = tokens[:, :length], tokens[:, : length + 1]
    grown = (length + 1) * mean(params, long) - length * mean(params, short)
    _close(grown, apply(params, long), 1e-4)


def test_order_matters(params):
  apply = _apply(text_transformer(**_TINY, pool='mean'))
  swapped = _TOKENS[:, [0, 2, 1, 3, 4, 5]]
  assert np.abs(apply(params, _TOKENS) - apply(params, swapped)).max() > 1e-3


def test_dropout_is_another_view_of_the_same_text(params):
  net = text_transformer(**_TINY, dropout=0.1)
  apply = jax.jit(net.apply, static_argnames='train')
  first, again, other = (
    apply(params, {}, _TOKENS, train=True, rng=jax.random.key(seed))[0]
    for seed in (1, 1, 2)
  )
  np.testing.assert_array_equal(first, again)
  assert np.abs(first - other).max() > 1e-3
  evaluated, _ = apply(params, {}, _TOKENS, train=False)
  plain = _apply(text_transformer(**_TINY))(params, _TOKENS)
  _close(evaluated, plain)


def test_texts_of_padding_alone_are_finite(params):
  tokens = np.zeros((1, 6), np.int32)
  for pool in ('class', 'mean', 'end'):
    apply = _apply(text_transformer(**_TINY, pool=pool))
    assert np.isfinite(apply(params, tokens)).all()


_TORCH = {  # our path in a block -> torch's
  'norm1': 'norm1',
  'norm2': 'norm2',
  'attn.proj': 'self_attn.out_proj',
  'mlp.fc1': 'linear1',
  'mlp.fc2': 'linear2',
}


def _torch_state(block):
  """State of a torch TransformerEncoderLayer."""
  qkv = block['attn']['qkv']
  state = {
    'self_attn.in_proj_weight': qkv['kernel'].T,
    'self_attn.in_proj_bias': qkv['bias'],
  }
  for ours, theirs in _TORCH.items():
    layer = block
    for key in ours.split('.'):
      layer = layer[key]
    weight = layer['scale'] if 'scale' in layer else layer['kernel'].T
    state |= {f'{theirs}.weight': weight, f'{theirs}.bias': layer['bias']}
  return state


@pytest.mark.parametrize('causal', [False, True])
def test_equals_torch(params, causal):
  torch = pytest.importorskip('torch', reason='torch, the oracle, is absent')
  net = text_transformer(**_TINY, pool='mean', causal=causal)
  params = jax.tree.map(np.array, params)
  x = params['token_embed'][_TOKENS] + params['pos_embed'][None, :6]
  x, padding = torch.from_numpy(x), torch.from_numpy(_TOKENS == 0)
  later = torch.triu(torch.ones(6, 6, dtype=torch.bool), 1) if causal else None
  for block in params['blocks'].values():
    layer = torch.nn.TransformerEncoderLayer(
      8, 2, 32, 0.0, 'gelu', 1e-12, batch_first=True, norm_first=True
    )
    state = _torch_state(block)
    layer.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    x = layer(x, later, padding)  # in train mode: no fused path
  x = x.detach().numpy()
  x = x - x.mean(-1, keepdims=True)
  x = x / np.sqrt((x**2).mean(-1, keepdims=True))
  x = x * params['norm']['scale'] + params['norm']['bias']
  keep = (_TOKENS != 0)[..., None]
  want = (x * keep).sum(1) / keep.sum(1)
  _close(_apply(net)(params, _TOKENS), want, 2e-5)


def test_clips_initializers():
  net = text_transformer(
    **_TINY | {'width': 64, 'vocab_size': 500}, initializer='clip'
  )
  params, _ = net.init(jax.random.key(0), _TOKENS)
  block = params['blocks']['1']
  want = {
    'token_embed': (params['token_embed'], 0.02),
    'pos_embed': (params['pos_embed'], 0.01),
    'qkv': (block['attn']['qkv']['kernel'], 64**-0.5),
    'proj': (block['attn']['proj']['kernel'], (64 * 4) ** -0.5),
    'fc1': (block['mlp']['fc1']['kernel'], 128**-0.5),
    'fc2': (block['mlp']['fc2']['kernel'], (64 * 4) ** -0.5),
  }
  for name, (array, std) in want.items():
    assert np.std(array) == pytest.approx(std, rel=0.1), name


def test_bfloat16_and_float64(params, x64):
  net = text_transformer(**_TINY, dtype='bfloat16')
  features = _apply(net)(params, _TOKENS)
  assert features.dtype == jnp.float32
  wide = text_transformer(**_TINY, dtype='float64')
  params, _ = wide.init(jax.random.key(0), _TOKENS)
  assert _apply(wide)(params, _TOKENS).dtype == jnp.float64


@pytest.mark.parametrize(
  ('tokens', 'message'),
  [
    (np.ones((1, 9), np.int32), 'L=9; expected at most 8'),
    (np.ones((1, 4), np.float32), 'float32'),
    (np.ones((4,), np.int32), r'tokens has shape \[4\]'),
  ],
)
def test_wrong_arrays(tokens, message):
  net = text_transformer(**_TINY)
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(net.init, jax.random.key(0), tokens)


@pytest.mark.parametrize(
  ('kwargs', 'message'),
  [
    ({'pool': 'last'}, "net.pool='last'"),
    ({'causal': True}, "net.pool='class'.*net.causal=True"),
    ({'initializer': 'dino'}, "net.initializer='dino'"),
    ({'width': 10}, 'net.width=10'),
    ({'vocab_size': 0}, 'net.vocab_size=0'),
    ({'dropout': -0.1}, 'net.dropout=-0.1'),
    ({'dtype': 'float23'}, "dtype='float23'"),
    ({'vocab': 3}, "net.vocab is not .*'vocab_size'"),
  ],
)
def test_bad_input(kwargs, message):
  with pytest.raises(BadInputError, match=message):
    build('text_transformer', **_TINY | kwargs)
