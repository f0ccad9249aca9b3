"""DeepCluster: Caron et al. 2018, https://arxiv.org/abs/1807.05520.

Recipes, and what each was seen to reach:

  (nothing)     photos, a small ResNet: kNN 0.804, 0.100 above random
                initialization, and linear probe 0.874, 0.136 above, in seed 0.
                With 64 clusters, found anew every 56 steps, a cosine and
                stronger views: kNN 0.801, linear probe 0.790
  :smoke        a few steps of a tiny network, for tests
  :cifar10      CIFAR-10, the same network. Not yet run here.
  :imagenet     ResNet-50 in the place of the paper's AlexNet and VGG-16, which
                sslax does not have; batch 256, 200 epochs, 10,000 clusters, on
                edges. Not yet run here.

Where the numbers of :imagenet stand: main.py (--nmb_cluster 10000, --lr 0.05,
constant, --wd -5, which is 1e-5, --momentum 0.9, --batch 256, --epochs 200,
--reassign 1), main.sh (--sobel), clustering.py (256 components, 20 iterations
of k-means; crops of 0.08 to 1, bilinear, and flips).
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
      'cifar10': cifar10,
      'imagenet': imagenet,
    },
  )


def photos():
  """Small network, small images: the whole path in minutes."""
  # An epoch is 28 steps, too few for a head that starts anew; and the last head
  # would learn nothing at the end of a cosine.
  config = recipes.photos('deepcluster', num_clusters=32, every_steps=100)
  config.optim.final_ratio = 1.0
  return recipes.small_views(
    config, 'moco_v2', num_crops=1, crop_scale=(0.4, 1.0)
  )


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(photos())
  config.views.size = 16
  config.method.update(num_clusters=4, every_steps=2, num_iterations=3)
  return config


def cifar10():
  """An epoch is 390 steps."""
  config = recipes.cifar10(photos())
  config.method.update(num_clusters=100, every_steps=390)
  return config


def imagenet():
  """The official command."""
  config = recipes.imagenet(
    'deepcluster',
    num_epochs=200,
    batch_size=256,
    num_clusters=10000,
    every_steps=recipes.steps(1, 256),
    num_components=256,
    num_iterations=20,
    sobel=True,
  )
  config.views.update(
    name='crop_flip', size=224, crop_scale=(0.08, 1.0), interpolation='bilinear'
  )
  config.optim = config_lib.group(
    name='sgd', learning_rate=0.05, weight_decay=1e-5, final_ratio=1.0
  )
  return config
