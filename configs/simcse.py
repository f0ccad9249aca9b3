"""SimCSE, unsupervised: Gao et al. 2021, https://arxiv.org/abs/2104.08821.

Recipes, and what each was seen to reach:

  (nothing)     python_docs, sentences of Python's own documentation; the class
                is the topic: kNN 0.331, 0.035 above random initialization,
                linear probe 0.380, 0.011 below, and both far below tf-idf
  :smoke        a few steps of a tiny network, for tests
  :stsb         STS benchmark (data.name=stsb): the sentences of train, scored
                on the pairs of test. Not yet run here.
  :wikipedia    a transformer of BERT-base's size on a million sentences, batch
                64, one epoch. The official code starts from a trained BERT-base
                (0.7625 on average over seven STS tasks, by its README); from a
                random start less is to be expected. Not yet run here.
"""

from sslax import config as config_lib
from sslax import recipes


def get_config(argument=''):
  """Returns the recipe of an argument."""
  return config_lib.recipe(
    argument,
    {'': sentences, 'smoke': smoke, 'stsb': stsb, 'wikipedia': wikipedia},
  )


def sentences():
  """A small transformer: minutes on a CPU."""
  config = recipes.photos('simcse', projection_size=128, temperature=0.05)
  config.num_steps = 600
  config.net = config_lib.group(
    name='text_transformer',
    width=128,
    depth=2,
    num_heads=4,
    dropout=0.1,
    pool='mean',
  )
  config.views = config_lib.group(name='tokens', num_views=2)
  config.optim.update(learning_rate=1e-3, weight_decay=0.01)
  config.data.update(name='python_docs', vocabulary=4096, text_length=32)
  config.eval.every_steps = 300
  return config


def smoke():
  """A few steps of a tiny network."""
  config = recipes.smoke(sentences())
  config.net.update(width=16, depth=1, num_heads=2)
  config.method.projection_size = 8
  config.data.update(vocabulary=512, text_length=16)
  return config


def stsb():
  """Plain sentences in, similarities of pairs out."""
  config = sentences()
  config.data.name = 'stsb'
  config.eval.protocols = ('sts',)
  config.eval.final = ('sts',)
  return config


def wikipedia():
  """The official README's table for BERT-base, from a random start."""
  config = sentences()
  config.batch_size = 64
  config.num_steps = 1_000_000 // config.batch_size  # --num_train_epochs 1
  config.net.update(width=768, depth=12, num_heads=12, pool='class')
  config.method.projection_size = 768
  config.optim.update(learning_rate=3e-5, reference_batch_size=None)
  config.data.update(name='wikipedia', vocabulary=30522)
  config.eval.every_steps = 1000
  return config
