"""The training step: one jit from a batch of the source to the next state."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from sslax import sharding
from sslax.method import Method

# What runs once is not worth optimizing: XLA's CPU backend takes 9.6 CPU
# seconds to compile the first state of BYOL's small ResNet, and 1.9 with these.
_QUICK_TO_COMPILE = {
  'xla_backend_optimization_level': 0,
  'xla_llvm_disable_expensive_passes': True,
}


class TrainState(NamedTuple):
  """All that changes from step to step, and all that a checkpoint holds."""

  step: jax.Array  # [] int32, steps taken
  params: Any  # what receives gradients
  opt_state: Any  # the optimizer's moments
  state: Any  # the method's state: teacher, statistics, queue, ...


def with_views(views, rng, batch):
  """Puts the views in the place of what they are made of.

  Args:
    views: from sslax.data.views; it says which entry of the batch it reads.
    rng: key of the augmentation.
    batch: dict of arrays from the source.

  Returns:
    The batch with a tuple `views`, and without the entry that was read.
  """
  return _put(views, batch, views.apply(rng, batch[views.reads]))


def _put(views, batch, made):
  rest = {k: v for k, v in batch.items() if k != views.reads}
  return {**rest, 'views': made}


def _views_once(views, rng, batch, at):
  """Augments so that XLA on CPU does it once.

  There, the fusions that feed the student, the teacher and the backward pass
  each repeat the augmentation (a step of the small CIFAR-10 network took 629 ms
  so, and 467 ms with this); optimization_barrier is dropped before fusing, and
  a loop whose number of turns, one, is known only when it runs is not.
  """

  def plain(rng, inputs, at):
    del at
    return views.apply(rng, inputs)

  def in_loop(rng, inputs, at):
    shapes = jax.eval_shape(views.apply, rng, inputs)
    empty = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    turns = jnp.minimum(at + 1, 1)
    body = lambda _, made: views.apply(rng, inputs)  # noqa: E731
    return jax.lax.fori_loop(0, turns, body, empty)

  made = jax.lax.platform_dependent(
    rng, batch[views.reads], at, cpu=in_loop, default=plain
  )
  return _put(views, batch, made)


def _builder(method, tx, views, seed):
  def build(batch):
    rng_params, rng_views = jax.random.split(jax.random.key(seed))
    batch = with_views(views, rng_views, batch)
    params, state = method.init(rng_params, batch)
    with jax.numpy_dtype_promotion('standard'):
      opt_state = tx.init(params)
    return TrainState(jnp.zeros((), jnp.int32), params, opt_state, state)

  return build


def make_init(method: Method, tx, views, batch, *, seed: int, mesh) -> Callable:
  """Returns init(batch) -> the first state, placed on the mesh; compiled once.

  Args:
    method: the method.
    tx: optax optimizer.
    views: from sslax.data.views.
    batch: one global batch, or its shapes; they size the parameters.
    seed: of the run.
    mesh: from sharding.make_mesh.
  """
  build = _builder(method, tx, views, seed)
  shardings = sharding.state_shardings(mesh, jax.eval_shape(build, batch))
  cpu = mesh.devices.flat[0].platform == 'cpu'
  return jax.jit(
    build,
    out_shardings=shardings,
    compiler_options=_QUICK_TO_COMPILE if cpu else None,
  )


def init_shapes(method: Method, tx, views, batch, *, mesh) -> TrainState:
  """Returns the shapes, dtypes and shardings of the state, computing nothing.

  Args:
    method: the method.
    tx: optax optimizer.
    views: from sslax.data.views.
    batch: one global batch, or its shapes.
    mesh: from sharding.make_mesh.
  """
  shapes = jax.eval_shape(_builder(method, tx, views, 0), batch)
  return jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    shapes,
    sharding.state_shardings(mesh, shapes),
  )


def make_step(method: Method, tx, views, *, seed: int) -> Callable:
  """Returns step(train_state, batch) -> (train_state, metrics).

  The step's randomness is fold_in(seed, step). A step whose loss or gradients
  are not finite changes nothing but the step count, and says so in the metric
  `nonfinite`.

  Args:
    method: the method.
    tx: optax optimizer.
    views: from sslax.data.views.
    seed: of the run.
  """

  def step(train_state: TrainState, batch):
    at, params, opt_state, state = train_state
    rng = jax.random.fold_in(jax.random.key(seed), at)
    rng_views, rng_loss = jax.random.split(rng)
    batch = _views_once(views, rng_views, batch, at)
    (loss, (new_state, metrics)), grads = jax.value_and_grad(
      method.loss, has_aux=True
    )(params, state, batch, rng=rng_loss, step=at)
    with jax.numpy_dtype_promotion('standard'):  # optax mixes dtypes
      grad_norm = optax.tree.norm(grads)
      updates, new_opt_state = tx.update(grads, opt_state, params)
      new_params = optax.apply_updates(params, updates)
    new_params, new_state = method.update(new_params, new_state, step=at)
    finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
    kept = jax.tree.map(
      lambda new, old: jnp.where(finite, new, old),
      (new_params, new_opt_state, new_state),
      (params, opt_state, state),
    )
    metrics = {
        **metrics, 'loss': loss, 'grad_norm': grad_norm, 'nonfinite': ~finite
    }  # fmt: skip
    return TrainState(at + 1, *kept), metrics

  return step


def compile_step(step: Callable, train_state: TrainState, mesh) -> Callable:
  """Jits a step for the mesh: state donated, shardings fixed.

  Args:
    step: from `make_step`.
    train_state: placed on the mesh.
    mesh: from sharding.make_mesh.
  """
  shardings = jax.tree.map(lambda x: x.sharding, train_state)
  rows, whole = sharding.split_rows(mesh), sharding.replicated(mesh)
  return jax.jit(
    step,
    donate_argnums=0,
    in_shardings=(shardings, rows),
    out_shardings=(shardings, whole),
  )
