"""BYOL: Grill et al. 2020, https://arxiv.org/abs/2006.07733.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet: kNN 0.787, 0.737 and 0.734 in seeds 0 to
                2, 0.05 to 0.08 above random initialization; 4 minutes
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, a small ResNet: kNN 0.445, 9 minutes on two cores
  :imagenet     ResNet-50, batch 4,096, 1,000 epochs: 74.3 % linear top-1 in the
                paper (table 1). Not yet run here.
  :imagenet300  the same, 300 epochs: 72.5 % in the paper (section 5, ablations
                baseline). Not yet run here.
  :folder       your own images: --config.data.path=FOLDER
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
      'imagenet': lambda: imagenet(1000, 0.2, 1.5e-6, 0.996),
      'imagenet300': lambda: imagenet(300, 0.3, 1e-6, 0.99),
      'folder': folder,
    },
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  config = recipes.photos(
    'byol', hidden_size=256, projection_size=64, momentum=0.98
  )
  return recipes.small_views(config, 'byol', crop_scale=(0.2, 1.0))


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(hidden_size=16, projection_size=8)
  return config


def imagenet(num_epochs, learning_rate, weight_decay, momentum):
  """The paper's recipe: appendix C, and the official presets by epochs."""
  config = recipes.imagenet(
    'byol',
    num_epochs=num_epochs,
    batch_size=4096,
    hidden_size=4096,
    projection_size=256,
    momentum=momentum,
  )
  config.views.update(name='byol', size=224)
  config.optim.update(
    name='lars',
    learning_rate=learning_rate,
    weight_decay=weight_decay,
    warmup_steps=recipes.steps(10, 4096),
  )
  return config


def folder():
  """A user's own images, of any size."""
  config = photos()
  config.num_steps = 2000
  config.net.update(width=32, stage_sizes=(2, 2, 2, 2))
  config.views.update(size=64)
  config.data.update(name='folder')
  return config
