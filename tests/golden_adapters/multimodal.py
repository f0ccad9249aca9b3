"""Golden adapters of sslax.losses.multimodal."""

from sslax import losses


def _clip(x, hp, form):
  del hp, form
  return {'loss': losses.clip(x['image'], x['text'], x['logit_scale'])}


def _siglip(x, hp, form):
  del hp, form
  # big_vision has other names for the same two scalars.
  scale = x['temperature'] if 'temperature' in x else x['logit_scale']
  bias = x['bias'] if 'bias' in x else x['logit_bias']
  return {'loss': losses.siglip(x['image'], x['text'], scale, bias)}


def _mil_nce(x, hp, form):
  del form
  text = x['text'].reshape(-1, hp['n_candidates'], x['text'].shape[-1])
  # The authors' code, which the file holds, counts the positive bag twice.
  return {'loss': losses.mil_nce(x['video'], text, count_positives_twice=True)}


ADAPTERS = {'clip': _clip, 'siglip': _siglip, 'mil_nce': _mil_nce}
