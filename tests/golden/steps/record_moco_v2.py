"""Records five steps of MoCo v2 run by facebookresearch/moco.

python record_moco_v2.py CHECKOUT [OUT_DIR]
"""

import argparse
import functools
import importlib
import pathlib

import numpy as np
import recording
import torch
from torch import nn

HYPER = {
  'learning_rate': 0.3,
  'sgd_momentum': 0.9,
  'weight_decay': 1e-4,
  'num_epochs': 8,
  'steps_per_epoch': 1,
  'temperature': 0.2,
  'momentum': 0.9,
  'num_keys': 32,
  'features': 8,
  'hidden': 12,
  'encoder_features': 10,
}
NAMES = {
  'linear1': 'encoder.linear1',
  'linear2': 'encoder.linear2',
  'fc.0': 'projector.linear1',
  'fc.2': 'projector.linear2',
}


class _Backbone(recording.Encoder):
  """An encoder with the last layer `fc` that the official builder replaces."""

  def __init__(self, num_classes, norm):
    super().__init__(HYPER['encoder_features'], HYPER['hidden'], norm)
    self.fc = nn.Linear(HYPER['encoder_features'], num_classes)

  def forward(self, images):
    return self.fc(super().forward(images))


def _model(builder, rng, norm, names):
  """Builds the official MoCo and sets its weights and queue by numpy."""
  model = builder.MoCo(
    functools.partial(_Backbone, norm=norm),
    dim=HYPER['features'],
    K=HYPER['num_keys'],
    m=HYPER['momentum'],
    T=HYPER['temperature'],
    mlp=True,
  )
  recording.draw_parameters(rng, model.encoder_q, names)
  for q, k in zip(
    model.encoder_q.parameters(), model.encoder_k.parameters(), strict=True
  ):
    k.data = q.data.clone()
  queue = rng.normal(size=(HYPER['features'], HYPER['num_keys']))
  model.queue.copy_(torch.from_numpy(queue / np.linalg.norm(queue, axis=0)))
  return model


def _state(model, names):
  return {
    **recording.read_layers(model.encoder_q, names, 'student'),
    **recording.read_layers(model.encoder_k, names, 'teacher'),
    'queue': model.queue.numpy().T.copy(),
    'queue_pointer': model.queue_ptr.numpy()[0].copy(),
  }


def _run(main, model, names, views):
  """Runs the official loop; returns states, losses and learning rates."""
  states, losses, rates = [_state(model, names)], [], []

  def after_step(step):
    states.append(_state(model, names))
    rates.append(optimizer.param_groups[0]['lr'])

  criterion = nn.CrossEntropyLoss()
  criterion.register_forward_hook(lambda m, x, y: losses.append(y.item()))
  optimizer = torch.optim.SGD(
    model.parameters(),
    HYPER['learning_rate'],
    momentum=HYPER['sgd_momentum'],
    weight_decay=HYPER['weight_decay'],
  )
  batches = [
    (recording.to_torch(views, i), None) for i in range(recording.NUM_STEPS)
  ]
  loader = recording.Loader(batches, HYPER['steps_per_epoch'], after_step)
  args = argparse.Namespace(
    lr=HYPER['learning_rate'], epochs=HYPER['num_epochs'], cos=True
  )
  args.gpu, args.print_freq = None, 100
  network = recording.distributed(model)
  for epoch in range(recording.NUM_STEPS):
    main.adjust_learning_rate(optimizer, epoch, args)
    main.train(loader, network, criterion, optimizer, epoch, args)
  return states, losses, rates


def record(main, path, *, norm, seed):
  rng = np.random.default_rng(seed)
  names = NAMES | ({'norm1': 'encoder.norm1'} if norm else {})
  model = _model(main.moco.builder, rng, norm, names)
  views = recording.draw_views(rng, [recording.GLOBAL_SIZE] * 2)
  states, losses, rates = _run(main, model, names, views)
  model._momentum_update_key_encoder()
  final = recording.read_layers(model.encoder_k, names, 'next_teacher')
  recording.save(
    path,
    views=views,
    hyper=HYPER | {'batch_norm': norm, 'batch_size': recording.BATCH},
    per_step={'loss': losses, 'learning_rate': rates},
    states=states,
    extra={k: v for k, v in final.items() if '_stats' not in k},
  )


if __name__ == '__main__':
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('checkout', type=pathlib.Path)
  here = pathlib.Path(__file__).parent
  parser.add_argument('out', type=pathlib.Path, nargs='?', default=here)
  flags = parser.parse_args()
  recording.prepare(flags.checkout)
  main_moco = importlib.import_module('main_moco')
  # Its .view of a transposed tensor fails in torch 2; a metric, nothing more.
  main_moco.accuracy = lambda *args, **kwargs: torch.zeros(2, 1)
  record(main_moco, flags.out / 'moco_v2.npz', norm=False, seed=20)
  record(main_moco, flags.out / 'moco_v2_bn.npz', norm=True, seed=21)
