"""Losses of self-supervised learning: arrays in, scalar out.

Every function is pure: no flags, no state, no devices. Arrays are global, so
that under `jax.jit` with sharded inputs a mean over axis 0 is the mean over
the world's batch.
"""

from sslax.losses.aggregation import *
from sslax.losses.autoencoding import *
from sslax.losses.bank import *
from sslax.losses.classification import *
from sslax.losses.clustering import *
from sslax.losses.consistency import *
from sslax.losses.contrastive import *
from sslax.losses.correlation_mining import *
from sslax.losses.deep_embedded import *
from sslax.losses.dense import *
from sslax.losses.distillation import *
from sslax.losses.entropy import *
from sslax.losses.graph_clustering import *
from sslax.losses.hard_negatives import *
from sslax.losses.hsic import *
from sslax.losses.hypersphere import *
from sslax.losses.information import *
from sslax.losses.inter_image import *
from sslax.losses.latent import *
from sslax.losses.masked import *
from sslax.losses.masked_siamese import *
from sslax.losses.matching import *
from sslax.losses.max_margin import *
from sslax.losses.metric import *
from sslax.losses.multimodal import *
from sslax.losses.mutual_information import *
from sslax.losses.neighborhood import *
from sslax.losses.neighbors import *
from sslax.losses.noise_contrastive import *
from sslax.losses.plug_in_entropy import *
from sslax.losses.predictive import *
from sslax.losses.prototypes import *
from sslax.losses.proxy import *
from sslax.losses.redundancy import *
from sslax.losses.regularizers import *
from sslax.losses.robust import *
from sslax.losses.siamese import *
from sslax.losses.spread import *
from sslax.losses.structured import *
from sslax.losses.supervised import *
from sslax.losses.uniclr import *
from sslax.losses.view_alignment import *
from sslax.losses.whitened import *
