"""What the recordings of official training steps share.

A script record_x.py runs the official classes and functions of a checkout and
keeps, for five steps, every number that an independent run needs. Format,
origin and hyper-parameters: MANIFEST.md beside this file.
"""

import sys

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

NUM_STEPS = 5
BATCH = 8
CHANNELS = 6
GLOBAL_SIZE, LOCAL_SIZE = 2, 1  # height and width in pixels


def prepare(checkout):
  """Makes the official modules importable and runnable on one CPU process."""
  sys.path.insert(0, str(checkout))
  torch.set_num_threads(1)
  torch.manual_seed(0)
  torch.set_default_dtype(torch.float64)
  torch.Tensor.cuda = lambda self, *args, **kwargs: self
  torch.cuda.synchronize = lambda *args, **kwargs: None
  dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)


def distributed(module):
  """The wrapper whose `.module` the official loops read."""
  return nn.parallel.DistributedDataParallel(module)


class Encoder(nn.Module):
  """Mean over pixels, linear, batch norm (if asked), ReLU, linear."""

  def __init__(self, features, hidden=12, norm=False):
    super().__init__()
    self.linear1 = nn.Linear(CHANNELS, hidden)
    self.norm1 = nn.BatchNorm1d(hidden) if norm else nn.Identity()
    self.linear2 = nn.Linear(hidden, features)

  def forward(self, images):
    x = self.norm1(self.linear1(images.mean((2, 3))))
    return self.linear2(torch.relu(x))


def draw_views(rng, sizes):
  """One array [steps, B, H, W, C] a crop: an image plus the crop's noise."""
  images = rng.normal(size=(NUM_STEPS, BATCH, 1, 1, CHANNELS))
  return [
    images + 0.5 * rng.normal(size=(NUM_STEPS, BATCH, n, n, CHANNELS))
    for n in sizes
  ]


def draw_parameters(rng, module, names):
  """Sets the parameters of the named layers to numbers drawn by numpy."""
  for name in names:
    layer = module.get_submodule(name)
    for key, parameter in layer.named_parameters():
      noise = torch.from_numpy(rng.normal(size=tuple(parameter.shape)))
      if isinstance(layer, nn.BatchNorm1d):
        parameter.data = 0.1 * noise + (1.0 if key == 'weight' else 0.0)
      elif key == 'bias':
        parameter.data = 0.1 * noise
      elif key != 'weight_g':  # the gains of a weight-normed layer stay 1
        parameter.data = noise / parameter.shape[1] ** 0.5


def read_layers(module, names, prefix):
  """Copies the layers' arrays, under our names and in [in, out] layout."""
  arrays = {}
  for torch_name, name in names.items():
    layer, path = module.get_submodule(torch_name), f'{prefix}.{name}'
    is_norm = isinstance(layer, nn.BatchNorm1d)
    keys = {'weight': 'scale' if is_norm else 'kernel', 'bias': 'bias'}
    keys |= {'weight_v': 'kernel', 'weight_g': 'gain'}
    for key, parameter in layer.named_parameters():
      value = parameter.detach().numpy()
      value = value[:, 0] if key == 'weight_g' else value.T
      arrays[f'{path}.{keys[key]}'] = value.copy()
    if is_norm:
      stats = f'{prefix}_stats.{name}'
      arrays[f'{stats}.mean'] = layer.running_mean.numpy().copy()
      arrays[f'{stats}.var'] = layer.running_var.numpy().copy()
  return arrays


class Loader:
  """Yields one epoch's batches a pass and reports the end of every step."""

  def __init__(self, batches, steps_per_epoch, after_step):
    self.batches = batches
    self.steps_per_epoch = steps_per_epoch
    self.after_step = after_step
    self.step = 0

  def __len__(self):
    return self.steps_per_epoch

  def __iter__(self):
    for batch in self.batches[self.step :][: self.steps_per_epoch]:
      yield batch
      # The official loop asks for the next batch once a step is complete.
      self.after_step(self.step)
      self.step += 1


def to_torch(views, step):
  """Returns the views of a step as images [B, C, H, W]."""
  return [torch.from_numpy(v[step]).permute(0, 3, 1, 2) for v in views]


def save(path, *, views, hyper, per_step, states, extra=None):
  """Writes the archive: states stacked over `before step 1` to `after 5`."""
  arrays = {f'views_{i}': v for i, v in enumerate(views)}
  arrays |= {f'hp_{k}': np.asarray(v) for k, v in hyper.items()}
  arrays |= {k: np.asarray(v, np.float64) for k, v in per_step.items()}
  arrays |= {k: np.stack([s[k] for s in states]) for k in states[0]}
  arrays |= extra or {}
  assert all(len(v) == NUM_STEPS for v in per_step.values())
  assert len(states) == NUM_STEPS + 1
  np.savez_compressed(path, **arrays)
  print(path, path.stat().st_size, 'bytes')
  for key, value in per_step.items():
    print(f'  {key} {np.asarray(value).tolist()}')
