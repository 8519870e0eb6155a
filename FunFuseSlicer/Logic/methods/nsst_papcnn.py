"""Fusion of shearlet bands by pulse-coupled neural networks that set their own parameters (NSST-PAPCNN).

M. Yin, X. Liu, Y. Liu, X. Chen: Medical image fusion with parameter-adaptive pulse coupled neural network in
nonsubsampled shearlet transform domain. IEEE Transactions on Instrumentation and Measurement 68(1), 2019.
Details: of each band the coefficient whose neuron fires more often, where equally often the MRI's. Low-pass
image: that of the larger product of weighted local energy and weighted modified Laplacian.

Left open:
- the logarithm in alpha_f: to the base 10;
- the neurons' threshold in the beginning: 1;
- gray levels of Otsu's histogram of a band: 256 from 0 to the band's maximum;
- size of the shearing filters: 9 x 9 for the two coarse scales and 17 x 17 for the two fine ones, next to the
  8 x 8 and 16 x 16 of the authors' program.
"""

import numpy as np

from . import focus_measures, pulse_coupled
from .interface import Method
from .multiscale import shears
from .multiscale.interface import Bands

# Coarse to fine.
DIRECTIONS = (8, 8, 16, 16)
REACHES = (4, 4, 8, 8)
ITERATIONS = 110


def nsst_papcnn(mri: np.ndarray, pet: np.ndarray) -> np.ndarray:
    """Sections III-A to III-C.

    :param mri: (rows, columns) in [0, 1], any size.
    :param pet: same size.
    :return: same size; can leave the range of the sources slightly.
    """
    transform = shears.shearlets(DIRECTIONS, REACHES)
    bands_mri, bands_pet = transform.decompose(mri), transform.decompose(pet)
    low = np.where(_low_activity(bands_mri.low) >= _low_activity(bands_pet.low), bands_mri.low, bands_pet.low)
    details = [
        [np.where(_firings(a) >= _firings(b), a, b) for a, b in zip(scale_mri, scale_pet)]
        for scale_mri, scale_pet in zip(bands_mri.details, bands_pet.details)
    ]
    return transform.reconstruct(Bands(low, details))


def _firings(band: np.ndarray) -> np.ndarray:
    stimulus = np.abs(band)
    return pulse_coupled.firings(stimulus, pulse_coupled.adapted(stimulus), ITERATIONS)


def _low_activity(low: np.ndarray) -> np.ndarray:
    return focus_measures.weighted_energy(low) * focus_measures.weighted_laplacian(low)


NSST_PAPCNN = Method(
    "nsst_papcnn",
    "NSST-PAPCNN",
    "M. Yin, X. Liu, Y. Liu, X. Chen: Medical image fusion with parameter-adaptive pulse coupled neural "
    "network in nonsubsampled shearlet transform domain. IEEE Transactions on Instrumentation and "
    "Measurement 68(1), 2019",
    nsst_papcnn,
    # Of neurons that fire equally often it takes the MRI's.
    symmetric=False,
)
