"""Records five steps of SwAV run by facebookresearch/swav.

python record_swav.py CHECKOUT LARC_FILE [OUT_DIR]
"""

import argparse
import importlib.machinery
import importlib.util
import pathlib
import sys

import numpy as np
import recording
import torch
from torch import nn

HYPER = {
  'learning_rate': 0.5,
  'start_learning_rate': 0.1,
  'final_learning_rate': 0.01,
  'warmup_epochs': 2,
  'num_epochs': 5,
  'steps_per_epoch': 1,
  'sgd_momentum': 0.9,
  'weight_decay': 1e-3,
  'trust_coefficient': 0.001,
  'temperature': 0.1,
  'epsilon': 0.05,
  'sinkhorn_iterations': 3,
  'num_crops': 4,
  'queue_length': 16,
  'queue_start_epoch': 1,
  'freeze_prototypes_steps': 2,
  'num_prototypes': 10,
  'features': 6,
  'head_hidden': 14,
  'hidden': 12,
  'encoder_features': 16,
}
NAMES = {
  'encoder.linear1': 'encoder.linear1',
  'encoder.norm1': 'encoder.norm1',
  'encoder.linear2': 'encoder.linear2',
  'projection_head.0': 'projector.linear1',
  'projection_head.1': 'projector.norm1',
  'projection_head.3': 'projector.linear2',
  'prototypes': 'prototypes',
}


class _Nothing(nn.Identity):
  """A residual block without parameters, which the constructor asks for."""

  expansion = 1


def _class(resnet50):
  class Model(resnet50.ResNet):
    """The official multi-crop forward and head, on the small encoder."""

    def __init__(self):
      super().__init__(
        _Nothing,
        [1, 1, 1, 1],
        width_per_group=HYPER['encoder_features'] // 8,
        normalize=True,
        hidden_mlp=HYPER['head_hidden'],
        output_dim=HYPER['features'],
        nmb_prototypes=HYPER['num_prototypes'],
      )
      for unused in 'conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4':
        delattr(self, unused)
      self.encoder = recording.Encoder(
        HYPER['encoder_features'], HYPER['hidden'], norm=True
      )

    def forward_backbone(self, x):
      return self.encoder(x)

  return Model


def _meter(official):
  class Meter(official):
    """The official running mean, which also keeps the weighted values."""

    losses = []  # noqa: RUF012  shared on purpose

    def update(self, val, n=None):
      if n is not None:  # only the loss comes with the size of its batch
        self.losses.append(val)
      super().update(val, n or 1)

  return Meter


def _learning_rates():
  """Warm-up to the peak, its end included, then cosine from the peak again."""
  peak, final = HYPER['learning_rate'], HYPER['final_learning_rate']
  warmup_steps = HYPER['warmup_epochs'] * HYPER['steps_per_epoch']
  num_steps = HYPER['num_epochs'] * HYPER['steps_per_epoch'] - warmup_steps
  share = np.arange(num_steps) / num_steps
  cosine = final + (peak - final) * (1 + np.cos(np.pi * share)) / 2
  warmup = np.linspace(HYPER['start_learning_rate'], peak, warmup_steps)
  return np.concatenate([warmup, cosine])


def _settings():
  return argparse.Namespace(
    crops_for_assign=[0, 1],
    nmb_crops=[2, HYPER['num_crops'] - 2],
    temperature=HYPER['temperature'],
    epsilon=HYPER['epsilon'],
    sinkhorn_iterations=HYPER['sinkhorn_iterations'],
    freeze_prototypes_niters=HYPER['freeze_prototypes_steps'],
    use_fp16=False,
    world_size=1,
    rank=1,  # not the rank that prints
  )


def _state(model, queue):
  length = HYPER['queue_length']
  empty = np.zeros((2, length, HYPER['features']))
  return {
    **recording.read_layers(model, NAMES, 'student'),
    'queue': empty if queue is None else queue.numpy().copy(),
  }


def _optimizer(main, model, larc):
  optimizer = torch.optim.SGD(
    model.parameters(),
    lr=HYPER['learning_rate'],
    momentum=HYPER['sgd_momentum'],
    weight_decay=HYPER['weight_decay'],
  )
  if not larc:
    return optimizer
  trust = HYPER['trust_coefficient']
  return main.LARC(optimizer, trust_coefficient=trust, clip=False)


def _run(main, model, optimizer, views):
  """Runs the official loop; returns the states and the learning rates."""
  queue, schedule, rates = None, _learning_rates(), []
  states = [_state(model, queue)]

  def after_step(step):
    states.append(_state(model, queue))
    rates.append(optimizer.param_groups[0]['lr'])

  batches = [recording.to_torch(views, i) for i in range(recording.NUM_STEPS)]
  loader = recording.Loader(batches, HYPER['steps_per_epoch'], after_step)
  network = recording.distributed(model)
  for epoch in range(HYPER['num_epochs']):
    if epoch == HYPER['queue_start_epoch']:
      queue = torch.zeros(2, HYPER['queue_length'], HYPER['features'])
    _, queue = main.train(loader, network, optimizer, epoch, schedule, queue)
  return states, rates


def record(main, path, *, larc, seed):
  rng = np.random.default_rng(seed)
  model = _class(main.resnet_models)()
  recording.draw_parameters(rng, model, NAMES)
  if larc:  # a parameter of norm 0, which LARC treats apart
    model.projection_head[1].bias.data.zero_()
  sizes = [recording.GLOBAL_SIZE] * 2 + [recording.LOCAL_SIZE] * 2
  views = recording.draw_views(rng, sizes)
  main.args, main.AverageMeter.losses[:] = _settings(), []
  optimizer = _optimizer(main, model, larc)
  states, rates = _run(main, model, optimizer, views)
  recording.save(
    path,
    views=views,
    hyper=HYPER | {'larc': larc, 'batch_size': recording.BATCH},
    per_step={'loss': main.AverageMeter.losses, 'learning_rate': rates},
    states=states,
  )


def _stand_in_for_imports(larc_file):
  """The loop imports pandas for its log, and of apex only LARC is used."""
  for name in 'pandas', 'apex', 'apex.parallel':
    spec = importlib.machinery.ModuleSpec(name, None)
    sys.modules[name] = importlib.util.module_from_spec(spec)
  name = 'apex.parallel.LARC'
  spec = importlib.util.spec_from_file_location(name, larc_file)
  sys.modules[name] = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(sys.modules[name])


if __name__ == '__main__':
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('checkout', type=pathlib.Path)
  parser.add_argument('larc_file', type=pathlib.Path)
  here = pathlib.Path(__file__).parent
  parser.add_argument('out', type=pathlib.Path, nargs='?', default=here)
  flags = parser.parse_args()
  recording.prepare(flags.checkout)
  _stand_in_for_imports(flags.larc_file)
  main_swav = importlib.import_module('main_swav')
  main_swav.AverageMeter = _meter(main_swav.AverageMeter)
  record(main_swav, flags.out / 'swav.npz', larc=False, seed=23)
  record(main_swav, flags.out / 'swav_larc.npz', larc=True, seed=24)
