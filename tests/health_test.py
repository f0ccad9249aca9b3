"""The health monitor: when it speaks, and when it must not."""

from sslax import health


def _row(step, std=0.8, nonfinite=False):
  return {
    'step': step,
    'loss': float('nan') if nonfinite else 1.0,
    'grad_norm': 1.0,
    'nonfinite': nonfinite,
    'embedding_std': std,
  }


def test_collapse_is_said_with_what_usually_fails():
  observe = health.monitor('the predictor')
  last = health.GRACE_STEPS + health.IN_A_ROW - 1
  rows = [_row(i, 0.01) for i in range(last + 1)]
  assert observe(rows[:-1]) is None
  sick = observe(rows[-1:])
  assert sick.step == last
  assert 'collapsed' in sick.sentence
  assert 'the predictor' in sick.sentence


def test_a_short_dip_is_no_collapse():
  observe = health.monitor('')
  rows = [_row(200 + i, 0.01) for i in range(health.IN_A_ROW - 1)]
  assert observe([*rows, _row(250, 0.6), *rows]) is None


def test_an_embedding_that_starts_low_and_spreads_is_no_collapse():
  rows = [_row(i, 0.01) for i in range(health.GRACE_STEPS)]
  assert health.monitor('')([*rows, _row(health.GRACE_STEPS)]) is None


def test_the_step_that_is_not_finite_is_named():
  sick = health.monitor('')([_row(3), _row(4, nonfinite=True), _row(5)])
  assert sick.step == 4
  assert 'not finite' in sick.sentence


def test_methods_without_an_embedding_are_not_judged_by_it():
  rows = [_row(i) for i in range(2 * health.IN_A_ROW)]
  for row in rows:
    del row['embedding_std']
  assert health.monitor('')(rows) is None
