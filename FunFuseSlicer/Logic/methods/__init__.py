"""Fusion methods to compare the network with, all behind one interface.

:data:`METHODS` holds them by name; each is called with two images in [0, 1].
"""

from .guided_filter import GUIDED_FILTER
from .interface import Method
from .laplacian_pyramid import LAPLACIAN_PYRAMID
from .lp_cnn import LP_CNN
from .lp_sr import LP_SR
from .nsct_pcdc import NSCT_PCDC
from .nsct_rpcnn import NSCT_RPCNN
from .nsst_papcnn import NSST_PAPCNN
from .pointwise import AVERAGE, MAXIMUM

# What every method should beat: without training, dictionary or parameters to choose.
REFERENCES = {method.name: method for method in (AVERAGE, MAXIMUM, LAPLACIAN_PYRAMID)}
PUBLISHED = (GUIDED_FILTER, LP_SR, LP_CNN, NSST_PAPCNN, NSCT_RPCNN, NSCT_PCDC)
METHODS = {**REFERENCES, **{method.name: method for method in PUBLISHED}}

__all__ = ["METHODS", "REFERENCES", "Method"]
