"""SwAV: Caron et al. 2020, https://arxiv.org/abs/2006.09882.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet, 2 x 32 + 4 x 16 pixels: kNN 0.799, 0.041
                above random initialization; linear probe 0.772, 0.028 above
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ResNet-50, 2 x 224 + 6 x 96, batch 4,096, 800 epochs: 75.3 %
                linear top-1 (official README). Not yet run here.
  :imagenet256  batch 256 with a queue, 200 epochs: 72.7 % (official README).
                Not yet run here.

Deviations of both from the official scripts: the rate warms up from 0 (there
from 0.3) and meets its peak one step later; batch statistics of :imagenet are
those of the whole batch (there of groups of 8 devices).
"""

from sslax import config as config_lib
from sslax import recipes


def get_config(argument=''):
  """Returns the recipe of an argument."""
  return config_lib.recipe(
    argument,
    {
      '': photos,
      'smoke': smoke,
      'cifar10': lambda: recipes.cifar10(photos()),
      'imagenet': imagenet,
      'imagenet256': imagenet256,
    },
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  config = recipes.photos(
    'swav',
    num_prototypes=64,
    hidden_size=128,
    projection_size=32,
    epsilon=0.03,
    queue_size=512,
    queue_wait_steps=150,
    frozen_steps=100,
  )
  return recipes.small_views(
    config,
    'swav',
    size=(32, 16),
    num_crops=(2, 4),
    crop_scale=((0.25, 1.0), (0.1, 0.3)),
  )


def smoke():
  """A few steps of a tiny network, the queue in use at the last."""
  config = recipes.smoke(photos())
  config.views.update(size=(16, 8), num_crops=(2, 2))
  config.method.update(
    num_prototypes=12,
    hidden_size=16,
    projection_size=8,
    queue_size=24,
    queue_wait_steps=1,
    frozen_steps=1,
  )
  return config


def imagenet():
  """The official scripts/swav_800ep_pretrain.sh."""
  config = recipes.imagenet(
    'swav',
    num_epochs=800,
    batch_size=4096,
    num_prototypes=3000,  # --nmb_prototypes
    hidden_size=2048,  # main_swav.py: hidden_mlp
    projection_size=128,  # --feat_dim
    temperature=0.1,
    epsilon=0.05,
    num_iterations=3,  # --sinkhorn_iterations
    queue_size=0,  # --queue_length
    frozen_steps=313,  # --freeze_prototypes_niters
  )
  config.views = config_lib.group(name='swav')  # 2 x 224 + 6 x 96
  config.optim = config_lib.group(
    name='lars',
    learning_rate=0.3,  # --base_lr 4.8 at 4,096
    final_ratio=0.001,  # --final_lr 0.0048
    warmup_steps=recipes.steps(10, 4096),  # --warmup_epochs
    weight_decay=1e-6,  # --wd
    **_LARC,
  )
  return config


# NVIDIA's apex, parallel/LARC.py, as main_swav.py calls it.
_LARC = {
  'trust_coefficient': 0.001, 'eps': 1e-8, 'separate_norms': True, 'mask': 'all'
}  # fmt: skip


def imagenet256():
  """The official scripts/swav_200ep_bs256_pretrain.sh."""
  config = imagenet()
  config.batch_size = 256
  config.num_steps = recipes.steps(200, 256)
  config.eval.every_steps = config.num_steps // 20
  config.method.update(
    queue_size=3840,  # --queue_length
    queue_wait_steps=recipes.steps(15, 256),  # --epoch_queue_starts
    frozen_steps=5005,  # --freeze_prototypes_niters
  )
  config.optim.update(
    learning_rate=0.6, warmup_steps=0
  )  # --base_lr, --warmup_epochs
  return config
