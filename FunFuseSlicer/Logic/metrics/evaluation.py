"""Every metric by name, and all of them for one pair."""

import math
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from .excess import excess
from .feature_information import q_fmi
from .field import (
    field_en,
    field_mi,
    field_qabf,
    field_scd,
    field_sd,
    field_sf,
    field_ssim,
    field_vif,
)
from .gradient import (
    HIGHEST,
    PUBLISHED_HIGHEST,
    PUBLISHED_ORIENTATION,
    PUBLISHED_STRENGTH,
    q_g,
    q_g_published,
)
from .images import WHITE
from .information_entropy import LEVELS, q_ie
from .loss_terms import loss_terms
from .parts import completeness, rank_correlation
from .pet_weight import pet_weight
from .piella import q_piella, q_ssim
from .visual_fidelity import q_viff


class Metric(NamedTuple):
    """A function of MRI, PET and fused image; higher values count as better.

    :param function: three arrays (rows, columns) in gray levels 0 to 255 -> float.
    :param rewards: what raises the value, for people who read a table.
    :param low: the lowest value; ``high`` the highest.
    :param strict: no image leaves these bounds by more than rounding. Otherwise they are where values
        usually lie.
    :param undefined: of which images the value is NaN, for people who find none in a table; nothing if it is
        defined for all.
    """

    function: Callable[[np.ndarray, np.ndarray, np.ndarray], float]
    rewards: str
    low: float
    high: float
    strict: bool = True
    undefined: str = ""

    def __call__(self, mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
        return self.function(mri, pet, fused)


def q_fmi_gradient(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """:func:`q_fmi` of gradient magnitudes."""
    return q_fmi(mri, pet, fused, feature="gradient")


def q_fmi_edge(mri: np.ndarray, pet: np.ndarray, fused: np.ndarray) -> float:
    """:func:`q_fmi` of strong edges."""
    return q_fmi(mri, pet, fused, feature="edge")


# The paper's five, as its authors' program computes them.
METRICS: Dict[str, Metric] = {
    "Q_IE": Metric(
        q_ie,
        "gray levels that depend on those of either source; highest for an unfused source",
        1 - math.log(3, LEVELS),
        1.0,
    ),
    "Q_G": Metric(
        q_g,
        "edges of the stronger source, and empty background; highest for an unfused copy of the MRI",
        0.0,
        HIGHEST,
    ),
    "Q_FMI": Metric(
        q_fmi,
        "small windows that look like either source's, and flat background; highest for an unfused source",
        0.0,
        1.0,
        strict=False,
    ),
    "Q_SSIM": Metric(
        q_ssim,
        "structure of the source that varies more, and a background as black as the sources'",
        -1.0,
        1.0,
    ),
    "Q_VIFF": Metric(
        q_viff,
        "visible contrast of both sources; amplified contrast raises it above 1",
        0.0,
        math.inf,
    ),
}

# The same metrics as they were published, where the authors' program differs.
VARIANTS: Dict[str, Metric] = {
    "Q_G_published": Metric(
        q_g_published,
        "edges of both sources, each by its strength; background does not count",
        0.0,
        PUBLISHED_HIGHEST,
    ),
    "Q_FMI_gradient": Metric(
        q_fmi_gradient, "small windows whose gradient looks like either source's", 0.0, 1.0, strict=False
    ),
    "Q_FMI_edge": Metric(
        q_fmi_edge, "strong edges in the places where either source has them", 0.0, 1.0, strict=False
    ),
    "Q_Piella": Metric(
        q_piella, "structure of the source that varies more, dark and faint windows included", -1.0, 1.0
    ),
}

# What papers on fusion report, as their usual evaluator computes it.
FIELD: Dict[str, Metric] = {
    "EN": Metric(
        field_en,
        "evenly used gray levels, which noise has as well; the sources do not count",
        0.0,
        8.0,
    ),
    "SD": Metric(
        field_sd,
        "bright tissue on black, a large head most; the sources do not count",
        0.0,
        WHITE / 2,
    ),
    "SF": Metric(
        field_sf,
        "steps between neighboring pixels, noise like detail; the sources do not count",
        0.0,
        WHITE * math.sqrt(2),
    ),
    "MI": Metric(
        field_mi,
        "gray levels that tell those of either source; highest for an unfused source",
        0.0,
        2 * math.log(LEVELS),
    ),
    "SCD": Metric(
        field_scd,
        "what each source adds to the other; highest for the sum of both, however bright",
        -2.0,
        2.0,
        undefined="the fused image is an unfused copy, or a source is constant",
    ),
    "VIF": Metric(
        field_vif,
        "detail of either source, and amplified contrast; high for an unfused source",
        0.0,
        math.inf,
    ),
    "Qabf": Metric(
        field_qabf,
        "edges of both sources, each by its strength; high for an unfused copy of the MRI",
        0.0,
        PUBLISHED_STRENGTH.gain * float(PUBLISHED_ORIENTATION(1.0)),
        undefined="both sources are black",
    ),
    "SSIM": Metric(
        field_ssim,
        "likeness to both sources, and a background exactly as black as theirs",
        -2.0,
        2.0,
        strict=False,
    ),
}

# By the name that a user chooses them by.
SETS: Dict[str, Dict[str, Metric]] = {"paper": METRICS, "field": FIELD, "all": {**METRICS, **FIELD}}


def evaluate_pair(
    mri: np.ndarray,
    pet: np.ndarray,
    fused: np.ndarray,
    parts: Optional[Tuple[np.ndarray, np.ndarray]] = None,
    lam: float = 0.8,
    mask: Optional[np.ndarray] = None,
    metrics: Mapping[str, Metric] = METRICS,
) -> Dict[str, float]:
    """All that can be said in numbers about one fused pair.

    :param mri: (rows, columns), at least 41 × 41, gray levels 0 to 255; whole ones or not.
    :param pet: same size, as is ``fused``.
    :param parts: what came from the MRI and what came from the PET, in the same gray levels.
    :param lam: λ of the loss.
    :param mask: the brain, for rank correlations; None: wherever the PET exceeds 5 %.
    :param metrics: which of :data:`METRICS`, :data:`VARIANTS` and :data:`FIELD`.
    :return: the names of these; ``b_M`` and ``b_P`` (:func:`pet_weight`); ``excess``; ``SSIM_MRI``,
        ``SSIM_PET``, ``MSE_MRI``, ``MSE_PET`` and ``loss`` (:func:`loss_terms`); ``rank_fused``, the rank
        correlation of PET and fused image; with parts ``rank_PET_part``, that of PET and PET's part, and
        ``completeness``, the largest |C1 + C2 - F| as a fraction of white.
    :raises InputError: the images do not fit together.
    """
    result = {name: metric(mri, pet, fused) for name, metric in metrics.items()}
    result["b_M"], result["b_P"] = pet_weight(mri, pet, fused)
    result["excess"] = excess(mri, pet, fused)
    result.update(loss_terms(mri, pet, fused, lam))
    result["rank_fused"] = rank_correlation(pet, fused, mask)
    if parts is not None:
        result["rank_PET_part"] = rank_correlation(pet, parts[1], mask)
        result["completeness"] = completeness(parts[0], parts[1], fused) / WHITE
    return result
