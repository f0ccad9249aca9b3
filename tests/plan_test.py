"""Plans: what is read of a compiled program, chips, and what is refused."""

import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sslax import cli
from sslax import config as config_lib
from sslax.plan import (
  __main__,
  collectives,
  costs,
  hlo,
  model_flops,
  planning,
  program,
  topology,
)
from tests import command

# As the TPU compiler writes it: a loop of three turns around a fused product
# and an exchange, a gather that computing does not wait for, a fused scatter.
_TEXT = """\
HloModule jit_step, is_scheduled=true, entry_computation_layout={()->f32[8]}

%add.1 (a: f32[], b: f32[]) -> f32[] {
  %a = f32[]{:T(128)} parameter(0)
  %b = f32[]{:T(128)} parameter(1)
  ROOT %sum = f32[]{:T(128)} add(%a, %b)
}

%fused (p0: f32[8,16], p1: f32[16,32]) -> f32[8,32] {
  %p0 = f32[8,16]{1,0:T(8,128)} parameter(0)
  %p1 = f32[16,32]{1,0:T(8,128)S(1)} parameter(1)
  ROOT %product = f32[8,32]{1,0:T(8,128)} convolution(%p0, %p1), dim_labels=bf_io->bf, operand_precision={highest,highest}
}

%body (state: (s32[], f32[8,16])) -> (s32[], f32[8,16]) {
  %state = (s32[]{:T(128)}, f32[8,16]{1,0:T(8,128)}) parameter(0)
  %x = f32[8,16]{1,0:T(8,128)} get-tuple-element(%state), index=1
  %w = f32[16,32]{1,0:T(8,128)S(1)} constant({...})
  %fusion.1 = f32[8,32]{1,0:T(8,128)} fusion(%x, %w), kind=kOutput, calls=%fused, metadata={op_name="jit(step)/dot"}, backend_config={"window_config":{"estimated_cycles":"100"}}
  %all-reduce.7 = (f32[8,32]{1,0:T(8,128)}, /*index=1*/f32[4]{0:T(128)}) all-reduce(%fusion.1, %v), channel_id=1, replica_groups=mesh['axis_0'=2,'axis_1'=4] {'axis_1'}, to_apply=%add.1, metadata={op_name="jit(step)/reduce_sum"}
  %v = f32[4]{0:T(128)} constant({...})
  ROOT %out = (s32[]{:T(128)}, f32[8,16]{1,0:T(8,128)}) tuple(%i, %x)
}

%condition (state: (s32[], f32[8,16])) -> pred[] {
  %state.2 = (s32[]{:T(128)}, f32[8,16]{1,0:T(8,128)}) parameter(0)
  ROOT %less = pred[]{:T(512)} constant(true)
}

%all-reduce-scatter.1 (p: f32[64,4]) -> f32[8,4] {
  %p = f32[64,4]{1,0:T(8,128)} parameter(0)
  %all-reduce.9 = f32[64,4]{1,0:T(8,128)} all-reduce(%p), channel_id=3, replica_groups=[1,8]<=[8], to_apply=%add.1
  ROOT %part = f32[8,4]{1,0:T(8,128)} slice(%all-reduce.9), slice={[0:8], [0:4]}
}

ENTRY %main.4_spmd (param.0: f32[8,16], param.1: f32[64,4]) -> f32[8] {
  %param.0 = f32[8,16]{1,0:T(8,128)} parameter(0)
  %param.1 = f32[64,4]{1,0:T(8,128)} parameter(1)
  %start = (s32[]{:T(128)}, f32[8,16]{1,0:T(8,128)}) tuple(%zero, %param.0)
  %while.1 = (s32[]{:T(128)}, f32[8,16]{1,0:T(8,128)}) while(%start), condition=%condition, body=%body, backend_config={"known_trip_count":{"n":"3"}}
  %all-gather-start.1 = (f32[8,16]{1,0:T(8,128)}, f32[64,16]{1,0:T(8,128)}) all-gather-start(%param.0), channel_id=2, replica_groups={{0,1,2,3,4,5,6,7}}, dimensions={0}
  %all-gather-done.1 = f32[64,16]{1,0:T(8,128)} all-gather-done(%all-gather-start.1)
  %scattered = f32[8,4]{1,0:T(8,128)} fusion(%param.1), kind=kCustom, calls=%all-reduce-scatter.1
  %copy-start.1 = (f32[8,16]{1,0:T(8,128)S(1)}, f32[8,16]{1,0:T(8,128)}, u32[]{:S(2)}) copy-start(%param.0), metadata={op_name="copy"}
  ROOT %result = f32[8]{0:T(128)} constant({...})
}
"""  # noqa: E501
_SMOKE = f'--config={command.ROOT}/configs/simclr.py:smoke'
# Wide enough for an array to be split.
_WIDE = '--config.method.hidden_size=1024'


@pytest.fixture(scope='module')
def parsed():
  return hlo.parse(_TEXT)


def test_a_loop_counts_as_often_as_it_turns(parsed):
  assert parsed.entry == 'main.4_spmd'
  assert parsed.times['body'] == 3
  assert parsed.times['fused'] == 3
  assert parsed.executed == {'main.4_spmd', 'body', 'condition'}


def test_products_inside_of_fusions_count(parsed):
  total = costs.of(parsed)
  product = 2 * 8 * 16 * 32
  assert sum(cost.flops for cost in total) == 3 * product
  assert sum(cost.passes for cost in total) == 3 * 6 * product
  assert sum(cost.cycles for cost in total) == 3 * 100


def test_memory_is_what_leaves_the_chip_padded_to_tiles(parsed):
  tile, vector = 8 * 128 * 4, 128 * 4
  moved = {cost.op_name: cost.memory for cost in costs.of(parsed)}
  # Operand and result; the weights stay on the chip.
  assert moved['jit(step)/dot'] == 3 * 2 * tile
  assert moved['jit(step)/reduce_sum'] == 3 * 2 * (tile + vector)
  assert moved['copy'] == tile  # of it only the operand is in main memory


def test_every_exchange_is_found_with_its_group(parsed):
  found = {c.kind: c for c in collectives.of(parsed, 8)}
  assert set(found) == {'all-reduce', 'all-gather', 'reduce-scatter'}
  reduced, gathered = found['all-reduce'], found['all-gather']
  assert (reduced.times, reduced.group, reduced.waits) == (3, 4, True)
  assert reduced.bytes == 4 * (8 * 32 + 4)
  assert (gathered.group, gathered.waits) == (8, False)
  assert gathered.bytes == 4 * 64 * 16
  assert [s.dims for s in gathered.shapes] == [(64, 16)]
  assert found['reduce-scatter'].bytes == 4 * 64 * 4


def test_the_largest_array_tells_what_an_exchange_is_for(parsed):
  found = {c.kind: c for c in collectives.of(parsed, 8)}
  purpose = collectives.purpose
  assert purpose(found['all-reduce'], {256}) == 'gradients'
  assert purpose(found['all-gather'], {1024}) == 'parameters'
  assert purpose(found['all-gather'], set()) == 'arrays'
  vector = found['all-reduce']._replace(shapes=(hlo.Shape('f32', (1, 64)),))
  assert purpose(vector, set()) == 'vectors'


@pytest.mark.parametrize(
  ('length', 'size', 'stride', 'low', 'high', 'lhs', 'rhs'),
  [
    (7, 3, 1, 1, 1, 1, 1),
    (8, 3, 2, 0, 1, 1, 1),
    (5, 3, 1, 1, 2, 2, 1),
    (9, 2, 3, 2, 2, 1, 3),
    (4, 4, 3, 0, 0, 4, 1),
  ],
)
def test_products_on_padding_do_not_count(
  length, size, stride, low, high, lhs, rhs
):
  dilated = np.zeros((length - 1) * lhs + 1, int)
  dilated[::lhs] = 1
  padded = np.pad(dilated, (low, high))
  reach = (size - 1) * rhs + 1
  out = (len(padded) - reach) // stride + 1
  expected = sum(
    padded[o * stride + k * rhs] for o in range(out) for k in range(size)
  )
  count = costs.pairs(
    length,
    out,
    size=size,
    stride=stride,
    low=low,
    lhs_dilation=lhs,
    rhs_dilation=rhs,
  )
  assert count == expected


def test_a_method_asks_for_the_products_that_it_writes():
  def step(x, w, kernel):
    x, _ = jax.lax.scan(lambda c, _: (c @ w, None), x, length=3)
    image = jnp.ones((2, 8, 8, 3), 'float32')
    maps = jax.lax.conv_general_dilated(
      image, kernel, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    return x.sum() + maps.sum()

  one = lambda *shape: jax.ShapeDtypeStruct(shape, 'float32')  # noqa: E731
  traced = jax.make_jaxpr(step)(one(4, 5), one(5, 5), one(3, 3, 3, 7))
  products = 3 * 2 * 4 * 5 * 5
  maps = 2 * (2 * 6 * 6 * 7) * (3 * 3 * 3)
  assert model_flops.of_jaxpr(traced.jaxpr) == products + maps


def test_slices_have_the_published_bandwidth():
  """The pages name what all chips of a pod reduce together."""
  for name, per_pod in (('v5e:16x16', 51.2e12), ('v6e:16x16', 102.4e12)):
    pod = topology.parse(name)
    assert pod.rings == (True, True)
    assert pod.bandwidth * pod.num_devices == per_pod
    assert pod.latency == pytest.approx(16e-6)
  assert topology.parse('v5e:8x16').rings == (False, True)
  assert topology.parse('v5p:2x4x4').rings == (False,) * 3
  assert topology.parse('v4:4x4x8').rings == (True,) * 3
  for chip in topology.CHIPS.values():
    assert chip.source.startswith('https://docs.cloud.google.com/tpu/')
    assert 15 * 2**30 < chip.memory < 96 * 2**30


def test_an_exchange_takes_its_bandwidth_or_its_hops():
  pod = topology.parse('v5e:16x16')
  large = collectives.Collective('all-reduce', (), 2**30, 256, 1, True, '')
  expected = 2 * 2**30 * 255 / 256 / 200e9
  assert collectives.seconds(large, pod) == pytest.approx(expected)
  gather = large._replace(kind='all-gather')
  assert collectives.seconds(gather, pod) == pytest.approx(expected / 2)
  small = large._replace(bytes=4)
  assert collectives.seconds(small, pod) == pytest.approx(32e-6)


def test_the_largest_batch_is_found_by_halving():
  asked = []

  def fits(size):
    asked.append(size)
    return size <= 1000

  best = program.largest(64, fits, unit=8)
  assert 1000 * 15 / 16 <= best <= 1000
  assert best % 8 == 0
  assert len(asked) < 12
  with pytest.raises(ValueError, match='not even a batch of 8'):
    program.largest(64, lambda size: False, unit=8)


def test_find_batch_plans_the_same_config_at_other_batches(monkeypatch, capsys):
  config = config_lib.override(config_lib.load('simclr:smoke'), [])
  seen = []

  def plan(config, *_):
    seen.append(config.batch_size)
    return {'fits': config.batch_size <= 40}, None

  monkeypatch.setattr(__main__, '_plan', plan)
  simulated = topology.parse('cpu:8')
  best = __main__._find_batch(config, simulated, [], {'fits': True})
  assert best == 40
  assert config.batch_size == 16
  assert 16 not in seen  # that plan was there
  assert 'batch 64 does not fit' in capsys.readouterr().out


def test_batch_squared_is_told_from_a_wide_layer():
  square = hlo.Shape('f32', (128, 256))
  assert planning._is_square(square, 128)
  assert not planning._is_square(square._replace(dims=(16, 256)), 128)


@pytest.mark.parametrize(
  ('words', 'sentence'),
  [
    (['--topology=v5e:3x3'], 'v5e comes as 1x1, 2x2'),
    (['--topology=v5p:4x4x5'], 'larger multiples of 4'),
    (['--topology=v5x:2x2'], "did you mean 'v5"),
    (['--topology=cpu:none'], 'cpu:N'),
    (['--topology=cpu:8', '--fnd-batch'], "did you mean '--find-batch'"),
    (['--topology=cpu:8', '--config.mesh.fsdp=3'], 'mesh.fsdp is 3'),
    (['--topology=cpu:8', '--config.batch_size=12'], '8 or 16'),
    (['--topology=cpu:4096'], '8 CPU devices'),
    (['--topology=cpu:8', '--json=nowhere/x.json'], 'there is no folder'),
  ],
)
def test_bad_input_is_one_sentence(words, sentence, capsys):
  code = cli.run_main(__main__.main, [_SMOKE, *words])
  assert code == cli.BAD_INPUT
  err = capsys.readouterr().err
  assert sentence in err
  assert err.count('\n') == 1


def test_without_libtpu_the_extra_is_named(monkeypatch, capsys):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  words = [_SMOKE, '--topology=v5e:2x2']
  assert cli.run_main(__main__.main, words) == cli.BAD_INPUT
  assert "pip install 'sslax[plan]'" in capsys.readouterr().err


def test_a_plan_for_simulated_devices(tmp_path, monkeypatch, capsys):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  file = tmp_path / 'plan.json'
  words = [_SMOKE, _WIDE, '--topology=cpu:8', '--config.mesh.fsdp=4']
  assert __main__.main([*words, f'--json={file}']) == 0
  plan = json.loads(file.read_text())
  memory = plan['memory']
  split = {s['path']: s for s in plan['splits'] if s['kind'] == 'params'}
  kernel = split['projector/linear1/kernel']
  assert kernel['held'] == [16, 256]
  held = 4 * (plan['parameters'] - 16 * 1024 * 3 // 4)
  assert memory['parameters'] == pytest.approx(held)
  assert memory['batch'] == 16 // 8 * (32 * 32 * 3 + 4 + 4)
  assert memory['temporaries'] > 0
  assert plan['model_flops'] > 0
  assert plan['alarms'] == []
  kinds = {(r['kind'], r['purpose']) for r in plan['collectives']['rows']}
  assert ('all-gather', 'parameters') in kinds
  assert 'fits: a global batch of 16' in capsys.readouterr().out

  # The second time nothing is compiled; and what is too large is told.
  monkeypatch.setattr(program, '_compile', None)
  monkeypatch.setattr(planning, '_limit', lambda topology: 2**10)
  assert __main__.main(words) == 1
  assert 'does not fit: a global batch of 16' in capsys.readouterr().out


def test_a_product_compiled_for_tpus():
  if importlib.util.find_spec('libtpu') is None:
    pytest.skip("the TPU compiler is absent: pip install 'sslax[plan]'")
  slice_ = topology.parse('v5e:2x2')
  mesh = jax.sharding.Mesh(np.array(topology.devices(slice_)), ('data',))
  rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))
  whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  x = jax.ShapeDtypeStruct((64, 128), 'bfloat16', sharding=rows)
  w = jax.ShapeDtypeStruct((128, 256), 'bfloat16', sharding=whole)

  def product(x, w):
    return (x @ w).sum(0)

  lowered = jax.jit(product, out_shardings=whole).lower(x, w)
  compiled = hlo.parse(program.compile_apart(lowered).as_text())
  work = costs.of(compiled)
  assert sum(cost.flops for cost in work) == 2 * 16 * 128 * 256
  assert sum(cost.cycles for cost in work) > 0
  (exchange,) = collectives.of(compiled, 4)
  assert (exchange.kind, exchange.group) == ('all-reduce', 4)
