import subprocess
import sys

import pytest

from sslax.data import source
from sslax.errors import BadInputError


@pytest.fixture
def no_sets(tmp_path, monkeypatch):
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'none'))


def test_an_unknown_name_gets_the_nearest(no_sets):
  with pytest.raises(BadInputError, match=r"'photo', .*mean 'photos'"):
    source.load('photo', split='train', image_size=32)


def test_an_unknown_split_is_refused():
  with pytest.raises(BadInputError, match=r"'tests'; did you mean 'test'"):
    source.load('photos', split='tests', image_size=32)


def test_arrays_are_not_a_config_name():
  with pytest.raises(BadInputError, match=r'arrays\.load'):
    source.load('arrays', split='train', image_size=32)


def test_a_source_without_what_is_read_is_refused():
  photos = source.load('photos', split='test', image_size=32)
  source.check_holds(photos, 'image', 'views.name=byol')
  with pytest.raises(
    BadInputError, match=r'=cvrl reads videos, .*=photos holds .*; .* image$'
  ):
    source.check_holds(photos, 'video', 'views.name=cvrl')


def test_what_fits_in_memory():
  assert source.fits_in_memory(50_000, 32, 32)
  assert not source.fits_in_memory(500_000, 32, 32)
  assert not source.fits_in_memory(10, 240, 320)


def test_importing_the_pipeline_is_light():
  code = (
    'import sys, sslax.data.pipeline, sslax.data.tfds, sslax.data.photos;'
    'assert "tensorflow" not in sys.modules;'
    'assert "skimage" not in sys.modules'
  )
  subprocess.run([sys.executable, '-c', code], check=True)


def test_tensorflow_sees_no_gpu():
  assert source.tensorflow().config.get_visible_devices('GPU') == []
