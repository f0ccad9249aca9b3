"""CVRL: SimCLR's loss on clips, whose projection is not normalized."""

import jax
import numpy as np

from sslax import losses
from sslax.methods.cvrl import cvrl
from sslax.nets import resnet3d
from sslax.nets.chain import chain
from sslax.nets.mlp import mlp
from tests.methods import tiny

WITHOUT_GRADIENT = ()


def test_the_loss_is_that_of_two_clips_among_all_clips_of_the_batch():
  encoder = resnet3d(width=4, stem='small_stride2', stage_sizes=(1,))
  method = cvrl(
    encoder, hidden_size=8, projection_size=4, num_hidden=2, temperature=0.3
  )
  rng = np.random.default_rng(0)
  shape = (4, 2, 8, 8, 3)  # [B, T, H, W, C]
  clips = tuple(rng.normal(size=shape).astype(np.float32) for _ in range(2))
  params, state = method.init(jax.random.key(0), {'views': clips})
  value, (_, metrics) = tiny.call(method, params, state, {'views': clips})
  projector = mlp(hidden=(8, 8), features=4, hidden_bias=False)
  whole = chain(encoder=encoder, projector=projector)
  both = np.stack(clips, axis=1).reshape(-1, *shape[1:])
  z, _ = jax.jit(
    lambda p, s, x: whole.apply(p, s, x, train=True)
  )(params, state.stats, both)  # fmt: skip
  expected = losses.ntxent(z[::2], z[1::2], temperature=0.3)
  np.testing.assert_allclose(value, expected, rtol=1e-5)
  assert 0 <= metrics['accuracy'] <= 1
  assert method.features(params, state, clips[0]).shape == (4, 4)
