"""How good a fused image is: the paper's five metrics and loss, the field's eight, and what these do not see.

Functions of arrays (rows, columns) in gray levels 0 to 255. :data:`METRICS` holds the five as the authors'
program computes them, :data:`VARIANTS` the published definitions where these differ, :data:`FIELD` the eight
that other papers report; :func:`evaluate_pair` gives all numbers of one pair.

Three of the five (Q_IE, Q_G, Q_FMI) are highest for an unfused copy of one source, as a rule the MRI, so
none of them shows alone that an image was fused well; :func:`pet_weight` tells whether the PET is in it.
"""

from .evaluation import FIELD, METRICS, SETS, VARIANTS, Metric, evaluate_pair
from .excess import excess
from .feature_information import q_fmi
from .gradient import q_g, q_g_published
from .information_entropy import q_ie
from .loss_terms import loss_terms
from .parts import completeness, rank_correlation
from .pet_weight import pet_weight
from .piella import q_piella, q_ssim
from .structural_similarity import ssim_map
from .visual_fidelity import q_viff

__all__ = [
    "FIELD",
    "METRICS",
    "SETS",
    "VARIANTS",
    "Metric",
    "completeness",
    "evaluate_pair",
    "excess",
    "loss_terms",
    "pet_weight",
    "q_fmi",
    "q_g",
    "q_g_published",
    "q_ie",
    "q_piella",
    "q_ssim",
    "q_viff",
    "rank_correlation",
    "ssim_map",
]
