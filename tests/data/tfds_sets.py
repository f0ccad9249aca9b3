"""Writes sets as TFDS does; its own writer needs packages reading does not."""

import json

from sslax.data.source import tensorflow


def write_set(root, name, features, splits, *, version='1.0.0',
              file_format='tfrecord'):  # fmt: skip
  """Writes root/name/version; `splits` is name -> list of examples."""
  import tensorflow_datasets as library

  tensorflow()
  features = library.features.FeaturesDict(features)
  folder = root / name / version
  folder.mkdir(parents=True)
  features.save_config(folder)
  for split, examples in splits.items():
    rows = [features.serialize_example(example) for example in examples]
    file = folder / f'{name}-{split}.{file_format}-00000-of-00001'
    _write(str(file), file_format, rows)
  info = _describe(name, version, file_format, splits)
  (folder / 'dataset_info.json').write_text(json.dumps(info))
  return root


def _describe(name, version, file_format, splits):
  template = '{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}'
  return {
    'name': name,
    'version': version,
    'fileFormat': file_format,
    'splits': [
      {
        'name': split,
        'shardLengths': [str(len(rows))],
        'numBytes': '1',
        'filepathTemplate': template,
      }
      for split, rows in splits.items()
    ],
  }


def _write(path, file_format, rows):
  if file_format == 'array_record':
    from array_record.python import array_record_module

    writer = array_record_module.ArrayRecordWriter(path, 'group_size:1')
  else:
    writer = tensorflow().io.TFRecordWriter(path)
  for row in rows:
    writer.write(row)
  writer.close()
