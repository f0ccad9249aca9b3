"""The loop: build, restore, step, log, evaluate, save. One for all methods."""

import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from sslax import (
  build,
  checkpoint,
  health,
  hosts,
  init_from,
  memory,
  pictures,
  preemption,
  refresh,
  report,
  sharding,
  train,
)
from sslax import config as config_lib
from sslax import log as log_lib
from sslax import workdir as workdir_lib
from sslax.cli import DONE, SAVED, UNHEALTHY
from sslax.clock import Clock
from sslax.data import pipeline
from sslax.data.host_crops import HostCrops
from sslax.data.source import Source
from sslax.errors import BadInputError
from sslax.evals import runner as runner_lib


class Run(NamedTuple):
  """What the phases of the loop share."""

  config: Any  # complete ConfigDict
  workdir: pathlib.Path
  parts: build.Parts
  train: Source
  test: Source
  fresh: Callable[[], train.TrainState]  # the random initialization, anew
  example: dict[str, Any]  # shape and dtype of each entry of a batch, by row
  runner: runner_lib.Runner
  log: log_lib.Log
  checkpoints: Any  # orbax manager


def run(config, workdir: str | pathlib.Path) -> int:
  """Trains, evaluates and reports; resumes where the workdir holds a run.

  The order of the loop is: evaluate, save, refresh, next batch, step, log.

  Args:
    config: complete ConfigDict, from config.override.
    workdir: folder of the run.

  Returns:
    An exit code of sslax.cli.

  Raises:
    BadInputError: a value, a source or a workdir that cannot work.
  """
  hosts.initialize()
  workdir = pathlib.Path(workdir)
  workdir_lib.check(workdir, config)
  if _finished(config, workdir):
    log_lib.results(workdir)
    return DONE
  sources = [build.load_source(config, split) for split in ('train', 'test')]
  _check_size(config, sources[0])
  config.data.num_examples = sources[0].num_examples
  parts = build.build(config)
  sharding.check_batch_size(config.batch_size, parts.mesh)
  sharding.wait_for_all('workdir checked')
  if jax.process_index() == 0:
    workdir_lib.write_config(workdir, config)
  sharding.wait_for_all('config written')
  with checkpoint.manager(workdir, keep=config.checkpoint.keep) as checkpoints:
    return _run(config, workdir, parts, *sources, checkpoints)


def _run(config, workdir, parts, train_source, test_source, checkpoints) -> int:
  first = next(_batches(parts, train_source, 0))
  example = jax.tree.map(
    lambda x: {'shape': x.shape[1:], 'dtype': str(x.dtype)}, first
  )
  fresh = _initializer(parts, train_source, [first])
  train_state = fresh()
  restored = checkpoint.restore_latest(
    checkpoints, train_state, delete_unreadable=True
  )
  if restored is not None:
    train_state = restored
  elif config.init_from:
    train_state = init_from.load_weights(config.init_from, train_state)
  start = int(train_state.step)
  is_writer = jax.process_index() == 0
  if is_writer:
    log_lib.truncate(workdir, start)
    log_lib.describe(_about(config, workdir, parts, train_source, train_state))
  sharding.wait_for_all('log truncated')
  runner = runner_lib.make(parts, train_source, test_source)
  log = log_lib.Log(
    workdir,
    num_steps=config.num_steps,
    start_step=start,
    is_writer=is_writer,
  )
  with log:
    this = Run(config, workdir, parts, train_source, test_source, fresh,
               example, runner, log, checkpoints)  # fmt: skip
    code, train_state = _loop(this, train_state, start)
  if code == DONE:
    _finish(this, train_state)
  return code


def _loop(run: Run, train_state, start: int) -> tuple[int, train.TrainState]:
  """Runs the steps from `start` on; returns an exit code and the last state."""
  config, parts = run.config, run.parts
  step_fn = train.compile_step(
    train.make_step(parts.method, parts.tx, parts.views, seed=config.seed),
    train_state,
    parts.mesh,
  )
  batches = _batches(parts, run.train, start)
  baselines = _baselines(run)
  monitor = health.monitor(parts.method.safeguard)
  refreshed = refresh.runner(parts, run.train)
  clock, pending = Clock(config.batch_size), []
  with preemption.asked_to_stop() as asked:
    for step in range(start, config.num_steps + 1):
      last = step == config.num_steps
      if last or _due(config.eval.every_steps, step):
        jax.block_until_ready(train_state)  # these steps are training time
      with clock.paused():
        score = _evaluate(run, step, train_state, baselines)
        stop = asked(step)
        if last or stop or _due(config.checkpoint.every_steps, step):
          _save(run, step, train_state, score)
      if last or stop:
        run.checkpoints.wait_until_finished()
        return (DONE if last else SAVED), train_state
      train_state = refreshed(step, train_state)
      with clock.waiting():
        batch = next(batches)
      with jax.transfer_guard('disallow'):
        train_state, metrics = step_fn(train_state, batch)
      pending.append((step, metrics))
      if step % config.log.every_steps == 0 or step + 1 == config.num_steps:
        sick = _log(run, pending, clock, monitor)
        pending = []
        if sick and config.health.stop:
          return _stop_sick(run, sick, step + 1, train_state), train_state
  raise AssertionError('the loop ends at its last step')


def _initializer(parts, source, first) -> Callable[[], train.TrainState]:
  """Returns what makes the first state; the baselines make it once more.

  `first` holds the first batch until it is used.
  """
  init = train.make_init(
    parts.method,
    parts.tx,
    parts.views,
    first[0],
    seed=parts.config.seed,
    mesh=parts.mesh,
  )

  def fresh():
    return init(first.pop() if first else next(_batches(parts, source, 0)))

  return fresh


def _batches(parts, source, start_step) -> Iterator[dict[str, jax.Array]]:
  batches = host_batches(parts, source, start_step)
  return sharding.feed(parts.mesh, batches)


def host_batches(parts, source, start_step) -> Iterator[dict[str, np.ndarray]]:
  """Yields this process's share of the batches from a step on."""
  return pipeline.batches(
    source,
    batch_size=parts.config.batch_size,
    seed=parts.config.seed,
    start_step=start_step,
    host_crops=() if source.read is None else host_crops(parts.views),
    process_index=jax.process_index(),
    process_count=jax.process_count(),
  )


def host_crops(views) -> tuple[HostCrops, ...]:
  """Returns the crops that large images get before they leave the host.

  Args:
    views: from sslax.data.views.
  """
  return tuple(
    HostCrops(p.num_crops, p.size, p.crop_scale, p.crop_ratio)
    for p in views.policies
  )


def _due(every: int, step: int) -> bool:
  return every > 0 and step > 0 and step % every == 0


def _evaluate(run, step, train_state, baselines) -> float | None:
  """Evaluates where it is due; returns the score of the first protocol."""
  settings = run.config.eval
  if step == run.config.num_steps:
    names = settings.final
  elif _due(settings.every_steps, step):
    names = settings.protocols
  else:
    return None
  done = log_lib.evaluations(run.workdir, step)
  names = run.runner.names(names)
  missing = [name for name in names if name not in done]
  if missing:
    values = run.runner.encoder(missing, train_state.params, train_state.state)
    for name, value in values.items():
      run.log.evaluation(step, name, 'test', value, baselines(names)[name])
    done = {**done, **values}
  return done[names[0]]


def _baselines(run) -> Callable[[Iterable[str]], dict[str, dict[str, float]]]:
  """Returns names -> {protocol: baselines}; each is computed once a run."""
  known = log_lib.baselines(run.workdir)

  def baselines(names):
    missing = [name for name in names if name not in known]
    if missing:
      first = run.fresh()
      random = run.runner.encoder(missing, first.params, first.state)
      beside = run.runner.beside(missing)
      for name in missing:
        known[name] = {'random_init': random[name], **beside[name]}
    return known

  return baselines


def _save(run, step, train_state, score) -> None:
  about = {
    'config_hash': config_lib.fingerprint(run.config),
    'seed': run.config.seed,
    'example': run.example,
  }
  checkpoint.save(run.checkpoints, step, train_state, about=about, score=score)


def _log(run, pending, clock, monitor) -> health.Sick | None:
  """Fetches the metrics of the steps since the last line; logs the newest."""
  fetched = jax.device_get([metrics for _, metrics in pending])
  rows = [
    {'step': step, **{k: v.item() for k, v in metrics.items()}}
    for (step, metrics), metrics in zip(pending, fetched, strict=True)
  ]
  newest = {k: v for k, v in rows[-1].items() if k != 'step'}
  rates = {**clock.read(len(pending)), 'peak_memory_mib': memory.peak()}
  run.log.scalars(pending[-1][0], {**newest, **rates})
  sick = monitor(rows)
  if sick:
    run.log.say(sick.sentence)
  return sick


def _stop_sick(run, sick, step, train_state) -> int:
  """Saves what led here: the state, and the batch of the step that failed."""
  _save(run, step, train_state, None)
  batch = next(host_batches(run.parts, run.train, sick.step))
  file = run.workdir / f'batch-{sick.step}-{jax.process_index()}.npz'
  arrays = {
    jax.tree_util.keystr(path, simple=True, separator='_'): value
    for path, value in jax.tree_util.tree_leaves_with_path(batch)
  }
  np.savez_compressed(file, **arrays)
  run.checkpoints.wait_until_finished()
  run.log.say(
    f'stopped; the batch of step {sick.step} is in {file}.'
    ' --config.health.stop=false would go on'
  )
  return UNHEALTHY


def _finish(run, train_state) -> None:
  """Writes the report and prints the table."""
  made = pictures.make(run.parts, run.train, run.test, run.fresh(), train_state)
  if jax.process_index() == 0:
    report.write(run.workdir, made)
    log_lib.results(run.workdir)


def _finished(config, workdir) -> bool:
  return (workdir / 'report.html').is_file() and (
    checkpoint.latest_step(workdir) == config.num_steps
  )


def _check_size(config, source: Source) -> None:
  expected = config.data.num_examples
  if expected not in (0, source.num_examples):
    raise BadInputError(
      f'data.num_examples is {expected}, but {config.data.name} has'
      f' {source.num_examples} training examples; 0 takes what there is'
    )
  if source.num_examples < config.batch_size:
    raise BadInputError(
      f'batch_size is {config.batch_size}, more than the'
      f' {source.num_examples} training examples of {config.data.name}; use'
      ' at most that many'
    )


def _about(config, workdir, parts, source, train_state) -> dict[str, Any]:
  """Collects what a run says before it starts."""
  count = sum(leaf.size for leaf in jax.tree.leaves(train_state.params))
  encoder = sum(
    leaf.size for leaf in jax.tree.leaves(train_state.params['encoder'])
  )
  epochs = config.num_steps * config.batch_size / source.num_examples
  mesh = ' x '.join(f'{k}={v}' for k, v in parts.mesh.shape.items())
  return {
      'method': config.method.name,
      'source': f'{config.data.name},'
                f' {source.num_examples:,} training examples',
      'parameters': f'{count:,} ({encoder:,} in the encoder)',
      'devices': f'{parts.mesh.size} {jax.devices()[0].platform} ({mesh}),'
                 f' {jax.process_count()} process(es)',
      'global batch': f'{config.batch_size}',
      'steps': f'{int(train_state.step)} to {config.num_steps}'
               f' ({epochs:.1f} epochs)',
      'compute dtype': config.dtype,
      'compiled programs': f'kept in {jax.config.jax_compilation_cache_dir}'
                           if jax.config.jax_compilation_cache_dir
                           else 'not kept',
      'folder': str(workdir),
  }  # fmt: skip
