"""Records five steps of DINO run by facebookresearch/dino.

python record_dino.py CHECKOUT [OUT_DIR]
"""

import argparse
import importlib
import pathlib

import numpy as np
import recording
import torch

HYPER = {
  'learning_rate': 0.01,
  'final_learning_rate': 1e-6,
  'warmup_epochs': 1,
  'weight_decay': 0.04,
  'final_weight_decay': 0.4,
  'num_epochs': 4,
  'steps_per_epoch': 2,
  'momentum': 0.9,
  'final_momentum': 1.0,
  'student_temperature': 0.1,
  'warmup_teacher_temperature': 0.04,
  'teacher_temperature': 0.07,
  'warmup_teacher_temperature_epochs': 3,
  'center_momentum': 0.9,
  'freeze_last_layer_epochs': 1,
  'clip_norm': 3.0,
  'num_crops': 4,
  'num_prototypes': 16,
  'head_hidden': 14,
  'bottleneck': 8,
  'hidden': 12,
  'encoder_features': 10,
}
NAMES = {
  'backbone.linear1': 'encoder.linear1',
  'backbone.linear2': 'encoder.linear2',
  'head.mlp.0': 'projector.linear1',
  'head.mlp.2': 'projector.linear2',
  'head.mlp.4': 'projector.linear3',
  'head.last_layer': 'projector.last_layer',
}


def _network(main):
  head = main.DINOHead(
    HYPER['encoder_features'],
    HYPER['num_prototypes'],
    norm_last_layer=True,
    hidden_dim=HYPER['head_hidden'],
    bottleneck_dim=HYPER['bottleneck'],
  )
  encoder = recording.Encoder(HYPER['encoder_features'], HYPER['hidden'])
  return main.utils.MultiCropWrapper(encoder, head)


def _loss(main):
  return main.DINOLoss(
    HYPER['num_prototypes'],
    HYPER['num_crops'],
    HYPER['warmup_teacher_temperature'],
    HYPER['teacher_temperature'],
    HYPER['warmup_teacher_temperature_epochs'],
    HYPER['num_epochs'],
    student_temp=HYPER['student_temperature'],
    center_momentum=HYPER['center_momentum'],
  )


def _schedules(utils):
  """Learning rate, weight decay and teacher momentum, by the official rule."""
  length = HYPER['num_epochs'], HYPER['steps_per_epoch']
  ends = [
    (HYPER['learning_rate'], HYPER['final_learning_rate']),
    (HYPER['weight_decay'], HYPER['final_weight_decay']),
    (HYPER['momentum'], HYPER['final_momentum']),
  ]
  warmups = HYPER['warmup_epochs'], 0, 0
  return [
    utils.cosine_scheduler(*pair, *length, warmup_epochs=warmup)
    for pair, warmup in zip(ends, warmups, strict=True)
  ]


def _state(student, teacher, criterion):
  return {
    **recording.read_layers(student, NAMES, 'student'),
    **recording.read_layers(teacher, NAMES, 'teacher'),
    'center': criterion.center.numpy()[0].copy(),
  }


def _listen(main, criterion):
  """Lists that fill with each step's loss and gradient norms."""
  losses, norms, clip = [], [], main.utils.clip_gradients
  criterion.register_forward_hook(lambda m, x, y: losses.append(y.item()))
  main.utils.clip_gradients = lambda *args: norms.append(clip(*args))
  return losses, norms


def _run(main, student, teacher, criterion, views):
  """Runs the official loop; returns the states and the scalars per step."""
  rates, decays, momenta = _schedules(main.utils)
  temperatures = np.repeat(
    criterion.teacher_temp_schedule, HYPER['steps_per_epoch']
  )
  states, used = [_state(student, teacher, criterion)], []

  def after_step(step):
    states.append(_state(student, teacher, criterion))
    group = optimizer.param_groups[0]
    fixed = momenta[step], temperatures[step]
    used.append((group['lr'], group['weight_decay'], *fixed))

  network = recording.distributed(student)
  optimizer = torch.optim.AdamW(main.utils.get_params_groups(network))
  batches = [
    (recording.to_torch(views, i), None) for i in range(recording.NUM_STEPS)
  ]
  loader = recording.Loader(batches, HYPER['steps_per_epoch'], after_step)
  args = argparse.Namespace(
    epochs=HYPER['num_epochs'],
    clip_grad=HYPER['clip_norm'],
    freeze_last_layer=HYPER['freeze_last_layer_epochs'],
  )
  for epoch in range(-(-recording.NUM_STEPS // HYPER['steps_per_epoch'])):
    main.train_one_epoch(
      network, teacher, teacher, criterion, loader, optimizer,
      rates, decays, momenta, epoch, None, args,
    )  # fmt: skip
  keys = 'learning_rate', 'weight_decay', 'momentum', 'teacher_temperature'
  return states, dict(zip(keys, zip(*used, strict=True), strict=True))


def record(main, path, *, seed):
  rng = np.random.default_rng(seed)
  student, teacher = _network(main), _network(main)
  recording.draw_parameters(rng, student, NAMES)
  teacher.load_state_dict(student.state_dict())
  teacher.requires_grad_(False)
  sizes = [recording.GLOBAL_SIZE] * 2 + [recording.LOCAL_SIZE] * 2
  views = recording.draw_views(rng, sizes)
  criterion = _loss(main)
  losses, norms = _listen(main, criterion)
  states, per_step = _run(main, student, teacher, criterion, views)
  print('gradient norms', np.round(norms, 2).tolist())
  recording.save(
    path,
    views=views,
    hyper=HYPER | {'batch_size': recording.BATCH},
    per_step={'loss': losses} | per_step,
    states=states,
  )


if __name__ == '__main__':
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('checkout', type=pathlib.Path)
  here = pathlib.Path(__file__).parent
  parser.add_argument('out', type=pathlib.Path, nargs='?', default=here)
  flags = parser.parse_args()
  recording.prepare(flags.checkout)
  main_dino = importlib.import_module('main_dino')
  meter = main_dino.utils.SmoothedValue
  meter.synchronize_between_processes = lambda self: None  # needs a GPU
  record(main_dino, flags.out / 'dino.npz', seed=22)
