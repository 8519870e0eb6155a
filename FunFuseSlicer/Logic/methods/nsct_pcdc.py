"""Fusion of contourlet bands by phase congruency and directive contrast (NSCT-PCDC).

G. Bhatnagar, Q. M. J. Wu, Z. Liu: Directive contrast based multimodal medical image fusion in NSCT domain.
IEEE Transactions on Multimedia 15(5), 2013. Low-pass image: that of the larger phase congruency, where it is
equal the mean. Details: the coefficient of the larger directive contrast, the modified Laplacian of its band
against the brightness of the background to the power of 1 + alpha.

Left open:
- alpha, from 0.6 to 0.7: 0.65;
- the background of all scales: the low-pass image of the coarsest;
- window of the modified Laplacian and of the local mean of the low-pass image: 3 x 3;
- backgrounds below one gray level of 255, by which contrasts would grow without bounds: one gray level;
- equal contrasts: the mean;
- phase congruency that counts as equal: to within 1e-6;
- directions: 4, 8, 8, 16 from coarse to fine.
"""

import numpy as np

from . import focus_measures
from .interface import Method
from .multiscale import fans
from .multiscale.interface import Bands
from .phase_congruency import phase_congruency
from .selection import more_active

# Coarse to fine.
DIRECTIONS = (4, 8, 8, 16)
GRAY_LEVEL = 1 / 255
DECIMALS = 6


def nsct_pcdc(mri: np.ndarray, pet: np.ndarray, alpha: float) -> np.ndarray:
    """Section III.

    :param mri: (rows, columns) in [0, 1], any size.
    :param pet: same size.
    :param alpha: how much more details count on a dark background than by their contrast.
    :return: same size; can leave the range of the sources slightly.
    """
    transform = fans.contourlets(DIRECTIONS)
    bands_mri, bands_pet = transform.decompose(mri), transform.decompose(pet)
    # Rounded, since without structure there remain rounding errors.
    low = more_active(
        bands_mri.low,
        bands_pet.low,
        np.round(phase_congruency(bands_mri.low), DECIMALS),
        np.round(phase_congruency(bands_pet.low), DECIMALS),
    )
    background_mri, background_pet = (
        np.maximum(focus_measures.local_mean(bands.low), GRAY_LEVEL) ** (1 + alpha)
        for bands in (bands_mri, bands_pet)
    )
    details = [
        [
            more_active(
                a,
                b,
                focus_measures.sum_modified_laplacian(a) / background_mri,
                focus_measures.sum_modified_laplacian(b) / background_pet,
            )
            for a, b in zip(scale_mri, scale_pet)
        ]
        for scale_mri, scale_pet in zip(bands_mri.details, bands_pet.details)
    ]
    return transform.reconstruct(Bands(low, details))


NSCT_PCDC = Method(
    "nsct_pcdc",
    "NSCT-PCDC",
    "G. Bhatnagar, Q. M. J. Wu, Z. Liu: Directive contrast based multimodal medical image fusion in NSCT "
    "domain. IEEE Transactions on Multimedia 15(5), 2013",
    nsct_pcdc,
    {"alpha": 0.65},
)
