"""What can be set: defaults, recipes, overrides, and their one-line help."""

import ast
import hashlib
import importlib.util
import inspect
import json
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from sslax.errors import BadInputError, nearest

# key: (default, help). Groups with a `name` (method, net, views, optim) also
# take the arguments of the factory of that name.
KEYS: dict[str, tuple[Any, str]] = {
  'seed': (0, 'random seed of parameters, order and augmentation'),
  'num_steps': (1000, 'training steps'),
  'batch_size': (256, 'global batch, over all devices and hosts'),
  'batch_pieces': (1, 'pieces in which encoders train on a batch; less memory'),
  'dtype': ('float32', 'compute dtype: float32, bfloat16 or float64'),
  'init_from': ('', 'workdir or .safetensors file of weights to start from'),
  'method.name': ('byol', 'self-supervised method'),
  'net.name': ('resnet', 'encoder'),
  'views.name': ('byol', 'augmentation recipe'),
  'optim.name': ('lars', 'optimizer'),
  'data.name': ('photos', 'source: photos, folder, ..., or a TFDS name'),
  'data.dir': ('', 'TFDS directory; default $TFDS_DATA_DIR'),
  'data.path': ('', 'folder of images, or glob of TFRecord files'),
  'data.num_examples': (
    0,
    'training examples, as the source has them; 0: to be found',
  ),
  'data.labels': ('', "'folders': sub-folders; of TFDS: name of a class label"),
  'data.text': ('', "'labels': the text of an example says its label"),
  'data.vocabulary': (4096, 'tokens at most, where the source has text'),
  'data.text_length': (32, 'tokens of a text at most, where it has text'),
  'data.clip_frames': (16, 'frames of a video, where it has videos'),
  'mesh.fsdp': (1, 'devices over which each large parameter is split'),
  'log.every_steps': (20, 'steps between logged lines'),
  'eval.every_steps': (500, 'steps between evaluations; 0: only at the end'),
  'eval.protocols': (('knn',), 'protocols run during training'),
  'eval.final': (('knn', 'linear'), 'protocols run at the end'),
  'eval.num_neighbors': (20, 'k of kNN'),
  'eval.temperature': (0.07, 'temperature of the kNN votes'),
  'checkpoint.every_steps': (500, 'steps between checkpoints'),
  'checkpoint.keep': (2, 'latest checkpoints kept, beside the best'),
  'health.stop': (True, 'stop when the embedding collapses or is not finite'),
}
# Keys that may change between a run and its resumption.
FREE = ('mesh.', 'log.', 'eval.', 'checkpoint.', 'health.', 'data.dir')
# Arguments that the experiment passes to factories itself.
_GIVEN = (
  'encoder', 'num_steps', 'num_examples', 'vocab_size', 'max_length', 'dtype',
  'batch_size', 'batch_pieces', 'held', 'times', 'taps',
)  # fmt: skip
_PLAIN = (bool, int, float, str, tuple, type(None))
_DTYPES = ('float32', 'bfloat16', 'float64')


def default() -> ConfigDict:
  """Returns the defaults of all keys, for a recipe to change."""
  config = ConfigDict()
  for key, (value, _) in KEYS.items():
    group, _, name = key.rpartition('.')
    if group and group not in config:
      config[group] = ConfigDict()
    (config[group] if group else config)[name] = value
  return config


def group(**values: Any) -> ConfigDict:
  """Returns a group of keys, such as another `net`, for a recipe to set."""
  return ConfigDict(values)


def factories() -> dict[str, Callable[[str], Callable[..., Any]]]:
  """Returns for each group the function from a name to its factory."""
  from sslax import methods, nets, optim
  from sslax.data import view_recipes

  return {
    'method': methods.factory,
    'net': nets.factory,
    'views': view_recipes.factory,
    'optim': optim.factory,
  }


def arguments(make: Callable[..., Any]) -> dict[str, Any]:
  """Returns what a config can set of a factory: name -> default."""
  return {
    name: p.default
    for name, p in inspect.signature(make).parameters.items()
    if name not in _GIVEN and isinstance(p.default, _PLAIN)
  }


def complete(config: ConfigDict) -> ConfigDict:
  """Adds each factory's defaults, so that the config says all that was used.

  Raises:
    BadInputError: a name or an argument that does not exist.
  """
  from sslax import lookup

  for group, factory in factories().items():
    make = factory(config[group].name)
    given = [k for k in config[group] if k != 'name']
    lookup.check_arguments(group, make, given)
    for key, parameter in inspect.signature(make).parameters.items():
      if parameter.default is parameter.empty and key not in (*_GIVEN, *given):
        raise BadInputError(f'{group}.{key} is missing, and has no default')
    for key, value in arguments(make).items():
      if key not in config[group]:
        config[group][key] = value
  return config


def check(config: ConfigDict) -> None:
  """Refuses values that cannot work.

  Raises:
    BadInputError: naming the key, its value and what would be right.
  """
  if config.dtype not in _DTYPES:
    raise BadInputError(
      f'dtype is {config.dtype!r}' + nearest(config.dtype, _DTYPES)
    )
  for key in ('num_steps', 'batch_size', 'log.every_steps', 'checkpoint.keep',
              'eval.num_neighbors'):  # fmt: skip
    value = flatten(config)[key]
    if value < 1:
      raise BadInputError(f'{key} is {value}; it must be at least 1')


def from_dict(values: Mapping[str, Any]) -> ConfigDict:
  """Makes a complete ConfigDict of the config of a run."""
  config = ConfigDict(dict(values))
  for key, (value, _) in KEYS.items():
    group, _, name = key.rpartition('.')
    place = config[group] if group else config
    if name not in place:
      place[name] = value
  return complete(config)


def load(spec: str) -> ConfigDict:
  """Runs the recipe of `--config=FILE[:ARGUMENT]` or `NAME[:ARGUMENT]`.

  Args:
    spec: path of a recipe file, or the name of one that ships with sslax,
      and what its get_config is called with.

  Raises:
    BadInputError: no such file or name, or the argument is not one it takes.
  """
  name, _, argument = spec.partition(':')
  path = pathlib.Path(name)
  if not path.is_file():
    path = _shipped(name)
  module_spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(module_spec)
  module_spec.loader.exec_module(module)
  return module.get_config(argument)


def recipe(argument: str, recipes: Mapping[str, Callable[[], ConfigDict]]):
  """Calls the recipe that an argument names; for use in configs/*.py.

  Raises:
    BadInputError: no recipe of that name.
  """
  if argument not in recipes:
    valid = [name or '(nothing)' for name in recipes]
    raise BadInputError(
      f'--config=...:{argument} is not an argument of this config'
      + nearest(argument, valid)
    )
  return recipes[argument]()


def shipped() -> dict[str, pathlib.Path]:
  """Returns the recipes of the installed package: name -> file."""
  root = pathlib.Path(__file__).parent
  folders = [root / 'configs', root.parent / 'configs']
  folder = next((f for f in folders if f.is_dir()), folders[0])
  files = sorted(folder.glob('*.py'))
  return {f.stem: f for f in files if not f.stem.startswith('_')}


def _shipped(name: str) -> pathlib.Path:
  found = shipped()
  stem = name.removeprefix('configs/').removesuffix('.py')
  if stem not in found:
    raise BadInputError(
      f'--config={name}: no such file, and no recipe of that name'
      + nearest(stem, found)
    )
  return found[stem]


def override(config: ConfigDict, assignments: Sequence[str]) -> ConfigDict:
  """Applies `--config.key=value` words, names first, then completes.

  Args:
    config: from `load`.
    assignments: words such as `optim.learning_rate=0.1`.

  Raises:
    BadInputError: an unknown key (the nearest is named), or a value of
      another type than the default's.
  """
  pairs = [word.partition('=')[::2] for word in assignments]
  for key, value in pairs:
    group, _, last = key.rpartition('.')
    if last == 'name' and group in factories():
      config[group] = ConfigDict({'name': value})
  complete(config)
  valid = flatten(config)
  for key, text in pairs:
    if key not in valid:
      raise BadInputError(
        f'--config.{key}: there is no such key' + nearest(key, valid)
      )
    group, _, last = key.rpartition('.')
    place = config
    for part in filter(None, group.split('.')):
      place = place[part]
    place[last] = _parse(key, text, valid[key])
  check(config)
  return config


def _parse(key: str, text: str, current: Any) -> Any:
  """Reads text as the type of the current value."""
  kind = type(current)
  if kind is str:
    return text
  words = {'true': True, 'false': False}
  try:
    value = words.get(text.lower())
    value = ast.literal_eval(text) if value is None else value
  except (ValueError, SyntaxError):
    value = text
  if kind is float and type(value) is int:
    value = float(value)
  if kind is int and type(value) is float and value.is_integer():
    value = int(value)
  if kind is tuple and not isinstance(value, tuple | list):
    value = tuple(text.split(',')) if isinstance(value, str) else (value,)
  if kind is tuple:
    value = tuple(value)
  if current is not None and type(value) is not kind:
    raise BadInputError(
      f'--config.{key}={text}: expected {kind.__name__}, as in {current!r}'
    )
  return value


def flatten(config: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Returns {'a.b': value} of a nested config."""
  flat = {}
  for key in config:
    value = config[key]
    if isinstance(value, Mapping | ConfigDict):
      flat.update(flatten(value, f'{prefix}{key}.'))
    else:
      flat[prefix + key] = _as_tuple(value)
  return flat


def _as_tuple(value: Any) -> Any:
  """Lists, of whatever depth, become tuples: JSON knows lists only."""
  if isinstance(value, list | tuple):
    return tuple(_as_tuple(v) for v in value)
  return value


def help_lines(config: ConfigDict) -> list[tuple[str, Any, str]]:
  """Returns (key, value, one line of help) of all that can be set."""
  from sslax.data import view_policy, views

  docs = {key: text for key, (_, text) in KEYS.items()}
  shared = {'views': (view_policy.ViewPolicy, views.evaluation)}
  for group, factory in factories().items():
    make = factory(config[group].name)
    for documented in (make, *shared.get(group, ())):
      for name, text in argument_docs(documented).items():
        docs.setdefault(f'{group}.{name}', text)
  return [(k, v, docs.get(k, '')) for k, v in flatten(config).items()]


def argument_docs(documented: Callable[..., Any]) -> dict[str, str]:
  """Reads what a docstring says of arguments: name -> first sentence."""
  doc = inspect.getdoc(documented) or ''
  docs = {}
  for section in re.findall(
    r'^(?:Args|Attributes):\n(.*?)(?=^\S|\Z)', doc, re.S | re.M
  ):
    entries = re.findall(r'^  (\w+): (.*?)(?=^  \S|\Z)', section, re.S | re.M)
    for name, text in entries:
      docs.setdefault(name, ' '.join(text.split()).split('. ')[0].rstrip('.'))
  return docs


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
  """Returns a line for each key in which a resumed run may not differ.

  Keys under mesh, log, eval, checkpoint, health, `data.dir`, and a larger
  num_steps may differ.

  Args:
    old: flat config of the run in the workdir.
    new: flat config of this command.
  """
  lines = []
  for key in sorted({*old, *new}):
    default = KEYS.get(key, (None, ''))[0]  # a run may be older than a key
    a, b = old.get(key, default), new.get(key, default)
    longer = key == 'num_steps' and a is not None and b >= a
    unknown = key == 'data.num_examples' and 0 in (a, b)
    if a != b and not longer and not unknown and not key.startswith(FREE):
      lines.append(f'{key}: {a!r} there, {b!r} here')
  return lines


def fingerprint(config: ConfigDict) -> str:
  """Returns a hash of all keys that may not change on resumption."""
  fixed = {
    k: v
    for k, v in flatten(config).items()
    if k != 'num_steps' and not k.startswith(FREE)
  }
  text = json.dumps(fixed, sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()[:16]
