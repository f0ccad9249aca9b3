"""Encoders and heads, each a factory that returns a Net."""

from sslax.nets.net import Net, from_linen, from_nnx
