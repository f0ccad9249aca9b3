"""Losses of self-supervised learning: arrays in, scalar out.

Every function is pure: no flags, no state, no devices. Arrays are global, so
that under `jax.jit` with sharded inputs a mean over axis 0 is the mean over
the world's batch.
"""

from sslax.losses.contrastive import *
from sslax.losses.distillation import *
from sslax.losses.mutual_information import *
from sslax.losses.supervised import *
